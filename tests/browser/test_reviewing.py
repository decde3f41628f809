"""A person reviews a waiting grant of a real API server in a real browser, with their own kubeconfig."""

from typing import TYPE_CHECKING

import pytest

from support.console.browser import Opens, arrived, await_held, on_the_page, opened, read_through
from support.installation import accepted
from support.namespaces import Roles
from support.pdp.tenant import Tenant
from support.waits import until

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

WHY = "seen with the customer"
# Presses Approve, and a moment later, while nothing is answered yet, both buttons. Tells whether they could be pressed.
PRESSED = """() => new Promise(done => {
  const [approve, deny] = [".approve", ".deny"].map(one => document.querySelector(one));
  approve.click();
  setTimeout(() => {
    const found = [approve.disabled, deny.disabled];
    approve.click();
    deny.click();
    setTimeout(() => done(found), 50);
  }, 50);
})"""


@pytest.mark.parametrize("context", [True, False], ids=["with scripts", "without scripts"], indirect=True)
def test_a_person_finds_the_request_reads_it_and_approves_it(
    tenant: Tenant, console: Opens, page: "Page", request: pytest.FixtureRequest
) -> None:
    scripted = request.node.callspec.params["context"]
    resource = f"approve-{scripted}"
    args = {"fields": ["name", "iban"]}
    name = opened(tenant, "customers.export", resource, args=args)
    with console("carol") as running:
        page.goto(running.url)
        page.wait_for_url(f"http://{running.site.host}/")
        page.get_by_role("link", name=f"customers.export on customer/{resource}").click()
        for title in ("Who is calling", "Arguments", "You act as"):
            arrived(page, title)
        # Once more where it says what is new since the last yes, if there was one.
        assert page.get_by_text('["name","iban"]').first.is_visible()
        approve = page.get_by_role("button", name="Approve", exact=True)
        assert approve.is_enabled() is not scripted
        read_through(page)
        page.get_by_label("Reason (recorded; required to approve)").fill(WHY)
        approve.click()
        page.get_by_text("You approved it.").wait_for()
        running.await_said(f"carol approved {name} in {tenant.namespace}")
    until(lambda: tenant.phase(name) == "Active", f"{name} is active")
    (review,) = tenant.grant(name)["spec"]["reviews"]
    assert (review["reviewer"], review["group"], review["reason"]) == ("carol", "crm-owners", WHY)
    tenant.await_known(
        lambda said: said.decision is True, "customers.export", resource, args={"fields": ["name", "iban"]}
    )


def test_a_no_needs_no_reason_and_is_final(tenant: Tenant, console: Opens, page: "Page") -> None:
    name = opened(tenant, "customers.export", "deny")
    with console("dave") as running:
        on_the_page(page, running.url, "customers.export", "deny")
        page.get_by_role("button", name="Deny", exact=True).click()
        page.get_by_text("You denied it.").wait_for()
    until(lambda: tenant.phase(name) == "Denied", f"{name} is denied")
    (review,) = tenant.grant(name)["spec"]["reviews"]
    assert (review["reviewer"], review["decision"], "reason" in review) == ("dave", "Deny", False)


def test_what_was_approved_is_revoked(tenant: Tenant, console: Opens, page: "Page") -> None:
    name = tenant.approved("customers.export", "revoke")
    with console("carol") as running:
        on_the_page(page, running.url, "customers.export", "revoke", "Can be used now")
        page.get_by_label("Reason (recorded)", exact=True).fill("incident closed")
        page.get_by_role("button", name="Revoke").click()
        page.get_by_text("You revoked it.").wait_for()
        page.wait_for_load_state()
        assert page.get_by_role("button").count() == 0
    assert tenant.grant(name)["spec"]["revocation"] == {"by": "carol", "reason": "incident closed"}


@pytest.mark.invariant(7)
def test_a_grant_that_changed_since_it_was_shown_is_not_reviewed(tenant: Tenant, console: Opens, page: "Page") -> None:
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-approve", "grace")
    name = opened(tenant, "customers.merge", "changed")
    with console("carol") as running:
        on_the_page(page, running.url, "customers.merge", "changed")
        accepted(tenant.review(name, by="grace", step=1))
        read_through(page)
        page.get_by_label("Reason (recorded; required to approve)").fill(WHY)
        page.get_by_role("button", name="Approve", exact=True).click()
        arrived(page, "The grant is not as you saw it")
        assert page.get_by_label("What you typed, to copy:").input_value() == WHY
        assert [one["reviewer"] for one in tenant.grant(name)["spec"]["reviews"]] == ["grace"]
        # Looked at again once the operator has counted the other review, it can be reviewed.
        until(lambda: tenant.grant(name)["status"].get("counted"), "the other review was counted")
        page.get_by_role("link", name="Look at it as it is now").click()
        read_through(page)
        page.get_by_label("Reason (recorded; required to approve)").fill(WHY)
        page.get_by_role("button", name="Approve", exact=True).click()
        page.get_by_text("You approved it.").wait_for()
    until(lambda: tenant.phase(name) == "Active", f"{name} is active")


def test_the_keyboard_alone_is_enough_and_enter_sends_nothing_but_by_a_button(
    tenant: Tenant, console: Opens, page: "Page"
) -> None:
    name = opened(tenant, "customers.export", "keys")
    with console("carol") as running:
        page.goto(running.url)
        arrived(page, "For you to review")
        focus_on(page, "customers.export on customer/keys")
        page.keyboard.press("Enter")
        arrived(page, "You act as")
        focus_on(page, "reason")
        page.keyboard.type("seen")
        page.keyboard.press("Enter")
        page.keyboard.type("twice")
        assert page.get_by_label("Reason (recorded; required to approve)").input_value() == "seen\ntwice"
        # As somebody reads who has no mouse: point by point.
        page.evaluate("document.activeElement.blur()")
        for _ in range(10):
            page.keyboard.press("j")
            page.wait_for_timeout(50)
        page.locator("button.approve:enabled").wait_for()
        focus_on(page, "Approve")
        page.keyboard.press("Enter")
        page.get_by_text("You approved it.").wait_for()
    (review,) = tenant.grant(name)["spec"]["reviews"]
    assert review["reason"] == "seen\ntwice"


def focus_on(page: "Page", name: str) -> None:
    """Press Tab until something has the focus that is called so, by its text or its name."""
    for _ in range(60):
        page.keyboard.press("Tab")
        held = page.evaluate("[document.activeElement.name, document.activeElement.textContent.trim()]")
        if held[0] == name or held[1].startswith(name):
            return
    message = f"Tab never came by {name}"
    raise AssertionError(message)


def test_a_button_that_was_pressed_is_pressed_once(tenant: Tenant, console: Opens, page: "Page") -> None:
    name = opened(tenant, "customers.export", "once")
    held: list[Route] = []
    with console("carol") as running:
        on_the_page(page, running.url, "customers.export", "once")
        read_through(page)
        page.get_by_label("Reason (recorded; required to approve)").fill(WHY)
        # The answer is held back, as by an API server that takes its time.
        page.route("**/review", lambda route: held.append(route))  # noqa: PLW0108 - the library marks what it is given
        # A frame after the end of the facts has come into view.
        page.locator("button.approve:enabled").wait_for()
        assert page.evaluate(PRESSED) == [True, True]
        # What is sent is heard of from another process of the browser than what the page answered.
        await_held(page, held)
        held[0].continue_()
        page.get_by_text("You approved it.").wait_for()
        assert len(held) == 1
    (review,) = tenant.grant(name)["spec"]["reviews"]
    assert review["decision"] == "Approve"
