"""Approve and Deny are always in view, and Approve is ready once every fact and every value was: in a real Chromium."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

import pytest

from support.console.browser import arrived, read_through
from support.console.inprocess import ServedConsole, served
from unit.console.cases import from_now, waiting

if TYPE_CHECKING:
    from playwright.sync_api import Page

GRANT: Final = "/grants/crm/agr-wanted"
REASON: Final = "Reason (recorded; required to approve)"
WIDE: Final = (1280, 800)
PHONE: Final = (390, 844)
INSIDE: Final = """() => [...document.querySelectorAll("#review button, #reason")].every((one) => {
  const box = one.getBoundingClientRect();
  return box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
})"""
STANDS_STILL: Final = """() => new Promise((done) => {
  const next = (last, same) => requestAnimationFrame(() => {
    const now = scrollY;
    return now === last && same > 3 ? done() : next(now, now === last ? same + 1 : 0);
  });
  next(scrollY, 0);
})"""
FACTS_END: Final = 'document.getElementById("end-of-facts").getBoundingClientRect().top + scrollY'
MANY: Final = [{"name": f"args.field{number}", "value": f"value {number}"} for number in range(60)]


@pytest.fixture
def console(page: "Page") -> Iterator[ServedConsole]:
    with served(waiting()) as console:
        page.goto(console.site.url)
        arrived(page, "For you to review")
        yield console


def visit(page: "Page", console: ServedConsole, screen: tuple[int, int] = WIDE, **fields: object) -> None:
    console.cluster.grants[:] = [waiting(**fields)]
    page.set_viewport_size({"width": screen[0], "height": screen[1]})
    page.goto(f"http://{console.site.host}{GRANT}")
    arrived(page, "You act as")
    # What is on the screen is noted a frame after it is there.
    page.wait_for_timeout(300)


def is_ready(page: "Page") -> bool:
    page.wait_for_timeout(100)
    return page.get_by_role("button", name="Approve", exact=True).is_enabled()


def await_ready(page: "Page") -> None:
    """Wait until Approve can be pressed. A browser that has to wait for its turn notes late what was on the screen."""
    page.locator("button.approve:enabled").wait_for(timeout=20_000)


@pytest.mark.parametrize("screen", [WIDE, PHONE], ids=["1280x800", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_buttons_are_in_view_wherever_the_page_is_scrolled_to(
    page: "Page", console: ServedConsole, screen: tuple[int, int], scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme)
    visit(page, console, screen, display=MANY)
    for share in (0, 0.2, 0.5, 0.8, 1):
        page.evaluate("share => scrollTo(0, share * document.documentElement.scrollHeight)", share)
        assert page.evaluate(INSIDE), share
    assert page.evaluate("document.documentElement.scrollWidth") <= screen[0]
    # More than half of the window is left to what is read.
    assert page.evaluate("document.getElementById('bar').offsetHeight") < screen[1] / 2


@pytest.mark.parametrize("screen", [WIDE, PHONE], ids=["1280x800", "phone"])
@pytest.mark.invariant(9)
def test_nothing_is_approved_before_every_fact_was_on_the_screen(
    page: "Page", console: ServedConsole, screen: tuple[int, int]
) -> None:
    visit(page, console, screen, display=MANY)
    page.get_by_label(REASON).fill("seen")
    assert not is_ready(page)
    # What lies between the top and the end was never there.
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    assert not is_ready(page)
    assert page.locator("#state").inner_text().startswith("Scroll on")
    read_through(page)
    await_ready(page)
    page.get_by_label(REASON).fill(" ")
    assert not is_ready(page)


def test_what_the_bar_covers_was_not_on_the_screen(page: "Page", console: ServedConsole) -> None:
    visit(page, console)
    visit(page, console, (1280, int(page.evaluate(FACTS_END)) + 30))
    # Without the focus, for which a browser may scroll.
    page.get_by_label(REASON).evaluate(
        "one => { one.value = 'seen'; one.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    assert page.evaluate(f"scrollY === 0 && {FACTS_END} < innerHeight")
    assert not is_ready(page)
    read_through(page)
    await_ready(page)


def test_what_was_seen_in_part_is_read_again_once_it_is_laid_out_anew(page: "Page", console: ServedConsole) -> None:
    visit(page, console, PHONE, display=[{"name": "args.note", "value": "word " * 300}])
    page.get_by_label(REASON).fill("seen")
    read_through(page)
    await_ready(page)
    visit(page, console, PHONE, display=[{"name": "args.note", "value": "word " * 300}])
    page.get_by_label(REASON).fill("seen")
    note = page.get_by_text("word word word").first
    top = note.evaluate("one => one.getBoundingClientRect().top + scrollY")
    page.evaluate("top => scrollTo(0, top - 100)", top)
    page.wait_for_timeout(100)
    page.set_viewport_size({"width": 600, "height": 844})
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    assert not is_ready(page)


@pytest.mark.parametrize("screen", [WIDE, PHONE], ids=["1280x800", "phone"])
@pytest.mark.parametrize("key", ["PageDown", "Space"])
def test_a_reader_who_turns_pages_by_a_key_sees_everything(
    page: "Page", console: ServedConsole, screen: tuple[int, int], key: str
) -> None:
    visit(page, console, screen, display=MANY)
    page.get_by_label(REASON).fill("seen")
    # Writing the reason has scrolled. A reader begins at the top.
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.evaluate(STANDS_STILL)
    for _ in range(30):
        before = page.evaluate("scrollY")
        page.keyboard.press(key)
        # Before the next key, the page has turned, stands still, and was looked at where it stands.
        page.wait_for_function("before => scrollY !== before", arg=before)
        page.evaluate(STANDS_STILL)
        if page.evaluate("scrollY + innerHeight >= document.documentElement.scrollHeight - 1"):
            break
    await_ready(page)


def test_a_request_whose_time_is_over_is_not_approved_any_more(page: "Page", console: ServedConsole) -> None:
    visit(page, console, pendingUntilTime=from_now(4))
    page.get_by_label(REASON).fill("seen")
    read_through(page)
    page.locator("#state").get_by_text("The request has expired").wait_for(timeout=10_000)
    assert not is_ready(page)
    assert page.locator("#left").inner_text() == "now"


def test_a_countdown_says_how_long_the_request_waits(page: "Page", console: ServedConsole) -> None:
    visit(page, console, pendingUntilTime=from_now(3000))
    left = page.locator("#left")
    first = left.inner_text()
    assert first.startswith("in 49 min")
    page.wait_for_function("first => document.getElementById('left').textContent !== first", arg=first)


@pytest.mark.parametrize("context", [False], ids=["without scripts"], indirect=True)
def test_without_scripts_the_bar_stands_at_the_end_and_covers_nothing(page: "Page", console: ServedConsole) -> None:
    visit(page, console, display=MANY)
    box = "one => one.getBoundingClientRect().top"
    assert page.locator("#bar").evaluate(box) > page.locator("#end-of-facts").evaluate(box)
    assert page.locator("#left").inner_text().endswith("Z")
    assert page.get_by_role("button", name="Approve", exact=True).is_enabled()


@pytest.mark.parametrize("width", [320, 390])
def test_a_bar_that_would_cover_most_of_the_window_stays_at_the_end(
    page: "Page", console: ServedConsole, width: int
) -> None:
    visit(page, console, (width, 500), action={"name": "w" * 500})
    assert page.locator("#bar.pinned").count() == 0
    page.get_by_label(REASON).fill("seen")
    read_through(page)
    await_ready(page)


def zoom(page: "Page", scale: float) -> None:
    """Zoom in as two fingers do: nothing is laid out anew, and only a part of the page is on the screen."""
    page.context.new_cdp_session(page).send("Emulation.setPageScaleFactor", {"pageScaleFactor": scale})
    page.wait_for_function("scale => Math.abs(visualViewport.scale - scale) < 0.01", arg=scale)


@pytest.mark.invariant(9)
def test_what_lay_beside_the_part_that_was_zoomed_in_on_was_not_on_the_screen(
    page: "Page", console: ServedConsole
) -> None:
    visit(page, console, PHONE, display=[{"name": "args.note", "value": "word " * 300}])
    page.get_by_label(REASON).evaluate(
        "one => { one.value = 'seen'; one.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    zoom(page, 3)
    page.mouse.move(100, 100)
    for _ in range(400):
        page.mouse.wheel(0, 60)
        page.wait_for_timeout(20)
        if page.evaluate("visualViewport.pageTop + visualViewport.height >= document.documentElement.scrollHeight - 1"):
            break
    assert page.evaluate("[visualViewport.offsetLeft, visualViewport.width * 3 <= innerWidth + 1]") == [0, True]
    assert not is_ready(page)
    assert page.locator("#state").inner_text().startswith("Zoom out")
    zoom(page, 1)
    read_through(page)
    await_ready(page)


@pytest.mark.invariant(9)
def test_what_the_help_covers_was_not_on_the_screen(page: "Page", console: ServedConsole) -> None:
    visit(page, console, display=MANY)
    page.get_by_label(REASON).fill("seen")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    page.locator("dialog[open]").wait_for()
    read_through(page)
    assert not is_ready(page)
    page.keyboard.press("?")
    page.locator("dialog").wait_for(state="detached")
    read_through(page)
    await_ready(page)


@pytest.mark.invariant(9)
def test_what_the_notice_of_a_change_covers_was_not_on_the_screen(page: "Page", console: ServedConsole) -> None:
    visit(page, console, display=MANY)
    page.get_by_label(REASON).evaluate(
        "one => { one.value = 'seen'; one.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    page.locator("#moved").evaluate("one => one.append('This request has changed since the page was shown.')")
    page.evaluate(STANDS_STILL)
    # Each part of the page is between the top of the window and the bar once, and some of them lie below the notice.
    step = int(page.evaluate("document.getElementById('bar').getBoundingClientRect().top"))
    place, end = 0, int(page.evaluate(FACTS_END))
    while place < end:
        page.evaluate("place => scrollTo(0, place)", place)
        page.evaluate(STANDS_STILL)
        place += step
    assert page.locator("#moved").evaluate("one => one.getBoundingClientRect().height") > 0
    assert not is_ready(page)
    read_through(page)
    await_ready(page)
