"""The graph of who may ask whom in a real browser: by axe, on a phone and a screen, and led to by the keyboard."""

from typing import TYPE_CHECKING, Any

import pytest

from support.console.axe import PageLooks
from support.console.browser import arrived, follow
from support.console.inprocess import served
from unit.console.policies import PAYLOADS, crm, hostile

if TYPE_CHECKING:
    from playwright.sync_api import Page

GRAPH = "/endpoints/crm/crm-api/graph"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_the_graph_has_no_violation_and_is_no_wider_than_the_screen(
    page: "Page",
    scheme: Any,  # noqa: ANN401 - a literal
    width: int,
) -> None:
    looks = PageLooks(page, scheme, width, scripted=True)
    with served(policies=[crm(), *hostile()]) as console:
        page.goto(console.site.url)
        arrived(page, "For you to review")
        for path in (GRAPH, "/endpoints/graph", f"/endpoints/crm/hostile-{len(PAYLOADS) - 1}/graph"):
            page.goto(f"http://{console.site.host}{path}")
            looks.take(path)
    looks.were_good(3)


@pytest.mark.parametrize("context", [True, False], ids=["with scripts", "without scripts"], indirect=True)
def test_a_line_is_drawn_in_its_colour_and_the_keyboard_leads_to_its_cell(page: "Page") -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    with served(policies=[crm()]) as console:
        page.goto(console.site.url)
        page.wait_for_url(f"http://{console.site.host}/")
        page.goto(f"http://{console.site.host}/endpoints/crm/crm-api")
        follow(page, page.get_by_role("link", name="The graph of who may ask whom"))
        drawn = page.get_by_role("img", name="Who may ask whom").bounding_box()
        assert drawn is not None
        # All of it, without scrolling.
        assert drawn["x"] >= 0
        assert drawn["x"] + drawn["width"] <= 1280
        assert drawn["y"] + drawn["height"] <= 800
        strokes = {
            name: page.locator(f".graph path.{name}").first.evaluate(
                "one => [getComputedStyle(one).stroke, getComputedStyle(one).strokeDasharray]"
            )
            for name in ("allowed", "conditional", "gated")
        }
        # Told apart by colour, and by dashes too.
        assert len({colour for colour, _ in strokes.values()}) == len({dashes for _, dashes in strokes.values()}) == 3
        page.get_by_role("region", name="Table of who may ask whom").focus()
        targets = []
        for _ in range(10):
            page.keyboard.press("Tab")
            targets.append(page.evaluate("document.activeElement.textContent.trim()"))
            if targets[-1] == "customers.export":
                break
        assert targets[-1] == "customers.export", targets
        page.keyboard.press("Enter")
        arrived(page, "The rules that name this subject and action")
        assert page.get_by_text("RequireApproval").first.is_visible()
