"""What is approved was visible: measured on the page by a real Chromium, for whatever names and values there are."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from bailiwick_engine.approval.display import MAX_ARGS, visible
from support.console.browser import arrived, read_through
from support.console.hostiletexts import HostileGrant, hostile_grants, told_of
from support.console.inprocess import ServedConsole, served
from support.console.visibility import SCREENS, look, meaning, seen_in, unseen
from support.objects import Object
from unit.console.cases import from_now, waiting

if TYPE_CHECKING:
    from playwright.sync_api import Page

MARKS: Final = "\u0301" * 9
# A name takes all of its row.
GREEDY: Final = "dl.values { grid-template-columns: max-content 1fr !important }"
VANISH: Final = """() => document.querySelectorAll("dl.values > *").forEach((one, at) => {
  one.style.visibility = at / 2 % 2 < 1 ? "visible" : "hidden";
})"""
REAPPEAR: Final = """() => document.querySelectorAll("dl.values > *").forEach((one) => (one.style.visibility = ""))"""
GRANT: Final = "/grants/crm/agr-wanted"
# One browser and one console serve all examples.
ONE_BROWSER: Final = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.fixture
def console(page: "Page") -> Iterator[ServedConsole]:
    """A console of this process, opened in the browser; a test puts grants into its table."""
    # A colour that is on its way to another one is neither.
    page.emulate_media(reduced_motion="reduce")
    with served(waiting()) as console:
        page.goto(console.site.url)
        arrived(page, "For you to review")
        yield console


def visit(page: "Page", console: ServedConsole, grant: Object, path: str = GRANT) -> None:
    console.cluster.grants[:] = [grant]
    page.goto(f"http://{console.site.host}{path}")


def assert_seen(page: "Page", grant: Object, arguments: dict[str, str]) -> None:
    """Assert that each value is painted in full beside its own name, and each other text somewhere, at every width."""
    for width, size in SCREENS:
        view = look(page, width, size)
        assert view.problems == (), (width, size, view.problems[:5])
        rows = [(meaning(label), tuple(map(meaning, values))) for kind, label, values in view.rows if kind == "values"]
        for name, value in arguments.items():
            assert (name, (value,)) in rows, f"{name!r} at {width} pixels"
        for what, text in told_of(grant).items():
            assert seen_in(view.cells, text), what
        for cell in view.cells:
            assert list(unseen(cell)) == []


# Nothing is made smaller afterwards: a page takes a second to measure, and says itself what is wrong with it.
@settings(max_examples=6, suppress_health_check=ONE_BROWSER, phases=[Phase.generate])
@given(drawn=hostile_grants())
def test_every_name_and_value_is_painted_whole_in_its_own_place(
    page: "Page", console: ServedConsole, drawn: HostileGrant
) -> None:
    visit(page, console, drawn.grant)
    assert page.locator("button.approve").count() == 1
    assert_seen(page, drawn.grant, drawn.arguments)


@pytest.mark.parametrize("length", [40, 94, 248])
def test_a_long_name_takes_no_value_its_place(page: "Page", console: ServedConsole, length: int) -> None:
    arguments = {f"args.{'n' * length}": "1", "args.amount": "9000"}
    grant = waiting(display=[{"name": name, "value": value} for name, value in arguments.items()])
    visit(page, console, grant)
    for width, size in SCREENS:
        view = look(page, width, size)
        assert view.problems == (), (width, size, view.problems[:5])
        assert [view.values(name) for name in arguments] == [["1"], ["9000"]]


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=60, suppress_health_check=ONE_BROWSER, phases=[Phase.generate])
@given(drawn=hostile_grants(most=MAX_ARGS))
def test_each_of_many_names_and_values_is_painted_whole_in_its_own_place(
    page: "Page", console: ServedConsole, drawn: HostileGrant
) -> None:
    visit(page, console, drawn.grant)
    assert page.locator("button.approve").count() == 1
    assert_seen(page, drawn.grant, drawn.arguments)


@pytest.mark.parametrize("phase", ["Pending", "Active"])
def test_lists_and_what_is_done_to_several_hide_nothing(page: "Page", console: ServedConsole, phase: str) -> None:
    status = {"phase": phase, "notAfterTime": from_now(600), "uses": 0}
    console.cluster.grants[:] = [hostile(number, status=status) for number in range(4)]
    texts = [text for grant in console.cluster.grants for text in listed_of(grant)]
    page.goto(f"http://{console.site.host}/?list={'review' if phase == 'Pending' else 'active'}")
    # Two of them are one call, and the second is folded away until somebody asks for it.
    page.locator("summary").click()
    assert_painted(page, texts)
    for box in page.locator(".choose").all():
        box.check()
    page.get_by_role("button", name="selected").click()
    arrived(page, re.compile("4 (requests|grants)"))
    assert_painted(page, texts)
    page.locator("#reason").fill("why")
    page.locator("main form button").click()
    arrived(page, "What came of each")
    assert_painted(page, [])


def hostile(number: int, **fields: object) -> Object:
    """Return a grant with the worst of everything that a list shows."""
    grant = waiting(
        subject={"type": "user", "id": f"By  carol  {'w' * 200}{number % 3}"},
        action={"name": f"customers.list on customer/1 by carol {MARKS}{number % 3}"},
        resource={"type": "customer", "id": f"\u202e{'M' * 90} Phase  Active {'i' * 90}{number % 3}"},
        binding={"mode": "Exact", "digest": f"sha256:{number % 3:064x}"},
        **fields,
    )
    grant["metadata"] |= {"name": f"agr-{'n' * 240}{number}", "uid": f"uid-{number}"}
    return grant


def listed_of(grant: Object) -> list[str]:
    request = grant["spec"]["request"]
    return [request["subject"]["id"], request["action"]["name"], request["resource"]["id"], grant["metadata"]["name"]]


def assert_painted(page: "Page", texts: list[str]) -> None:
    for width, size in SCREENS:
        view = look(page, width, size)
        assert view.problems == (), (width, size, view.problems[:5])
        for text in texts:
            assert seen_in(view.cells, text), text
        for cell in view.cells:
            assert list(unseen(cell)) == []


def test_nothing_is_approved_on_a_page_that_does_not_show_it_whole(page: "Page", console: ServedConsole) -> None:
    visit(page, console, waiting(display=[{"name": f"args.{'n' * 94}", "value": "9000"}]))
    read_through(page)
    page.get_by_label("Reason (recorded; required to approve)").fill("seen")
    page.locator("#end-of-facts").scroll_into_view_if_needed()
    approve, cut = page.locator("button.approve"), page.locator("#cut")
    page.locator("button.approve:enabled").wait_for()
    assert not cut.is_visible()
    # As another style sheet, a font or an extension may have it.
    page.evaluate(f"document.styleSheets[0].insertRule({GREEDY!r})")
    page.set_viewport_size({"width": 640, "height": 900})
    page.locator("button.approve:disabled").wait_for()
    assert cut.is_visible()
    assert "kubectl bailiwick approve agr-wanted -n crm" in cut.inner_text()
    # A no needs no more than what is seen.
    assert page.locator("button.deny").first.is_enabled()
    page.set_viewport_size({"width": 1600, "height": 900})
    page.evaluate("document.styleSheets[0].deleteRule(0)")
    page.set_viewport_size({"width": 640, "height": 900})
    page.locator("button.approve:enabled").wait_for()
    assert (cut.is_visible(), approve.count()) == (False, 1)


def test_no_letter_paints_over_its_neighbours(page: "Page", console: ServedConsole) -> None:
    nasty = [
        "e" + MARKS,
        "\ufdfd" * 9,
        "\u0e17\u0e35\u0e48" * 9,
        "\u20dd\u0489" * 4,
        "x\u0336\u0332\u0305" * 9,
        "\ua9c5" * 9,
    ]
    rows = [("args.a", "between")]
    for number, text in enumerate(nasty):
        rows += [(f"args.b{number}{visible(text)}", visible(text)), (f"args.c{number}", "between")]
    display = [{"name": name, "value": value} for name, value in rows]
    visit(page, console, waiting(display=display))
    cells = page.locator("dl.values > dt, dl.values > dd")
    ours = [cells.nth(at) for at in range(2 * len(rows)) if at // 2 % 2 == 0]
    for width in (320, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        painted = [one.screenshot(animations="disabled") for one in ours]
        page.evaluate(VANISH)
        assert [one.screenshot(animations="disabled") for one in ours] == painted
        page.evaluate(REAPPEAR)
