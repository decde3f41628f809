"""Pages that are open show what happens on a real API server, by a stream and without one."""

from typing import TYPE_CHECKING

import pytest

from support.console.browser import Opens, on_the_page, opened
from support.installation import accepted
from support.namespaces import Roles
from support.pdp.tenant import Tenant

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Nothing is asked for every few seconds.
NO_POLLING = "window.setInterval = () => 0"


@pytest.mark.parametrize("how", ["stream", "polling"])
def test_a_list_that_is_open_shows_what_comes(tenant: Tenant, console: Opens, page: "Page", how: str) -> None:
    if how == "stream":
        page.add_init_script(NO_POLLING)
    else:
        page.route("**/events*", lambda route: route.fulfill(status=429))
    with console("carol") as running:
        page.goto(running.url)
        page.get_by_role("heading", name="For you to review").wait_for()
        name = opened(tenant, "customers.export", f"live-{how}")
        link = page.get_by_role("link", name=f"customers.export on customer/live-{how}")
        link.wait_for()
        assert page.get_by_text("The list has changed.").is_visible()
        accepted(tenant.review(name, by="dave"))
        link.wait_for(state="detached")
        if how == "polling":
            running.end()
            page.get_by_text("the console does not answer").wait_for()


def test_what_is_marked_stays_marked_only_while_it_is_the_same(tenant: Tenant, console: Opens, page: "Page") -> None:
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-approve", "grace")
    names = {one: opened(tenant, "customers.merge", one) for one in ("mark-same", "mark-other")}
    page.add_init_script(NO_POLLING)
    with console("carol") as running:
        page.goto(running.url)
        page.get_by_role("heading", name="For you to review").wait_for()
        same, other = (page.get_by_label(f"Choose customers.merge on customer/{one},") for one in names)
        same.check()
        other.check()
        other.focus()
        accepted(tenant.review(names["mark-other"], by="grace", step=1))
        page.get_by_text("No longer marked, since changed: 1.").wait_for()
        assert (same.is_checked(), other.is_checked()) == (True, False)
        # The focus is where it was.
        assert other.evaluate("box => box === document.activeElement")


def test_an_open_grant_says_that_it_has_changed_and_keeps_what_was_typed(
    tenant: Tenant, console: Opens, page: "Page"
) -> None:
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-approve", "grace")
    name = opened(tenant, "customers.merge", "moved")
    with console("carol") as running:
        on_the_page(page, running.url, "customers.merge", "moved")
        reason = page.get_by_label("Your reason, for the record. A yes needs one.")
        reason.fill("half a thou")
        moved = page.get_by_text("This request has changed since the page was shown.")
        assert not moved.is_visible()
        accepted(tenant.review(name, by="grace", step=1))
        moved.wait_for()
        assert reason.input_value() == "half a thou"
        page.get_by_role("link", name="Look at it as it is now").click()
        page.get_by_text("grace").first.wait_for()
        assert not moved.is_visible()
