"""What goes wrong between reading a grant and answering: nothing is let through unpaid, and nothing is paid twice."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from localcluster import process
from support import faultkinds
from support.faultkinds import Held
from support.faultproxy import FaultProxy
from support.pdp.processes import API_SECONDS, Bailiwick
from support.pdp.tenant import RULES, Tenant, Tenants

GRANT: Final = r"/approvalgrants/agr-[^/?]*$"
STATUS: Final = r"/approvalgrants/agr-[^/?]*/status$"
# Of a tenant's two decision points, the first is the one behind the proxy.
BEHIND, BESIDE = 0, 1


@pytest.fixture(scope="module")
def tenant(both: Tenants) -> Tenant:
    return both.make("consuming-faults")


@pytest.mark.long
@pytest.mark.invariant(26)
@pytest.mark.parametrize("code", [401, 403, 429, 500, 503])
@pytest.mark.parametrize(("method", "path"), [("GET", GRANT), ("PUT", STATUS)], ids=["read", "write"])
def test_an_api_server_that_cannot_costs_the_call_and_no_use(
    tenant: Tenant, faults: FaultProxy, method: str, path: str, code: int
) -> None:
    resource = f"cannot-{method}-{code}"
    name = tenant.approved("customers.export", resource)
    fault = faults.on(method, path, faultkinds.status(code))
    answer = tenant.ask("customers.export", resource)
    assert (answer.decision, answer.reason, fault.seen) == (False, "approval_unverifiable", 1)
    assert tenant.uses(name) == 0
    assert tenant.ask("customers.export", resource).decision is True
    assert tenant.uses(name) == 1


@pytest.mark.long
@pytest.mark.invariant(26)
@pytest.mark.parametrize(("method", "path"), [("GET", GRANT), ("PUT", STATUS)], ids=["read", "write"])
def test_an_api_server_that_hangs_costs_the_call_within_its_deadline(
    tenant: Tenant, faults: FaultProxy, method: str, path: str
) -> None:
    name = tenant.approved("customers.export", f"hangs-{method}")
    faults.on(method, path, faultkinds.hang)
    began = time.monotonic()
    answer = tenant.ask("customers.export", f"hangs-{method}")
    assert (answer.decision, answer.reason) == (False, "approval_unverifiable")
    assert API_SECONDS - 0.1 < time.monotonic() - began < API_SECONDS + 5
    assert tenant.uses(name) == 0


@pytest.mark.parametrize("code", [400, 403, 422])
def test_a_refused_write_denies_and_is_not_tried_again(tenant: Tenant, faults: FaultProxy, code: int) -> None:
    name = tenant.approved("customers.export", f"refused-{code}")
    fault = faults.on("PUT", STATUS, faultkinds.status(code), times=None)
    answer = tenant.ask("customers.export", f"refused-{code}")
    assert (answer.decision, answer.reason, fault.seen) == (False, "approval_unverifiable", 1)
    assert tenant.uses(name) == 0


@pytest.mark.invariant(10)
def test_a_conflict_is_read_again_and_costs_nothing(tenant: Tenant, faults: FaultProxy) -> None:
    name = tenant.approved("customers.export", "conflict")
    reads = faults.on("GET", GRANT, faultkinds.pass_on, times=None)
    faults.on("PUT", STATUS, faultkinds.status(409), times=3)
    assert tenant.ask("customers.export", "conflict").decision is True
    assert (reads.seen, tenant.uses(name)) == (4, 1)


def test_conflicts_without_end_are_given_up(tenant: Tenant, faults: FaultProxy) -> None:
    name = tenant.approved("customers.export", "conflicts")
    fault = faults.on("PUT", STATUS, faultkinds.status(409), times=None)
    answer = tenant.ask("customers.export", "conflicts")
    assert (answer.decision, answer.reason, fault.seen) == (False, "approval_unverifiable", 4)
    assert tenant.uses(name) == 0


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [("GET", GRANT, "approval_required"), ("PUT", STATUS, "approval_revoked")],
    ids=["read", "write"],
)
def test_a_grant_that_is_gone_denies(tenant: Tenant, faults: FaultProxy, method: str, path: str, reason: str) -> None:
    name = tenant.approved("customers.export", f"gone-{method}")
    faults.on(method, path, faultkinds.status(404))
    answer = tenant.ask("customers.export", f"gone-{method}")
    assert (answer.decision, answer.reason, tenant.uses(name)) == (False, reason, 0)


# What the live grant says, by the path and value of its one difference, and the reason that follows.
LIVE: Final[dict[str, tuple[str, object, str]]] = {
    "another object": ("metadata.uid", "another", "approval_required"),
    "another resource": ("spec.request.resource.id", "another", "approval_required"),
    "another subject": ("spec.request.subject.uid", "another", "approval_required"),
    "no rule": ("spec.request.rules", [], "approval_required"),
    "no review": ("spec.reviews", [], "approval_unverifiable"),
    "revoked": ("spec.revocation", {"by": "carol"}, "approval_revoked"),
    "deleted, but for a finalizer": ("metadata.deletionTimestamp", "2026-01-01T00:00:00Z", "approval_revoked"),
    "no review counted": ("status.counted", [], "approval_unverifiable"),
    "the review voided": ("status.voided", [{"reviewer": "carol"}], "approval_unverifiable"),
    "over": ("status.notAfterTime", "2020-01-01T00:00:00Z", "approval_expired"),
    "pending": ("status.phase", "Pending", "approval_pending"),
    "an unknown phase": ("status.phase", "Unheard", "approval_required"),
    "used up": ("status.uses", 1, "approval_consumed"),
    "no status that can be read": ("status", [], "approval_required"),
}


@pytest.mark.long
@pytest.mark.invariant(12, 13, 14, 27)
@pytest.mark.parametrize("says", LIVE)
def test_the_live_grant_decides_whatever_the_store_said(tenant: Tenant, faults: FaultProxy, says: str) -> None:
    path, value, reason = LIVE[says]
    name = tenant.approved("customers.export", f"live-{says}")
    faults.on("GET", GRANT, faultkinds.altered({path: value}))
    answer = tenant.ask("customers.export", f"live-{says}")
    assert (answer.decision, answer.reason, tenant.uses(name)) == (False, reason, 0)


# AB-11
@pytest.mark.invariant(12, 26)
@pytest.mark.parametrize("seconds", [-40, 40])
def test_a_clock_that_is_too_far_off_denies(tenant: Tenant, faults: FaultProxy, seconds: float) -> None:
    name = tenant.approved("customers.export", f"skew-{seconds}")
    faults.on("GET", GRANT, faultkinds.skew(seconds))
    answer = tenant.ask("customers.export", f"skew-{seconds}")
    assert (answer.decision, answer.reason, tenant.uses(name)) == (False, "clock_skew", 0)


@pytest.mark.parametrize("seconds", [-20, 20])
def test_a_clock_that_is_a_little_off_does_not(tenant: Tenant, faults: FaultProxy, seconds: float) -> None:
    tenant.approved("customers.export", f"near-{seconds}")
    faults.on("GET", GRANT, faultkinds.skew(seconds))
    assert tenant.ask("customers.export", f"near-{seconds}").decision is True


@pytest.mark.invariant(12, 26)
def test_an_api_server_that_does_not_tell_the_time_denies(tenant: Tenant, faults: FaultProxy) -> None:
    tenant.approved("customers.export", "timeless")
    faults.on("GET", GRANT, faultkinds.lose_date)
    assert tenant.ask("customers.export", "timeless").reason == "clock_skew"


@pytest.mark.invariant(13)
def test_a_revocation_between_reading_and_writing_wins(tenant: Tenant, faults: FaultProxy) -> None:
    name = tenant.approved("customers.export", "between")
    held = Held(before=True)
    faults.on("PUT", STATUS, held)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(tenant.ask, "customers.export", "between")
        assert held.reached.wait(10)
        tenant.revoke(name)
        held.go.set()
        answer = call.result(20)
    assert (answer.decision, answer.reason, tenant.uses(name)) == (False, "approval_revoked", 0)


@pytest.mark.invariant(15)
def test_a_deny_rule_that_arrives_before_the_grant_was_read_wins(both: Tenants, faults: FaultProxy) -> None:
    tenant = both.make("denied-in-between")
    name = tenant.approved("customers.export", "between")
    held = Held(before=True)
    faults.on("GET", GRANT, held)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(tenant.ask, "customers.export", "between")
        assert held.reached.wait(10)
        tenant.change_policy({"rules": [*RULES[:4], {**RULES[4], "actions": ["customers.export"]}]})
        tenant.await_known(lambda said: said.reason == "policy_denied", "customers.export", "between")
        held.go.set()
        answer = call.result(20)
    assert (answer.decision, answer.reason, tenant.uses(name)) == (False, "policy_denied", 0)


def test_a_write_whose_answer_is_lost_is_found_again_and_counts_once(tenant: Tenant, faults: FaultProxy) -> None:
    name = tenant.approved("customers.notify", "lost-once")
    faults.on("PUT", STATUS, faultkinds.lose_answer, times=1)
    answer = tenant.ask("customers.notify", "lost-once")
    assert tenant.uses(name) == 1
    assert answer.decision is True or answer.reason == "approval_unverifiable"


@pytest.mark.invariant(10, 26)
def test_a_write_of_which_nobody_knows_denies_and_stays_spent(tenant: Tenant, faults: FaultProxy) -> None:
    name = tenant.approved("customers.export", "unknown")
    faults.on("PUT", STATUS, faultkinds.lose_answer, times=2)
    answer = tenant.ask("customers.export", "unknown")
    assert (answer.decision, answer.reason, tenant.uses(name)) == (False, "approval_unverifiable", 1)
    assert tenant.ask("customers.export", "unknown").reason == "approval_consumed"


@pytest.mark.long
def test_a_call_whose_answer_came_too_late_can_be_repeated_by_its_request_id_alone(
    tenant: Tenant, faults: FaultProxy
) -> None:
    name = tenant.approved("customers.export", "late")
    held = Held(before=False)
    faults.on("PUT", STATUS, held)
    assert tenant.ask("customers.export", "late", request_id="late").reason == "approval_unverifiable"
    assert held.reached.is_set()
    assert tenant.uses(name) == 1
    assert tenant.ask("customers.export", "late", point=BESIDE).reason == "approval_consumed"
    assert tenant.ask("customers.export", "late", point=BESIDE, request_id="late").decision is True
    assert tenant.uses(name) == 1


@pytest.mark.long
@pytest.mark.invariant(22, 26)
def test_a_use_stays_spent_when_its_record_cannot_be_written(pdp: Bailiwick) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no disk that is always full")
    point = pdp.start_point("--record-file", "/dev/full")
    tenant = pdp.tenants(pdp.points[0]).make("full")
    name = tenant.approved("customers.export", "full")
    full = pdp.tenants(point)
    tenant.points = full.points
    answer = tenant.ask("customers.export", "full")
    assert (answer.status, answer.decision, answer.reason) == (200, False, "record_failed")
    assert tenant.uses(name) == 1
    assert tenant.ask("customers.list").reason == "record_failed"
    assert tenant.submit("customers.export", "full-too").status == 503
    process.stop([point.process.id])
