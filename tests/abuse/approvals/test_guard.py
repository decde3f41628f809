"""Somebody loosens the guard of reviews for a moment, forges a review and puts everything back, end to end.

Holds: the attacker is the administrator, and may do all this while the operator runs or while it is stopped. From the
change on the decision point lets no call through by a grant (`approval_unverifiable`), until an operator has proven the
guard anew; what was written meanwhile never counts. An honest hour without operator costs nothing.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import pytest

from bailiwick_api.manifests.guards import REVIEW, STATUS
from demo.stack import DecisionPoint
from support.guards.sabotage import OPENING, OTHER, Guards
from support.installation import accepted
from support.objects import Object, active_status, adding_review, gated_rule, later
from support.pdp.oftenproven import often_proven, start_operator
from support.pdp.processes import Bailiwick, await_ready, readiness
from support.pdp.tenant import OWNERS, RULES, STEPS, Tenant
from support.waits import until, until_ok

# Each way of weakening the guard takes seconds to come into force; one of them stands in cluster/operator.
pytestmark = pytest.mark.long
MANY: Final = {"pendingPerSubject": 50, "requestsPerHour": 1000}
COUNTED: Final = [{"reviewer": "dave"}]


@pytest.fixture(scope="module")
def ours() -> Iterator[Bailiwick]:
    """A control plane of this module alone, whose guards its tests break; the operator proves often."""
    with often_proven() as ours:
        yield ours


@pytest.fixture(scope="module")
def tenant(ours: Bailiwick) -> Tenant:
    return ours.tenants().make("guard", notified())


def notified(**approval: object) -> list[Object]:
    """Return rules by which a notification needs an approval."""
    approval = {"steps": STEPS, "maxUses": 5, "limits": MANY, **approval}
    return [RULES[0], gated_rule("notify", actions=["customers.notify"], approval=approval)]


@pytest.fixture
def guards(ours: Bailiwick, tenant: Tenant) -> Iterator[Guards]:
    """The guards, to be tampered with; afterwards they are as shipped, and proven by an operator that runs."""
    await_ready(point_of(ours))
    guards = Guards(ours.callers, ours.installation)
    yield guards
    guards.restore()
    start_operator(ours)
    guards.await_recorded()
    await_ready(point_of(ours))


def point_of(ours: Bailiwick) -> DecisionPoint:
    return ours.points[0]


def forge_review(tenant: Tenant, name: str) -> bool:
    """Try to write a review in Dave's name, as the administrator."""
    stored = tenant.grant(name)
    request = stored["spec"]["request"]
    entry = {"reviewer": "dave", "step": request["steps"][0]["name"], "group": OWNERS, "decision": "Approve"}
    change = adding_review({**entry, "binding": request["binding"]["digest"]})
    return tenant.callers.admin.patch(stored, change, "json").ok


def forge_status(tenant: Tenant, name: str) -> bool:
    """Try to write that it is active and that the review counts."""
    status = {"status": active_status(phase="Active", counted=COUNTED)}
    return tenant.callers.admin.patch(tenant.grant(name), status, "merge", "status").ok


def forge_use(tenant: Tenant, name: str, request_id: str, when: str) -> bool:
    """Try to write that it is used up, by a call of the enforcer with this request id."""
    enforcer = f"/api/v1/namespaces/{tenant.namespace}/serviceaccounts/api"
    uid = accepted(tenant.callers.admin.get(enforcer))["metadata"]["uid"]
    stored = tenant.grant(name)
    # As the decision point keeps it, which is no secret.
    parts = ("request", uid, request_id, stored["spec"]["request"]["binding"]["digest"])
    framed = b"".join(len(part).to_bytes(4, "big") + part.encode() for part in parts)
    record = {"key": f"sha256:{sha256(framed).hexdigest()}", "time": when, "evaluationID": "eval_forged"}
    status = active_status(phase="Consumed", uses=1, useRecords=[record])
    return tenant.callers.admin.patch(stored, {"status": status}, "merge", "status").ok


def refused(tenant: Tenant, resource: str) -> None:
    """Hold that a call that an active grant would let through is denied since nobody can verify it."""
    answer = tenant.ask("customers.notify", resource)
    assert (answer.decision, answer.reason) == (False, "approval_unverifiable")


def void(tenant: Tenant, name: str, resource: str) -> None:
    """Hold that a grant came to nothing, for good, and serves nobody."""
    until(lambda: tenant.phase(name) in {"Expired", "Lapsed"}, f"{name} is void", 20)
    assert tenant.ask("customers.notify", resource).decision is False
    assert tenant.uses(name) == 0
    ready = next(one for one in tenant.grant(name)["status"]["conditions"] if one["type"] == "Ready")
    assert ready["reason"] == "GuardUnproven"


@pytest.mark.invariant(26, 27)
@pytest.mark.parametrize("how", OPENING)
def test_a_review_forged_while_the_guard_is_out_of_force_counts_for_nothing(
    ours: Bailiwick, tenant: Tenant, guards: Guards, how: str
) -> None:
    served, waiting = f"served {how}", f"waiting {how}"
    tenant.approved("customers.notify", served)
    name = tenant.opened("customers.notify", waiting)
    until(lambda: "status" in tenant.grant(name), "the operator has seen it")
    OPENING[how](ours.callers.admin)
    until(lambda: not readiness(point_of(ours))[1]["guard"]["proven"], "the decision point misses the guard", 5)
    refused(tenant, served)
    until(lambda: forge_review(tenant, name), "the guard lets a forged review through", 20)
    refused(tenant, served)
    assert tenant.phase(name) != "Active"
    guards.restore()
    void(tenant, name, waiting)
    guards.await_recorded()
    tenant.approved("customers.notify", f"honest after {how}")
    assert tenant.ask("customers.notify", f"honest after {how}").decision is True


@pytest.mark.invariant(26)
@pytest.mark.parametrize("how", OTHER)
def test_any_other_guard_than_the_shipped_one_lets_no_grant_be_used(
    ours: Bailiwick, tenant: Tenant, guards: Guards, how: str
) -> None:
    tenant.approved("customers.notify", f"other {how}")
    OTHER[how](ours.callers.admin)
    until(lambda: not readiness(point_of(ours))[1]["guard"]["proven"], "the decision point misses the guard", 5)
    refused(tenant, f"other {how}")
    assert tenant.ask("customers.list").decision is True


@pytest.mark.invariant(6, 26, 27)
@pytest.mark.parametrize("operator", ["running", "stopped"])
def test_a_request_that_was_changed_under_a_loosened_schema_serves_nobody(
    ours: Bailiwick, tenant: Tenant, guards: Guards, operator: str
) -> None:
    resource, wider = f"schema, {operator}", f"wider, {operator}"
    name = tenant.approved("customers.notify", resource)
    if operator == "stopped":
        ours.stop_operator()
    guards.loosen_definition()
    until(lambda: not readiness(point_of(ours))[1]["guard"]["proven"], "the decision point misses the guard", 5)
    refused(tenant, resource)
    # The guard alone would refuse it too: it takes no write by others that reviews nothing.
    guards.loosen(REVIEW)
    change = [{"op": "replace", "path": "/spec/request/resource/id", "value": wider}]
    admin = ours.callers.admin
    until_ok(lambda: admin.patch(tenant.grant(name), change, "json"), "the definition lets it be changed", 20)
    guards.restore()
    if operator == "stopped":
        refused(tenant, resource)
        start_operator(ours)
    void(tenant, name, resource)
    assert tenant.ask("customers.notify", wider).decision is False


@pytest.mark.invariant(11, 26)
@pytest.mark.parametrize("when", [{"seconds": 10}, {"minutes": 5}, {"days": 300}], ids=["now", "soon", "for long"])
def test_a_use_forged_while_the_guard_is_out_of_force_is_no_call_that_comes_again(
    ours: Bailiwick, tenant: Tenant, guards: Guards, when: dict[str, float]
) -> None:
    """The call that used a grant up may come again within 30 s, but only if the reviews of that grant count."""
    resource, request_id = f"used, {when}", f"forged-{len(when)}-{min(when)}"
    name = tenant.opened("customers.notify", resource)
    until(lambda: "status" in tenant.grant(name), "the operator has seen it")
    guards.loosen(STATUS)
    until(lambda: forge_use(tenant, name, request_id, later(**when)), "the guard lets a forged status through", 20)
    guards.restore()
    guards.await_recorded()
    await_ready(point_of(ours))
    assert tenant.phase(name) == "Consumed"
    answer = tenant.ask("customers.notify", resource, request_id=request_id)
    assert (answer.decision, answer.reason) == (False, "approval_required")


class TestWhileTheOperatorIsStopped:
    @pytest.mark.invariant(26, 27)
    @pytest.mark.parametrize("how", ["the binding audits", "the policy is deleted", "the policy is for nobody"])
    def test_what_is_forged_is_not_usable_then_nor_later(
        self, ours: Bailiwick, tenant: Tenant, guards: Guards, how: str
    ) -> None:
        served, waiting = f"stopped, served, {how}", f"stopped, waiting, {how}"
        tenant.approved("customers.notify", served)
        name = tenant.opened("customers.notify", waiting)
        until(lambda: "status" in tenant.grant(name), "the operator has seen it")
        ours.stop_operator()
        OPENING[how](ours.callers.admin)
        guards.loosen(STATUS)
        until(lambda: forge_review(tenant, name), "the guard lets a forged review through", 20)
        until(lambda: forge_status(tenant, name), "the guard lets a forged status through", 20)
        assert tenant.phase(name) == "Active"
        refused(tenant, waiting)
        guards.restore()
        # As shipped again, and not the guard that was proven: it was touched, and nobody is there to look.
        assert readiness(point_of(ours))[1]["guard"]["proven"] is False
        for resource in (served, waiting):
            refused(tenant, resource)
        assert tenant.ask("customers.list").decision is True
        start_operator(ours)
        void(tenant, name, waiting)
        guards.await_recorded()
        await_ready(point_of(ours))
        assert tenant.ask("customers.notify", waiting).decision is False

    @pytest.mark.invariant(27)
    def test_an_honest_review_counts_when_it_is_back(self, ours: Bailiwick, tenant: Tenant, guards: Guards) -> None:
        tenant.approved("customers.notify", "honest, served")
        name = tenant.opened("customers.notify", "honest, waiting")
        until(lambda: "status" in tenant.grant(name), "the operator has seen it")
        ours.stop_operator()
        accepted(tenant.review(name))
        opened = tenant.opened("customers.notify", "honest, opened")
        accepted(tenant.review(opened, "dave"))
        # Nothing becomes approved, and what was approved goes on.
        assert tenant.ask("customers.notify", "honest, served").decision is True
        assert tenant.ask("customers.notify", "honest, waiting").reason == "approval_pending"
        start_operator(ours)
        for one, resource in ((name, "honest, waiting"), (opened, "honest, opened")):
            until(lambda: tenant.phase(one) == "Active", f"{resource} is active", 20)  # noqa: B023 - asked at once
            tenant.await_known(lambda said: said.decision is True, "customers.notify", resource)
            assert tenant.ask("customers.notify", resource).decision is True

    @pytest.mark.invariant(12, 27)
    def test_time_goes_on_without_it(self, ours: Bailiwick, guards: Guards) -> None:
        # Of its own: with so short a window, the grants of the other tests would end by time.
        tenant = ours.tenants().make("guard-time", notified(windowSeconds=20))
        name = tenant.approved("customers.notify", "time")
        ours.stop_operator()
        assert tenant.ask("customers.notify", "time").decision is True
        until(lambda: tenant.ask("customers.notify", "time").reason == "approval_expired", "it lapses by itself")
        # Nobody has written so: the phase is only what was last seen.
        assert tenant.phase(name) == "Active"


@pytest.mark.invariant(27)
def test_a_record_of_another_guard_proves_nothing(ours: Bailiwick, tenant: Tenant, guards: Guards) -> None:
    """Whoever only changes guards, and not our namespace, cannot write the record; a stale one never fits again."""
    tenant.approved("customers.notify", "stale record")
    ours.stop_operator()
    guards.loosen(REVIEW)
    guards.restore()
    until(lambda: not readiness(point_of(ours))[1]["guard"]["proven"], "the decision point misses the guard", 5)
    assert "changed since" in readiness(point_of(ours))[1]["guard"]["why"]
    refused(tenant, "stale record")
