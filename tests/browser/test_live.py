"""Pages that are open show what happens on a real API server, by a stream and without one."""

from typing import TYPE_CHECKING

import pytest

from support.console.browser import Opens, arrived, await_held, on_the_page, opened
from support.console.inprocess import served
from support.installation import accepted
from support.namespaces import Roles
from support.pdp.tenant import Tenant
from support.waits import until
from unit.console.cases import waiting

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

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
        arrived(page, "For you to review")
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
        arrived(page, "For you to review")
        same, other = (page.get_by_label(f"Choose customers.merge on customer/{one},") for one in names)
        same.check()
        other.check()
        other.focus()
        accepted(tenant.review(names["mark-other"], by="grace", step=1))
        page.get_by_text("No longer marked, since changed: 1.").wait_for()
        assert (same.is_checked(), other.is_checked()) == (True, False)
        # The focus is where it was.
        assert other.evaluate("box => box === document.activeElement")


def test_what_is_no_longer_marked_is_told_until_something_is_marked_again(page: "Page") -> None:
    grants = []
    for number, one in enumerate(("kept", "moved", "other")):
        binding = {"mode": "Exact", "digest": f"sha256:{number:064x}"}
        grants.append(waiting(resource={"type": "customer", "id": one}, binding=binding))
        grants[-1]["metadata"] |= {"name": f"agr-{number}", "uid": f"uid-{number}"}
    page.add_init_script(NO_POLLING)
    with served(*grants) as console:
        page.goto(console.site.url)
        arrived(page, "For you to review")
        page.get_by_label("Choose customers.export on customer/moved,").check()
        console.cluster.grants[1]["metadata"]["resourceVersion"] = "200"
        console.cluster.change("200", "agr-1")
        told = page.get_by_text("No longer marked, since changed: 1.")
        told.wait_for()
        # The list goes on to change, as it does while the operator counts what others review.
        gone = page.get_by_role("link", name="customers.export on customer/other")
        del console.cluster.grants[2]
        console.cluster.change("300", "agr-2")
        gone.wait_for(state="detached")
        assert told.is_visible()
        page.get_by_label("Choose customers.export on customer/moved,").check()
        told.wait_for(state="hidden")


def test_a_list_that_could_not_be_had_is_asked_for_again_within_seconds(page: "Page") -> None:
    fails = True

    def refreshed(route: "Route") -> None:
        if fails and "x-bailiwick-refresh" in route.request.headers:
            route.abort()
        else:
            route.continue_()

    page.clock.install()
    page.route("**/", refreshed)
    with served(waiting()) as console:
        page.goto(console.site.url)
        arrived(page, "For you to review")
        # A stream that begins may have missed something, so that the page asks.
        told = page.get_by_text("This list is not up to date: the console does not answer.")
        told.wait_for()
        fails = False
        # From here on no time passes.
        page.clock.pause_at(page.evaluate("Date.now() / 1000 + 11"))
        told.wait_for(state="hidden")


def test_an_answer_that_comes_late_takes_no_newer_list_its_place(page: "Page") -> None:
    late: list[Route] = []

    def refreshed(route: "Route") -> None:
        if not late and "x-bailiwick-refresh" in route.request.headers:
            late.append(route)
        else:
            route.continue_()

    page.add_init_script(NO_POLLING)
    page.route("**/", refreshed)
    with served(waiting()) as console:
        page.goto(console.site.url)
        arrived(page, "For you to review")
        older = page.content()
        await_held(page, late)
        console.cluster.grants[0]["spec"]["request"]["resource"]["id"] = "newer"
        console.cluster.grants[0]["metadata"]["resourceVersion"] = "200"
        console.cluster.change("200")
        newer = page.get_by_role("link", name="customers.export on customer/newer")
        newer.wait_for()
        with page.expect_event("requestfinished", lambda one: one == late[0].request):
            late[0].fulfill(body=older, content_type="text/html")
        # After the page has had its turn with the answer.
        page.evaluate("new Promise(done => setTimeout(done, 50))")
        assert newer.is_visible()


def test_an_open_grant_says_that_it_has_changed_and_keeps_what_was_typed(
    tenant: Tenant, console: Opens, page: "Page"
) -> None:
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-approve", "grace")
    name = opened(tenant, "customers.merge", "moved")
    with console("carol") as running:
        on_the_page(page, running.url, "customers.merge", "moved")
        reason = page.get_by_label("Reason (recorded; required to approve)")
        reason.fill("half a thou")
        moved = page.get_by_text("This request has changed since the page was shown.")
        assert not moved.is_visible()
        accepted(tenant.review(name, by="grace", step=1))
        moved.wait_for()
        assert reason.input_value() == "half a thou"
        # What the operator writes of the other review would be one more change.
        until(lambda: tenant.grant(name)["status"].get("counted"), "the other review was counted")
        page.get_by_role("link", name="Look at it as it is now").click()
        page.get_by_text("grace").first.wait_for()
        page.wait_for_load_state()
        assert not moved.is_visible()
