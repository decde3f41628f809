"""Several waiting requests of a real API server are denied at once in a real browser, and never by accident."""

from functools import partial
from typing import TYPE_CHECKING

import pytest

from support.console.browser import Opens, arrived, opened
from support.installation import accepted
from support.pdp.tenant import Tenant
from support.waits import until

if TYPE_CHECKING:
    from playwright.sync_api import Page


def _denied(tenant: Tenant, name: str) -> bool:
    return tenant.phase(name) == "Denied"


def mark(page: "Page", resource: str) -> None:
    page.get_by_label(f"Choose customers.export on customer/{resource},").check()


@pytest.mark.parametrize("context", [True, False], ids=["with scripts", "without scripts"], indirect=True)
def test_those_that_stand_as_they_were_shown_are_denied_and_the_other_is_told(
    tenant: Tenant, console: Opens, page: "Page", request: pytest.FixtureRequest
) -> None:
    kind = "with" if request.node.callspec.params["context"] else "without"
    resources = [f"{kind}-{one}" for one in ("flood-a", "flood-b", "changed", "kept")]
    names = {one: opened(tenant, "customers.export", one) for one in resources}
    with console("carol") as running:
        page.goto(running.url)
        arrived(page, "For you to review")
        for one in resources[:3]:
            mark(page, one)
        # Enter on a checkbox sends its form: that writes nothing.
        page.get_by_label(f"Choose customers.export on customer/{resources[2]},").press("Enter")
        arrived(page, "Deny 3 requests?")
        assert all(tenant.grant(name)["spec"]["reviews"] == [] for name in names.values())
        accepted(tenant.review(names[resources[2]], by="dave"))
        page.get_by_label("Reason (recorded for each; not required to deny)").fill("a flood")
        page.get_by_role("button", name="Deny these 3").click()
        arrived(page, "Denied: 2")
        arrived(page, "Not written, since it changed meanwhile: 1")
    for one in resources[:2]:
        until(partial(_denied, tenant, names[one]), f"{one} is denied")
        (review,) = tenant.grant(names[one])["spec"]["reviews"]
        assert (review["reviewer"], review["decision"], review["reason"]) == ("carol", "Deny", "a flood")
    assert [one["reviewer"] for one in tenant.grant(names[resources[2]])["spec"]["reviews"]] == ["dave"]
    assert tenant.grant(names[resources[3]])["spec"]["reviews"] == []


def test_what_is_in_use_is_taken_back_together(tenant: Tenant, console: Opens, page: "Page") -> None:
    names = [tenant.approved("customers.export", one) for one in ("back-a", "back-b")]
    with console("carol") as running:
        page.goto(running.url)
        page.get_by_role("link", name="Can be used now").click()
        for one in ("back-a", "back-b"):
            mark(page, one)
        page.get_by_role("button", name="Take back selected").click()
        page.get_by_label("Reason (recorded for each)").fill("incident closed")
        page.get_by_role("button", name="Take back these 2").click()
        arrived(page, "Taken back: 2")
    assert [tenant.grant(name)["spec"]["revocation"]["by"] for name in names] == ["carol", "carol"]
