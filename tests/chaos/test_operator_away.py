"""No operator, for an hour: what was approved serves until it ends, nothing new is approved, and decisions go on.

The hour is cut down by settings: windows and proofs of seconds. What is awaited is never that time passes, but what has
to happen, or must not, while the operator is away.
"""

import time
from typing import Final

import pytest

from bailiwick_api.accounts import GUARD_CONFIG_MAP
from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_POLICIES
from support.installation import accepted
from support.objects import POLICY, gated_rule, rule
from support.pdp.processes import Bailiwick, await_ready, readiness
from support.pdp.tenant import PLENTY, RULES, STEPS, Tenant
from support.waits import until

WINDOW_SECONDS: Final = 15
PENDING_SECONDS: Final = 30
AWAY_SECONDS: Final = 35.0


@pytest.fixture(scope="module")
def tenant(ours: Bailiwick) -> Tenant:
    point = ours.start_point("--max-staleness", "20", "--relist-interval", "5")
    brief = {"steps": STEPS, "maxUses": 50, "limits": PLENTY}
    rules = (
        *RULES,
        gated_rule("brief", actions=["customers.brief"], approval={**brief, "windowSeconds": WINDOW_SECONDS}),
        gated_rule("asked", actions=["customers.asked"], approval={**brief, "pendingSeconds": PENDING_SECONDS}),
    )
    return ours.tenants(point).make("operator-away", rules)


@pytest.mark.invariant(18)
def test_while_the_operator_is_away_decisions_go_on_nothing_is_approved_and_nothing_that_ended_serves(
    ours: Bailiwick, tenant: Tenant
) -> None:
    point = ours.stack.decision_points[0]
    await_ready(point)
    pending = tenant.opened("customers.export", "away")
    forgotten = tenant.opened("customers.asked", "away")
    used = tenant.approved("customers.notify", "away")
    brief = tenant.approved("customers.brief", "away")
    ours.stop_operator()
    began = time.monotonic()
    # What was approved serves, as long as it was approved for.
    assert tenant.ask("customers.brief", "away").decision is True
    assert tenant.ask("customers.notify", "away").decision is True
    # A review that comes now counts for nothing yet, and one that comes too late never will.
    accepted(tenant.review(pending))
    # A change of a policy is decided by at once.
    tenant.change_policy({"rules": [*RULES, *_rest(tenant), rule("more", actions=["customers.count"])]})
    until(lambda: tenant.ask("customers.count").decision, "the new rule is decided by", 10)
    opened = tenant.opened("customers.export", "away-new")
    while time.monotonic() - began < AWAY_SECONDS:
        assert tenant.ask("customers.list").decision is True
        assert tenant.ask("customers.purge").decision is False
        assert tenant.ask("customers.export", "away").decision is False
        assert tenant.ask("customers.export", "away-new").decision is False
        if time.monotonic() - began > WINDOW_SECONDS + 2:
            said = tenant.ask("customers.brief", "away")
            assert (said.decision, said.reason) == (False, "approval_expired")
        time.sleep(0.5)
    assert readiness(point)[0] == 200
    # Nobody has written that these are over, so it is the decision point that knows.
    assert [tenant.phase(name) for name in (pending, opened, brief)] == ["Pending", "Pending", "Active"]
    accepted(tenant.review(forgotten))
    ours.start_operator()
    # The guard was the same before and after, so the review that came meanwhile counts.
    until(lambda: tenant.phase(pending) == "Active", "the review counts", 60)
    until(lambda: tenant.phase(brief) == "Lapsed", "the end is written")
    # This one came when the time for it was over.
    until(lambda: tenant.phase(forgotten) == "Expired", "nobody answered in time")
    assert tenant.uses(used) == 1
    assert tenant.ask("customers.notify", "away").decision is True
    assert tenant.uses(used) == 2
    until(lambda: tenant.ask("customers.export", "away").decision, "the approved call goes through", 10)


def _rest(tenant: Tenant) -> list[object]:
    path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_POLICIES}/{POLICY}"
    found: list[object] = accepted(tenant.callers.admin.get(path))["spec"]["rules"][len(RULES) :]
    return found


def test_the_proof_of_the_guards_stands_without_an_operator(ours: Bailiwick, tenant: Tenant) -> None:
    path = f"/api/v1/namespaces/{ours.installation.namespace}/configmaps/{GUARD_CONFIG_MAP}"
    name = tenant.approved("customers.notify", "proof")
    ours.stop_operator()
    before = accepted(ours.callers.admin.get(path))["metadata"]["resourceVersion"]
    time.sleep(3)
    assert tenant.ask("customers.notify", "proof").decision is True
    assert accepted(ours.callers.admin.get(path))["metadata"]["resourceVersion"] == before
    ours.start_operator()
    assert tenant.uses(name) == 1
