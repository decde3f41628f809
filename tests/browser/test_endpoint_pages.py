"""Endpoints and their matrix in a real browser: with and without scripts, for everybody, and with texts that attack."""

from typing import TYPE_CHECKING, Any

import pytest

from support.console.axe import violations
from support.console.browser import Opens, arrived
from support.console.inprocess import served
from support.namespaces import Roles
from support.pdp.tenant import OWNERS, Tenant
from unit.console.policies import PAYLOADS, crm, hostile

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.mark.parametrize("context", [True, False], ids=["with scripts", "without scripts"], indirect=True)
def test_who_gets_the_right_to_see_policies_reads_who_may_do_what(
    tenant: Tenant, console: Opens, page: "Page", request: pytest.FixtureRequest
) -> None:
    roles = Roles(tenant.callers.admin, tenant.namespace)
    with console("mallory") as running:
        page.goto(running.url)
        # Without scripts the way in leads on by itself a moment later.
        page.wait_for_url(f"http://{running.site.host}/")
        page.goto(f"http://{running.site.host}/endpoints")
        page.get_by_text("You lack the verb list on endpointpolicies").first.wait_for()
    roles.bind("bailiwick-view", f"group:{OWNERS}")
    with console("carol") as running:
        page.goto(running.url)
        page.get_by_role("link", name="Endpoints").click()
        page.get_by_role("link", name=f"crm-api in {tenant.namespace}").click()
        arrived(page, "Who may do what at crm-api")
        row = page.get_by_role("row", name=f"sa:{tenant.namespace}/agent")
        row.get_by_role("link", name="Ask").first.click()
        arrived(page, "The rules that name this subject and action")
        assert page.get_by_text("RequireApproval").first.is_visible()
        page.get_by_role("link", name="Who may do what at crm-api").click()
        page.get_by_label("Action contains").fill("nothing-such")
        page.get_by_role("button", name="Show").click()
        page.get_by_text("0 actions").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 320])
def test_no_page_of_endpoints_has_a_violation_or_is_wider_than_the_screen(
    page: "Page",
    scheme: Any,  # noqa: ANN401 - a literal
    width: int,
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    seen = {}
    with served(policies=[crm(), *hostile()]) as console:
        page.goto(console.site.url)
        arrived(page, "For you to review")
        for name, path in {
            "endpoints": "/endpoints",
            "endpoint": "/endpoints/crm/crm-api",
            "hostile": f"/endpoints/crm/hostile-{len(PAYLOADS) - 1}",
            "together": "/endpoints/crm/crm-api/together",
            "missing": "/endpoints/crm/none",
        }.items():
            page.goto(f"http://{console.site.host}{path}")
            seen[name] = violations(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.goto(f"http://{console.site.host}/endpoints/crm/crm-api")
        page.get_by_role("link", name="Ask (").click()
        arrived(page, "The rules that name this subject and action")
        seen["cell"] = violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert {name: found for name, found in seen.items() if found} == {}
    assert len(seen) == 6


def test_texts_in_policies_are_read_and_never_run(page: "Page") -> None:
    with served(policies=hostile()) as console:
        page.goto(console.site.url)
        arrived(page, "For you to review")
        for number, payload in enumerate(PAYLOADS):
            page.goto(f"http://{console.site.host}/endpoints/crm/hostile-{number}")
            shown = payload.replace("\u202e", "\\u202e").replace("\u200b", "\\u200b").replace("\u2066", "\\u2066")
            assert shown in page.inner_text("main"), number
            assert page.locator("main img, main svg, main script, main iframe").count() == 0
            for link in page.locator("table a").all()[:2]:
                target = link.get_attribute("href")
                assert target is not None
                assert target.startswith(f"/endpoints/crm/hostile-{number}/cell?")
