"""A grant that a person writes ahead of time: resolved, reviewed, and used by the calls that fall under its scope."""

from typing import Final

import pytest

from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object, gated_rule, grant, rule
from support.pdp.tenant import Tenant, Tenants
from support.waits import until

APPROVAL: Final = {"binding": "Scope", "steps": [{"name": "owner", "kind": "Human"}], "maxUses": 5}
RULES: Final = [
    rule("read"),
    gated_rule(
        "export", actions=["customers.export"], resources=[{"type": "customer", "ids": ["*"]}], approval=APPROVAL
    ),
]


def again(tenant: Tenant, name: str, resource: str) -> None:
    """Write a grant for an export as Erin."""
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-request", "erin")
    body = grant(tenant.namespace, name, requester="erin")
    body["spec"]["request"] |= {
        "rules": [{"policy": "crm-agent", "rule": "export"}],
        "subject": {"type": "serviceAccount", "id": tenant.agent},
        "resource": {"type": "customer", "id": resource},
    }
    accepted(tenant.callers("erin").create(body))


def written(tenant: Tenant, **request: object) -> Object:
    """Write a grant as Erin, and wait until it is resolved."""
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-request", "erin")
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-approve", "carol")
    body = grant(tenant.namespace, requester="erin")
    body["spec"]["request"] |= {
        "rules": [{"policy": "crm-agent", "rule": "export"}],
        "subject": {"type": "serviceAccount", "id": tenant.agent},
        "resource": {"type": "customer", "id": "eu/*"},
        "maxUses": 2,
        **request,
    }
    made = accepted(tenant.callers("erin").create(body))
    until(lambda: "resolved" in tenant.grant("wanted").get("status", {}), "it is resolved")
    return made


@pytest.mark.invariant(14)
def test_serves_the_calls_of_its_scope_as_often_as_it_says_and_no_others(tenants: Tenants) -> None:
    tenant = tenants.make("by-hand", RULES)
    written(tenant)
    assert tenant.ask("customers.export", "eu/1").decision is False
    tenant.approve("wanted")
    tenant.await_known(lambda said: said.decision is True, "customers.export", "eu/1")
    assert tenant.ask("customers.export", "us/1").decision is False
    assert [tenant.ask("customers.export", f"eu/{number}").decision for number in range(3)] == [True, True, False]
    assert tenant.uses("wanted") == 2
    until(lambda: tenant.phase("wanted") == "Consumed", "it is used up")


@pytest.mark.invariant(13, 19)
def test_of_a_call_that_was_denied_a_moment_ago_is_withdrawn_and_lets_nothing_through(tenants: Tenants) -> None:
    limits = {"pendingPerSubject": 1, "requestsPerHour": 2, "denyCooldownSeconds": 3600}
    gated = {**RULES[1], "approval": {**APPROVAL, "limits": limits}}
    tenant = tenants.make("by-hand-denied", [RULES[0], gated])
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-approve", "carol")
    denied = tenant.opened("customers.export", "eu/1")
    accepted(tenant.review(denied, decision="Deny"))
    until(lambda: tenant.phase(denied) == "Denied", "it is denied")
    again(tenant, "again", "eu/1")
    again(tenant, "wider", "*")
    for name in ("again", "wider"):
        until(lambda name=name: tenant.phase(name) == "Withdrawn", "it is withdrawn")  # type: ignore[misc]
        assert not tenant.review(name).ok
    assert tenant.ask("customers.export", "eu/1").reason == "approval_denied"


@pytest.mark.invariant(17)
def test_dies_with_a_change_of_its_rule(tenants: Tenants) -> None:
    tenant = tenants.make("by-hand-changed", RULES)
    written(tenant)
    tenant.approve("wanted")
    tenant.await_known(lambda said: said.decision is True, "customers.export", "eu/1")
    changed = gated_rule("export", actions=["customers.export", "customers.more"], approval=APPROVAL)
    tenant.change_policy({"rules": [rule("read"), changed]})
    tenant.await_known(lambda said: said.reason == "approval_required", "customers.export", "eu/1")
