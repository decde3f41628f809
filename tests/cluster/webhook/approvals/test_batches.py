"""A batch and its grants: decided whole, then used in order."""

from typing import Any

import pytest

from bailiwick_engine.call import ServiceAccount
from bailiwick_kube.access import access
from bailiwick_kube.connections import HttpTransport
from bailiwick_webhook.cluster.client import ApiClient
from bailiwick_webhook.identity.permits import Permits
from support.namespaces import Roles
from support.pdp import questions
from support.pdp.processes import Bailiwick
from support.pdp.questions import Said
from support.pdp.tenant import Tenant


def ask(tenant: Tenant, *items: Any, request_id: str | None = None, **more: Any) -> Said:  # noqa: ANN401 - JSON
    headers = {} if request_id is None else {"X-Request-ID": request_id}
    body = {**tenant.body("customers.list"), "evaluations": list(items), **more}
    return questions.post(tenant.url("evaluations"), body, tenant.pep, headers)


def item(action: str, resource: str) -> dict[str, Any]:
    return {"action": {"name": action}, "resource": {"type": "customer", "id": resource}}


def outcomes(said: Said) -> list[tuple[bool, str]]:
    return [(one["decision"], one["context"]["reason"]) for one in said.body["evaluations"]]


def test_two_items_of_one_digest_are_two_calls_and_one_grant_lets_one_through(tenant: Tenant) -> None:
    grant = tenant.approved("customers.export", "batch-1")
    said = ask(tenant, *[item("customers.export", "batch-1")] * 3, request_id="batch-1")
    assert outcomes(said) == [(True, "allowed"), (False, "approval_consumed"), (False, "approval_consumed")]
    assert tenant.uses(grant) == 1


@pytest.mark.invariant(10)
def test_as_many_items_pass_as_the_grant_has_uses(tenant: Tenant) -> None:
    grant = tenant.approved("customers.notify", "batch-2")
    said = ask(tenant, *[item("customers.notify", "batch-2")] * 4)
    assert [decision for decision, _ in outcomes(said)] == [True, True, True, False]
    assert tenant.uses(grant) == 3


# AB-17
@pytest.mark.invariant(11)
def test_a_batch_that_is_sent_again_takes_no_use_more(tenant: Tenant) -> None:
    grant = tenant.approved("customers.notify", "batch-3")
    items = [item("customers.notify", "batch-3")] * 2
    first, second = (ask(tenant, *items, request_id="batch-3") for _ in range(2))
    assert [decision for decision, _ in outcomes(first)] == [True, True]
    assert [decision for decision, _ in outcomes(second)] == [True, True]
    assert tenant.uses(grant) == 2


@pytest.mark.parametrize(
    ("semantic", "items", "decisions", "uses"),
    [
        ("permit_on_first_permit", ["list", "export"], [True], 0),
        ("permit_on_first_permit", ["purge", "export", "export"], [False, True], 1),
        ("deny_on_first_deny", ["purge", "export"], [False], 0),
        ("deny_on_first_deny", ["export", "export", "list"], [True, False], 1),
        ("execute_all", ["purge", "export", "list"], [False, True, True], 1),
    ],
)
def test_no_use_is_taken_behind_the_item_that_ends_the_batch(
    tenant: Tenant, semantic: str, items: list[str], decisions: list[bool], uses: int
) -> None:
    resource = f"{semantic}-{'-'.join(items)}"
    grant = tenant.approved("customers.export", resource)
    asked = [item(f"customers.{name}", resource) for name in items]
    said = ask(tenant, *asked, options={"evaluations_semantic": semantic})
    assert [decision for decision, _ in outcomes(said)] == decisions
    assert tenant.uses(grant) == uses


@pytest.mark.invariant(11)
def test_a_search_takes_no_use_and_finds_nothing_by_a_grant(tenant: Tenant) -> None:
    grant = tenant.approved("customers.export", "batch-4")
    body = tenant.body("customers.export", "batch-4")
    found = questions.post(tenant.url("search/action"), body, tenant.pep)
    assert {one["name"] for one in found.body["results"]} == {"customers.list", "customers.get"}
    assert found.context["incomplete"] is True
    assert tenant.uses(grant) == 0


async def test_who_may_get_policies_is_what_the_api_server_says(pdp: Bailiwick, tenant: Tenant) -> None:
    def account(name: str) -> ServiceAccount:
        return ServiceAccount(tenant.account(name), "uid")

    cluster = ApiClient(HttpTransport(access(pdp.stack.folder / "webhook.token.kubeconfig"), 10.0, "test"))
    try:
        Roles(pdp.callers.admin, tenant.namespace).bind("bailiwick-view", tenant.account("api"))
        assert await Permits(cluster).may_get_policies(account("api"), tenant.namespace)
        assert not await Permits(cluster).may_get_policies(account("agent"), tenant.namespace)
        assert not await Permits(cluster).may_get_policies(account("api"), "default")
    finally:
        await cluster.close()
