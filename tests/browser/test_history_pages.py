"""What histories have counted, in a real browser: the plot and its table, for everybody, at any width."""

from typing import TYPE_CHECKING, Any

import pytest

from support.console.axe import violations
from support.console.browser import arrived
from support.console.inprocess import served
from support.objects import gated_rule
from unit.console.cases import waiting
from unit.console.historyobjects import definitions, slot, stored_object
from unit.console.policies import counting

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 320])
def test_a_plot_is_drawn_named_and_repeated_as_a_table_without_a_violation(
    page: "Page",
    scheme: Any,  # noqa: ANN401 - a literal
    width: int,
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    limit = {"name": "few", "expression": "history.exports.count <= 5"}
    policy = counting(rules=[gated_rule("export", conditions=[limit])])
    exports = definitions(policy)["exports"]
    with served(waiting(intent="support"), policies=[policy]) as console:
        made = stored_object({exports: [slot(exports, 900, 3), slot(exports, 60, 1)]})
        console.cluster.histories.append(made)
        page.goto(console.site.url)
        arrived(page, "For you to review")
        page.goto(f"http://{console.site.host}/endpoints/crm/crm-api")
        plot = page.get_by_role("img", name="Calls of exports, by time")
        high, low = (bar.bounding_box() for bar in plot.locator(".bar").all())
        assert high is not None
        assert low is not None
        # Drawn, and to scale: the policy of the page lets our style sheet speak, and no style beside it.
        assert (high["x"] < low["x"], round(high["height"] / low["height"])) == (True, 3)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert plot.locator(".bar").first.evaluate("bar => getComputedStyle(bar).fill") not in {ground, "rgb(0, 0, 0)"}
        summary = page.locator("summary", has_text="The numbers of exports")
        summary.focus()
        page.keyboard.press("Enter")
        page.get_by_role("region", name="Numbers of the plot 1").get_by_role("cell", name="3", exact=True).wait_for()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_label("Name of an object").fill(made["metadata"]["name"])
        page.get_by_role("button", name="Look up").click()
        page.get_by_role("link", name="All objects").wait_for()
        assert page.get_by_role("cell", name=made["metadata"]["name"]).count() == 1
        page.goto(f"http://{console.site.host}/grants/crm/agr-wanted")
        page.get_by_text("count 1, no call before").first.wait_for()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
