"""Keys lead through the pages, and none of them writes anything: in a real Chromium."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from support.console.browser import arrived
from support.console.inprocess import ServedConsole, served
from unit.console.cases import waiting

if TYPE_CHECKING:
    from playwright.sync_api import Page

HELD: Final = """() => {
  const held = document.activeElement;
  return held.id || held.getAttribute("aria-labelledby") || held.name || held.href;
}"""
REASON: Final = "Reason (recorded; required to approve)"
PRINTABLE: Final = [chr(code) for code in range(0x20, 0x7F)]


@pytest.fixture
def console(page: "Page") -> Iterator[ServedConsole]:
    others = []
    for number in range(3):
        one = waiting(binding={"mode": "Exact", "digest": f"sha256:{number:064x}"})
        one["metadata"] |= {"name": f"agr-{number}", "uid": f"uid-{number}"}
        others.append(one)
    with served(waiting(), *others) as console:
        page.goto(console.site.url)
        arrived(page, "For you to review")
        yield console


def at_request(page: "Page", console: ServedConsole) -> None:
    page.goto(f"http://{console.site.host}/grants/crm/agr-wanted")
    arrived(page, "You act as")


def test_j_and_k_walk_through_the_list_and_enter_opens_the_request(page: "Page", console: ServedConsole) -> None:
    links = page.locator(".card").evaluate_all("all => all.map(one => one.href)")
    walked = []
    for key in "jjkjj":
        page.keyboard.press(key)
        walked.append(page.evaluate("document.activeElement.href"))
    assert walked == [links[at] for at in (0, 1, 0, 1, 2)]
    page.keyboard.press("Enter")
    page.wait_for_url(links[2])
    assert console.cluster.written == []


def test_j_and_k_walk_through_the_points_of_a_request(page: "Page", console: ServedConsole) -> None:
    at_request(page, console)
    walked = []
    for key in "jjjk":
        page.keyboard.press(key)
        walked.append(page.evaluate(HELD))
    assert walked == ["who", "what", "call", "what"]


def test_a_leads_to_the_reason_and_d_to_deny(page: "Page", console: ServedConsole) -> None:
    at_request(page, console)
    page.keyboard.press("a")
    assert page.evaluate(HELD) == "reason"
    # What is typed there is text, whatever the letters are.
    page.keyboard.type("jkad?")
    assert page.get_by_label(REASON).input_value() == "jkad?"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("d")
    assert page.evaluate(HELD) == "deny"
    assert console.cluster.written == []


def test_no_single_key_writes_anything(page: "Page", console: ServedConsole) -> None:
    at_request(page, console)
    page.get_by_label(REASON).fill("seen")
    page.set_viewport_size({"width": 1280, "height": 3000})
    page.locator("button.approve:enabled").wait_for()
    for key in [*PRINTABLE, "Enter", "Delete", "F2", "Control+Enter", "Alt+a"]:
        page.evaluate("document.activeElement.blur(); document.querySelector('dialog')?.close()")
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    assert console.cluster.written == []
    assert page.url.endswith("/grants/crm/agr-wanted")


def test_a_question_mark_tells_of_the_keys_and_loses_nothing(page: "Page", console: ServedConsole) -> None:
    at_request(page, console)
    page.get_by_label(REASON).fill("typed before")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("No key approves or denies").wait_for()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert page.get_by_label(REASON).input_value() == "typed before"


def test_the_keys_can_be_turned_off_and_on(page: "Page", console: ServedConsole) -> None:
    page.goto(f"http://{console.site.host}/keys")
    arrived(page, "Keyboard shortcuts")
    page.get_by_role("button", name="Turn the keys off").click()
    at_request(page, console)
    for key in "jad?":
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement === document.body")
    page.goto(f"http://{console.site.host}/keys")
    page.get_by_role("button", name="Turn the keys on").click()
    at_request(page, console)
    page.keyboard.press("a")
    assert page.evaluate(HELD) == "reason"
