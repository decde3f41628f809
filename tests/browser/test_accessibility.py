"""Every page is one that everybody can use: by axe's rules for WCAG 2.2 AA, light and dark, wide and narrow."""

from typing import TYPE_CHECKING, Any, Final

import pytest

from support.console.axe import violations
from support.console.browser import Opens, arrived, opened
from support.installation import accepted
from support.pdp.tenant import Tenant
from support.waits import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

UNCHECKED: Final = """() => {
  const form = document.getElementById("review"), button = form.querySelector(".approve");
  const field = document.createElement("input");
  [field.type, field.name, field.value] = ["hidden", button.name, button.value];
  form.append(field);
  form.submit();
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 320])
def test_no_page_has_a_violation(tenant: Tenant, console: Opens, page: "Page", scheme: Any, width: int) -> None:  # noqa: ANN401 - a literal
    resource = f"axe-{scheme}-{width}"
    name = opened(tenant, "customers.export", resource, args={"fields": ["name"], "note": "p\u0430ypal"})
    # Before the list is read: a row that changes under the mark, by the operator's first look, loses the mark.
    other = opened(tenant, "customers.export", f"{resource}-no")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    with console("carol") as running:
        page.goto(running.url)
        arrived(page, "For you to review")
        seen = {"inbox": violations(page)}
        page.get_by_label(f"Choose customers.export on customer/{resource}-no, {other}").check()
        page.get_by_role("button", name="Deny selected").click()
        arrived(page, "Deny 1 request?")
        seen["several"] = violations(page)
        page.get_by_role("button", name="Deny this one").click()
        arrived(page, "Denied: 1")
        seen["what came of each"] = violations(page)
        page.goto(f"http://{running.site.host}/")
        page.get_by_role("link", name=f"customers.export on customer/{resource}", exact=True).click()
        arrived(page, "You act as")
        seen["grant"] = violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Sent without a reason, as a browser would that checks nothing.
        page.evaluate(UNCHECKED)
        page.get_by_text("Nothing was written.").wait_for()
        seen["problem"] = violations(page)
        accepted(tenant.review(name, by="dave"))
        page.get_by_role("button", name="Deny", exact=True).click()
        arrived(page, "The grant is not as you saw it")
        seen["changed"] = violations(page)
        until(lambda: tenant.phase(name) == "Active", f"{name} is active")
        page.get_by_role("link", name="Look at it as it is now").click()
        arrived(page, "Revoke the grant")
        seen["active"] = violations(page)
        page.goto(f"http://{running.site.host}/grants/{tenant.namespace}/agr-none")
        seen["failed"] = violations(page)
        page.goto(running.url)
        seen["refused"] = violations(page)
    assert {name: found for name, found in seen.items() if found} == {}
    assert len(seen) == 9
