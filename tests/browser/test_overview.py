"""The overview in a real Chromium: its figures, a chart that says what its table says, and nothing made up."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from support.console.axe import PageLooks
from support.console.browser import arrived
from support.console.inprocess import ServedConsole, TableCluster, served
from support.decisions import written
from support.evidence.logs import ProcessLog
from support.objects import gated_rule, policy, rule, settings
from unit.console.cases import from_now, waiting

if TYPE_CHECKING:
    from playwright.sync_api import Page

REASONS: Final = ["allowed"] * 6 + ["approval_required"] * 2 + ["no_rule"]
DRAWN: Final = """() => {
  const canvas = document.querySelector("#chart canvas");
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Set();
  for (let at = 0; at < pixels.length; at += 4) {
    if (pixels[at + 3] === 255) {
      colours.add(`rgb(${pixels[at]}, ${pixels[at + 1]}, ${pixels[at + 2]})`);
    }
  }
  const painted = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  return ["--good", "--warn", "--bad"].map((name) => colours.has(painted(name)));
}"""


def records(path: Path) -> Path:
    log = ProcessLog(2)
    for number in range(900):
        reason = REASONS[number % len(REASONS)]
        told: dict[str, Any] = {"now": time.time() - 80_000 + number * 80, "decision": reason == "allowed"}
        log.add(**told, reason=reason, endpoint="crm/crm-api", subject={"id": "a"}, action="customers.list")
    return written(path / "decisions.log", log)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[ServedConsole]:
    made = policy("crm", rules=[gated_rule("export"), rule("read")], endpointSettings=settings())
    made["metadata"] |= {"uid": "policy-uid", "generation": 1}
    old = waiting()
    old["metadata"] |= {"name": "agr-old", "uid": "old", "creationTimestamp": from_now(-7_200)}
    with served(waiting(), old, policies=[made], records=[records(tmp_path)]) as console:
        yield console


def look_at(page: "Page", console: ServedConsole, path: str, heading: str) -> None:
    if page.url == "about:blank":
        page.goto(console.site.url)
        arrived(page, "For you to review")
    page.goto(f"http://{console.site.host}{path}")
    arrived(page, heading)


def test_the_overview_shows_what_waits_and_what_was_decided(page: "Page", console: ServedConsole) -> None:
    look_at(page, console, "/overview", "Overview")
    assert page.locator(".tiles li").first.inner_text().split() == ["2", "for", "you", "to", "review"]
    ages = page.get_by_role("region", name="Table of requests waiting, by age").locator("tbody tr")
    shown = [row.locator("td").all_inner_texts() for row in ages.all()]
    assert [[text.strip() for text in row] for row in shown] == [
        ["1", "1"],
        ["0", "0"],
        ["1", "1"],
        ["0", "0"],
        ["0", "0"],
    ]
    assert page.locator(".legend").inner_text().split("\n") == [
        "Allowed: 600",
        "Approval required: 200",
        "Denied: 100",
    ]
    page.get_by_role("link", name="no_rule").click()
    arrived(page, "Decisions on record")
    page.get_by_text("100 of 900 lines of decisions match").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_chart_has_each_outcome_in_the_colour_of_its_legend(
    page: "Page", console: ServedConsole, scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme)
    look_at(page, console, "/overview", "Overview")
    page.locator("#chart canvas").wait_for()
    assert page.evaluate(DRAWN) == [True] * 3
    # Drawn anew, where the scheme changes under it.
    page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
    page.wait_for_timeout(300)
    assert page.evaluate(DRAWN) == [True] * 3
    page.get_by_text("The numbers as a table").click()
    assert page.locator("#decisions-table tbody tr").count() == 96


@pytest.mark.parametrize("context", [False], ids=["without scripts"], indirect=True)
def test_without_scripts_the_table_stands_without_its_chart(page: "Page", console: ServedConsole) -> None:
    look_at(page, console, "/overview", "Overview")
    assert not page.locator("#chart").is_visible()
    page.get_by_text("The numbers as a table").click()
    assert page.locator("#decisions-table").is_visible()


def test_what_is_not_known_is_said_not_to_be(page: "Page") -> None:
    table = TableCluster([waiting()], lacks={("list", "approvalgrants")})
    table.fails = lambda method, path: None
    with served(cluster=table) as console:
        look_at(page, console, "/overview", "Overview")
        told = page.inner_text("main")
    assert "Not known: this console was given no decision logs" in told
    assert "Not known without the decisions." in told
    assert "not known: there is no ConfigMap bailiwick-guard" in told
    assert page.locator("#chart").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_no_page_of_the_console_has_a_violation_or_is_cut_off(
    page: "Page", console: ServedConsole, scheme: Literal["light", "dark"], width: int, height: int
) -> None:
    looks = PageLooks(page, scheme, width, scripted=True)
    page.set_viewport_size({"width": width, "height": height})
    for path, heading in (
        ("/overview", "Overview"),
        ("/", "For you to review"),
        ("/grants/crm/agr-wanted", "You act as"),
        ("/endpoints", "Endpoints"),
        ("/endpoints/crm/crm-api", "Who may do what"),
        ("/access", "Whom policies name"),
        ("/decisions", "Decisions on record"),
        ("/passkeys", "passkey"),
        ("/keys", "Keyboard shortcuts"),
    ):
        look_at(page, console, path, heading)
        looks.take(path)
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    looks.take("the keys, over a page")
    page.keyboard.press("Escape")
    look_at(page, console, "/endpoints/crm/crm-api", "Who may do what")
    page.get_by_role("link", name="Ask").first.click()
    arrived(page, "What")
    looks.take("a cell")
    looks.were_good(11)
