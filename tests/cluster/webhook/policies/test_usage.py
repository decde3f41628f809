"""What people see of a policy after calls: a use of a rule, a use of an approval, what a candidate differs in."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_POLICIES
from bailiwick_api.times import stamp
from support.installation import accepted
from support.objects import Object, policy, rule, settings, subject
from support.pdp.tenant import RULES, Tenant, Tenants
from support.tables import rows
from support.waits import until

READ, EXPORT, *_ = RULES
# A few rounds of the operator's questions.
SECONDS: Final = 60


@pytest.fixture
def tenant(tenants: Tenants) -> Tenant:
    """A tenant with a policy that allows, one that asks for an approval, and a candidate for the first."""
    made = tenants.make("usage", [READ])
    given: dict[str, Any] = {"subjects": [subject(namespace=made.namespace, account="agent")]}
    accepted(made.callers.admin.create(policy(made.namespace, "gates", rules=[EXPORT], **given)))
    candidate: dict[str, Any] = {
        "endpointSettings": settings(made.namespace, "api"),
        "rules": [rule("read", effect="Deny", actions=["customers.list"])],
        "mode": "Audit",
        "replaces": "crm-agent",
    }
    accepted(made.callers.admin.create(policy(made.namespace, "next", **given, **candidate)))
    until(lambda: all("usage" in status(made, name) for name in ("crm-agent", "gates")), "uses are observed", SECONDS)
    until(lambda: "shadow" in status(made, "next"), "the candidate is counted", SECONDS)
    return made


def status(tenant: Tenant, name: str) -> Object:
    path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_POLICIES}/{name}"
    found: Object = accepted(tenant.callers.admin.get(path)).get("status", {})
    return found


def shown(tenant: Tenant) -> dict[str, dict[str, Any]]:
    return rows(tenant.callers.admin, f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_POLICIES}")


def used(tenant: Tenant, name: str) -> bool:
    return "lastUsedTime" in status(tenant, name).get("usage", {})


def test_a_use_of_a_rule_is_told_to_the_day_and_one_of_an_approval_too(tenant: Tenant) -> None:
    before = shown(tenant)
    assert {name: row["Unused"] is not None for name, row in before.items()} == {
        "crm-agent": True,
        "gates": True,
        # It decides nothing that could be missed.
        "next": False,
    }
    assert (before["gates"]["Rules"], before["gates"]["Gated"], before["gates"]["Gated actions"]) == (
        *(1, 1),
        '["customers.export"]',
    )
    # All that was asked until now was a dry run.
    assert not used(tenant, "crm-agent")
    days = {stamp(datetime.now(UTC))[:10]}
    assert tenant.ask("customers.list").decision is True
    until(lambda: used(tenant, "crm-agent"), "the use is told", SECONDS)
    days.add(stamp(datetime.now(UTC))[:10])
    told = status(tenant, "crm-agent")["usage"]
    assert told["lastUsedTime"] in {f"{day}T00:00:00Z" for day in days}
    assert (shown(tenant)["crm-agent"]["Unused"], used(tenant, "gates")) == (None, False)

    tenant.approved("customers.export", "used")
    assert tenant.ask("customers.export", "used").decision is True
    until(lambda: used(tenant, "gates"), "the use of the approval is told", SECONDS)
    assert (shown(tenant)["gates"]["Unused"], shown(tenant)["gates"]["Last used"] is None) == (None, False)


@pytest.mark.long
def test_what_a_candidate_differs_in_is_told_and_seldom_written(tenant: Tenant) -> None:
    for point in range(len(tenant.points)):
        assert tenant.ask("customers.list", point=point).decision is True
    until(lambda: status(tenant, "next")["shadow"]["different"] > 0, "the differences are told", SECONDS)
    row = shown(tenant)["next"]
    assert 1 <= row["Different"] <= row["Compared"]
    assert status(tenant, "next")["shadow"]["observedGeneration"] == 1
