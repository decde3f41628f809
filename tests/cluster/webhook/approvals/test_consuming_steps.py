"""Each step of consuming goes wrong in each way: denied for a stable reason, never paid twice, and the grant tells."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import requests

from localcluster import process
from support import faultkinds
from support.faultkinds import Act, Exchange, Held, Reply
from support.faultproxy import FaultProxy
from support.objects import later, stamp
from support.pdp.processes import API_SECONDS, Bailiwick
from support.pdp.questions import Said
from support.pdp.tenant import RULES, Tenant, Tenants
from support.waits import until

GRANT: Final = r"/approvalgrants/agr-[^/?]*$"
STATUS: Final = r"/approvalgrants/agr-[^/?]*/status$"
READ, WRITE = ("GET", GRANT), ("PUT", STATUS)
# Of a tenant's two decision points, the first is the one behind the proxy.
BESIDE: Final = 1


@pytest.fixture(scope="module")
def tenant(both: Tenants) -> Tenant:
    return both.make("consuming-steps")


def saying(body: bytes, **headers: str) -> Act:
    """Let the API server do it, and answer 200 with another body or other headers."""

    async def act(exchange: Exchange) -> None:
        reply = await exchange.forward()
        assert reply.status == 200
        kept = [(key, value) for key, value in reply.headers if key not in headers]
        await exchange.deliver(Reply(200, [*kept, *headers.items()], body or reply.body))

    return act


async def cut(exchange: Exchange) -> None:
    """Close the connection before anybody was asked."""
    raise faultkinds.CutError


@dataclass(frozen=True, slots=True)
class Case:
    """What happens at one step, how often (None: for ever), what is told, and how many uses are then spent."""

    step: tuple[str, str]
    act: Act
    times: int | None
    reason: str
    uses: int = 0


UNVERIFIABLE: Final = "approval_unverifiable"
CASES: Final = {
    "read-409-once": Case(READ, faultkinds.status(409), 1, UNVERIFIABLE),
    "read-409-for-ever": Case(READ, faultkinds.status(409), None, UNVERIFIABLE),
    "read-429-retry-after": Case(READ, faultkinds.status(429, **{"Retry-After": "1"}), None, UNVERIFIABLE),
    "read-cut-for-ever": Case(READ, cut, None, UNVERIFIABLE),
    "read-answer-lost": Case(READ, faultkinds.lose_answer, None, UNVERIFIABLE),
    "read-no-json": Case(READ, saying(b"<html>proxy</html>"), 1, UNVERIFIABLE),
    "read-half-json": Case(READ, saying(b'{"metadata": {"name"'), 1, UNVERIFIABLE),
    "read-no-object": Case(READ, saying(b"[]"), 1, "approval_required"),
    "read-empty-object": Case(READ, saying(b"{}"), 1, "approval_required"),
    "read-date-is-no-date": Case(READ, saying(b"", Date="yesterday"), 1, "clock_skew"),
    "read-date-beyond-time": Case(READ, saying(b"", Date=f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT"), 1, "clock_skew"),
    "read-date-in-1970": Case(READ, saying(b"", Date="Thu, 01 Jan 1970 00:00:00 GMT"), 1, "clock_skew"),
    "read-ten-minutes-ahead": Case(READ, faultkinds.skew(600), None, "clock_skew"),
    "read-ten-minutes-behind": Case(READ, faultkinds.skew(-600), None, "clock_skew"),
    "write-429-retry-after": Case(WRITE, faultkinds.status(429, **{"Retry-After": "1"}), None, UNVERIFIABLE),
    "write-cut-for-ever": Case(WRITE, cut, None, UNVERIFIABLE),
    # It happened, and nobody could be told: spent.
    "write-no-json": Case(WRITE, saying(b"<html>proxy</html>"), 1, UNVERIFIABLE, 1),
    "write-half-json": Case(WRITE, saying(b'{"metadata": {"name"'), 1, UNVERIFIABLE, 1),
    "write-answer-lost-twice": Case(WRITE, faultkinds.lose_answer, 2, UNVERIFIABLE, 1),
}


@pytest.mark.long
@pytest.mark.invariant(10)
@pytest.mark.invariant(26)
@pytest.mark.parametrize("what", CASES)
def test_a_step_that_goes_wrong_denies_and_the_grant_tells_what_was_spent(
    tenant: Tenant, faults: FaultProxy, what: str
) -> None:
    case = CASES[what]
    name = tenant.approved("customers.export", what)
    faults.on(*case.step, case.act, case.times)
    began = time.monotonic()
    answer = tenant.ask("customers.export", what)
    assert (answer.status, answer.decision, answer.reason) == (200, False, case.reason)
    assert time.monotonic() - began < API_SECONDS + 5
    faults.clear()
    assert _recorded(tenant, name) == [answer.context["evaluation_id"]] * case.uses
    after = tenant.ask("customers.export", what, point=BESIDE)
    assert (after.decision, after.reason) == ((False, "approval_consumed") if case.uses else (True, "allowed"))
    assert tenant.uses(name) == 1


@pytest.mark.invariant(10)
@pytest.mark.parametrize("step", [READ, WRITE], ids=["read", "write"])
def test_a_connection_that_broke_once_costs_at_most_the_call(
    tenant: Tenant, faults: FaultProxy, step: tuple[str, str]
) -> None:
    name = tenant.approved("customers.export", f"cut-once-{step[0]}")
    faults.on(*step, cut, times=1)
    answer = tenant.ask("customers.export", f"cut-once-{step[0]}")
    # What was sent on a kept connection that broke is sent once more.
    assert (answer.decision, tenant.uses(name)) in {(True, 1), (False, 0)}
    assert tenant.ask("customers.export", f"cut-once-{step[0]}", point=BESIDE).decision is not answer.decision
    assert tenant.uses(name) == 1


@pytest.mark.invariant(12)
def test_ab_11_a_grant_that_ended_a_second_ago_is_expired(tenant: Tenant, faults: FaultProxy) -> None:
    name = tenant.approved("customers.export", "ended")
    times = {"metadata.creationTimestamp": -20, "status.approvedTime": -15, "status.notAfterTime": -1}
    faults.on("GET", GRANT, faultkinds.altered({path: later(seconds=by) for path, by in times.items()}))
    answer = tenant.ask("customers.export", "ended")
    assert (answer.decision, answer.reason, tenant.uses(name)) == (False, "approval_expired", 0)


@pytest.mark.invariant(12)
def test_ab_11_an_approval_from_the_future_is_a_clock_that_is_off(tenant: Tenant, faults: FaultProxy) -> None:
    name = tenant.approved("customers.export", "future")
    ahead = {"status.approvedTime": later(minutes=10), "status.notAfterTime": later(minutes=20)}
    faults.on("GET", GRANT, faultkinds.altered(ahead))
    answer = tenant.ask("customers.export", "future")
    assert (answer.decision, answer.reason, tenant.uses(name)) == (False, "clock_skew", 0)


# As an operator stamps it whose clock is ten minutes behind: the approval may have come after its deadline.
IMPLAUSIBLE: Final = {
    "approved a minute before it was made": {"approvedTime": -60, "notAfterTime": 500},
    "approved a second before it was made": {"approvedTime": -1, "notAfterTime": 590},
    "over when it was approved": {"approvedTime": 25, "notAfterTime": 25},
    "open longer than was asked for": {"notAfterTime": 700},
}


@pytest.mark.invariant(12)
@pytest.mark.parametrize("what", IMPLAUSIBLE)
def test_ab_11_times_that_do_not_fit_the_creation_serve_nobody(tenant: Tenant, faults: FaultProxy, what: str) -> None:
    name = tenant.approved("customers.export", what.replace(" ", "-"))
    made = datetime.fromisoformat(tenant.grant(name)["metadata"]["creationTimestamp"])
    times = {f"status.{key}": stamp(made + timedelta(seconds=by)) for key, by in IMPLAUSIBLE[what].items()}
    faults.on("GET", GRANT, faultkinds.altered(times))
    answer = tenant.ask("customers.export", what.replace(" ", "-"))
    assert (answer.decision, answer.reason, tenant.uses(name)) == (False, UNVERIFIABLE, 0)


@pytest.mark.invariant(12)
@pytest.mark.parametrize(("by", "reason"), [(31, UNVERIFIABLE), (-3600, UNVERIFIABLE), (29, "allowed")])
def test_ab_11_a_deadline_that_the_creation_does_not_bear_out_serves_nobody(
    tenant: Tenant, faults: FaultProxy, by: int, reason: str
) -> None:
    name = tenant.approved("customers.export", f"deadline{by}")
    made = datetime.fromisoformat(tenant.grant(name)["metadata"]["creationTimestamp"])
    until_ = stamp(made + timedelta(seconds=3600 + by))
    # Of the write as well: what is stored is compared with what was read.
    for verb, path in (("GET", GRANT), ("PUT", STATUS)):
        faults.on(verb, path, faultkinds.altered({"spec.request.pendingUntilTime": until_}))
    assert tenant.ask("customers.export", f"deadline{by}").reason == reason
    assert tenant.uses(name) == int(reason == "allowed")


@pytest.mark.invariant(10)
@pytest.mark.invariant(11)
@pytest.mark.invariant(22)
def test_ab_17_of_a_process_killed_between_use_and_answer_the_use_record_tells(
    pdp: Bailiwick, faults: FaultProxy
) -> None:
    point = pdp.start_point(proxy=faults)
    tenant = pdp.tenants(point, pdp.points[0]).make("killed-evidence")
    name = tenant.approved("customers.export", "killed")
    held = Held(before=False)
    faults.on("PUT", STATUS, held)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(tenant.ask, "customers.export", "killed", request_id="killed")
        assert held.reached.wait(10)
        process.kill([point.process.id])
        with pytest.raises(requests.ConnectionError):
            call.result(20)
    # Killed before its decision record was written, it left none of this call: the grant itself has the only trace.
    assert "killed" not in {record["request_id"] for record in _lines(point.records)}
    (evaluation_id,) = _recorded(tenant, name)
    assert evaluation_id.startswith("eval_")
    began = time.time()
    answers = [tenant.ask("customers.export", "killed", point=BESIDE, request_id="killed") for _ in range(2)]
    assert [(answer.decision, answer.context["approval"]["uses"]) for answer in answers] == [(True, 1)] * 2
    for request_id in (None, "other"):
        other = tenant.ask("customers.export", "killed", point=BESIDE, request_id=request_id)
        assert (other.decision, other.reason) == (False, "approval_consumed")
    assert _recorded(tenant, name) == [evaluation_id]
    (record,) = tenant.grant(name)["status"]["useRecords"]
    assert began - datetime.fromisoformat(record["time"]).astimezone(UTC).timestamp() < 30
    # Each repeated answer has a decision record of its own, which names the grant and its one use.
    told = {record["evaluation_id"]: record for record in _lines(pdp.points[0].records)}
    for answer in answers:
        written = told[answer.context["evaluation_id"]]
        assert (written["decision"], written["request_id"], written["grant"]["name"]) == (True, "killed", name)
        assert written["grant"]["uses"] == 1


@pytest.mark.invariant(18)
@pytest.mark.parametrize("who", ["admin", "operator"])
def test_ab_15_nobody_wipes_what_was_used(tenant: Tenant, who: str) -> None:
    name = tenant.approved("customers.notify", f"wiped-{who}")
    assert tenant.ask("customers.notify", f"wiped-{who}").decision is True
    operator = "system:serviceaccount:bailiwick-system:bailiwick-operator"
    client = tenant.callers.admin if who == "admin" else tenant.callers(operator)
    stored = tenant.grant(name)
    status = {key: value for key, value in stored["status"].items() if key not in {"uses", "useRecords"}}
    for wiped in (status, {**status, "uses": 0, "useRecords": []}, {}):
        refused = client.replace({**stored, "status": wiped}, "status")
        assert not refused.ok, refused
    assert tenant.callers.admin.replace({**stored, "status": {}}).ok
    assert (tenant.uses(name), _recorded(tenant, name)) == (1, [stored["status"]["useRecords"][0]["evaluationID"]])


@pytest.mark.invariant(10)
def test_ab_15_a_decision_point_that_starts_anew_finds_it_consumed(pdp: Bailiwick, tenant: Tenant) -> None:
    name = tenant.approved("customers.export", "restarted")
    assert tenant.ask("customers.export", "restarted").decision is True
    point = pdp.start_point()
    fresh = pdp.tenants(point)
    beside = Tenant(tenant.cluster, tenant.callers, tenant.namespace, fresh.points)
    assert beside.ask("customers.export", "restarted").reason == "approval_consumed"
    assert tenant.uses(name) == 1
    process.stop([point.process.id])


@pytest.mark.invariant(7)
@pytest.mark.invariant(10)
def test_ab_16_a_grant_made_anew_under_the_same_name_needs_its_own_approval(tenant: Tenant) -> None:
    name = tenant.approved("customers.export", "anew")
    assert tenant.ask("customers.export", "anew", request_id="anew").decision is True
    until(lambda: tenant.phase(name) == "Consumed", "it is consumed")
    old = tenant.grant(name)
    operator = tenant.callers("system:serviceaccount:bailiwick-system:bailiwick-operator")
    assert operator.delete(tenant.path_of(name)).ok
    tenant.await_known(lambda said: said.reason == "approval_required", "customers.export", "anew")
    # As a backup would bring it back, with status, reviews and all: by nobody.
    born = {key: value for key, value in old["metadata"].items() if key in {"name", "namespace", "labels"}}
    restored = [tenant.callers.admin.create({**old, "metadata": born}), operator.create({**old, "metadata": born})]
    assert [answer.ok for answer in restored] == [False, False]
    assert tenant.opened("customers.export", "anew") == name
    assert tenant.grant(name)["metadata"]["uid"] != old["metadata"]["uid"]
    tenant.await_known(lambda said: said.reason == "approval_pending", "customers.export", "anew")
    answers = [tenant.ask("customers.export", "anew", point=point, request_id="anew") for point in (0, BESIDE)]
    assert [(answer.decision, answer.reason) for answer in answers] == [(False, "approval_pending")] * 2
    assert tenant.uses(name) == 0


@pytest.mark.invariant(11)
def test_ab_14_dry_runs_at_every_replica_use_nothing(tenant: Tenant) -> None:
    name = tenant.approved("customers.notify", "dry-batch")
    for point in (0, BESIDE):
        for _ in range(3):
            answer = tenant.ask_itself("customers.notify", "dry-batch", point=point)
            assert (answer.decision, answer.context["dry_run"]) == (True, True)
    assert tenant.uses(name) == 0


@pytest.mark.invariant(13)
def test_a_revocation_while_the_answer_is_on_its_way_stops_the_repeat(both: Tenants, faults: FaultProxy) -> None:
    tenant = both.make("revoked-on-the-way", [*RULES])
    name = tenant.approved("customers.notify", "on-its-way")
    held = Held(before=False)
    faults.on("PUT", STATUS, held)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(tenant.ask, "customers.notify", "on-its-way", request_id="way")
        assert held.reached.wait(10)
        tenant.revoke(name)
        held.go.set()
        first: Said = call.result(20)
    # Its use was taken before the revocation: at most that one call passes, and its repeat does not.
    assert (first.decision, tenant.uses(name)) == (True, 1)
    again = tenant.ask("customers.notify", "on-its-way", request_id="way", point=BESIDE)
    assert (again.decision, again.reason) == (False, "approval_revoked")


def _recorded(tenant: Tenant, name: str) -> list[str]:
    status = tenant.grant(name)["status"]
    records = status.get("useRecords", [])
    assert status.get("uses", 0) == len(records)
    return [record["evaluationID"] for record in records]


def _lines(path: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a path
    """Return the records of decisions; beside them stand those of policies that came into force."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [line for line in lines if "evaluation_id" in line]
