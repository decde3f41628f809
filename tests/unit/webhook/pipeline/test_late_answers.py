"""Answers of the API server that were long on their way: what was decided before them is judged as it is now."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.batch import Semantic
from bailiwick_engine.circumstances import Freshness
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_engine.revocations import Revocations, parse
from bailiwick_webhook.approvals.consumer import Judge
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.pipeline.evaluator import Evaluator
from bailiwick_webhook.pipeline.offload import Offload
from bailiwick_webhook.pipeline.pdp import Pdp
from bailiwick_webhook.steps import resolve
from bailiwick_webhook.store.store import Store
from support.keptobjects import KeptObjects
from support.objects import AGENT, gated_rule, rule, settings
from support.pdp import alone
from support.pdp.alone import KeptRecords, StaticStore
from support.revocations import manifest
from support.virtualtime import VirtualTime, virtual_time
from unit.engine.cases import NOW, approved, at, read, stored
from unit.webhook.pipeline.countingpoint import EXPORT, CountingPoint, asked, counting

__all__ = ["virtual_time"]

GATED: Final = stored("crm-agent", gated_rule(), endpointSettings=settings())


@pytest.mark.invariant(12)
@pytest.mark.parametrize(("late", "reason"), [(0.0, Reason.ALLOWED), (4.0, Reason.APPROVAL_EXPIRED)])
def test_a_grant_that_ended_while_it_was_read_serves_nobody_though_our_clock_is_behind(
    late: float, reason: Reason
) -> None:
    store = StaticStore([GATED])
    assert isinstance(store.snapshot, Snapshot)
    grant = read(approved(store.snapshot, notAfterTime=at(2)))
    evaluator = Evaluator(cast("Store", store), Installation(), lambda: (NOW - 10, NOW + late), Offload())
    one = evaluator.evaluate_now(asked(), evaluator.inputs())
    # The answer has the time at which it was written, which is later than ours.
    found = evaluator.with_live_grant(one, grant, NOW).verdict
    assert (found.reason, found.outcome is Outcome.USE_GRANT) == (reason, reason is Reason.ALLOWED)


def _deny(store: StaticStore) -> None:
    store.snapshot = Snapshot.of([compile_object(counting(EXPORT, rule("no", effect="Deny", actions=["*"])))], "2")


def _take_back(store: StaticStore) -> None:
    store.revocations = Revocations()
    store.revocations.put(parse(manifest(sub=AGENT, hold=True)))


def _hear_nothing(store: StaticStore) -> None:
    store.freshness = Freshness.DEAD


CHANGES: Final[dict[str, tuple[Callable[[StaticStore], None], Reason]]] = {
    "nothing": (lambda _store: None, Reason.ALLOWED),
    "a rule denies": (_deny, Reason.POLICY_DENIED),
    "the subject is taken back": (_take_back, Reason.IDENTITY_REVOKED),
    "nothing is heard of any more": (_hear_nothing, Reason.STORE_STALE),
}


@pytest.mark.invariant(32)
@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
async def test_a_call_that_is_long_counted_is_judged_by_what_is_known_when_it_is_answered(
    monkeypatch: pytest.MonkeyPatch, virtual_time: VirtualTime, change: Callable[[StaticStore], None], reason: Reason
) -> None:
    monkeypatch.setattr(alone, "time", virtual_time)
    api = KeptObjects(seconds=1.0)
    point = CountingPoint(api, now=virtual_time.monotonic)

    def after(method: str) -> None:
        # Stored, and the answer is on its way.
        if method != "GET":
            change(point.alone.store)

    api.after = after
    decision = await point.ask()
    assert (decision.verdict.reason, decision.allowed) == (reason, reason is Reason.ALLOWED)
    assert [line["decision"] for line in point.lines if line["kind"] == "evaluation"] == [decision.allowed]
    assert point.counted == decision.allowed


class SlowUse:
    """Takes the last use of a grant at once, and is long about what has to be known besides."""

    def __init__(self, used: Grant, meanwhile: Callable[[], None]) -> None:
        self._used = used
        self._meanwhile = meanwhile

    async def caught_up(
        self, asked: EvaluationRequest, verdict: Verdict, judge: Judge, since: float | None = None
    ) -> Verdict:
        return verdict

    def taken_before(self, asked: EvaluationRequest, verdict: Verdict, known: object) -> tuple[Grant, ...]:
        return ()

    async def consume(
        self, asked: EvaluationRequest, verdict: Verdict, evaluation_id: str, judge: Judge
    ) -> tuple[Verdict, Grant | None]:
        verdict = judge(verdict.grants[0], NOW)
        await asyncio.sleep(2.0)
        self._meanwhile()
        return verdict, self._used


@pytest.mark.invariant(32)
@pytest.mark.parametrize(
    ("change", "passed", "reason"),
    [(change, 0.0, reason) for change, reason in CHANGES.values()]
    + [(CHANGES["nothing"][0], 599.0, Reason.ALLOWED), (CHANGES["nothing"][0], 601.0, Reason.APPROVAL_EXPIRED)],
    ids=[*CHANGES, "its window is not over", "its window is over"],
)
async def test_a_use_that_takes_long_is_judged_by_what_is_known_when_it_is_answered(
    monkeypatch: pytest.MonkeyPatch,
    virtual_time: VirtualTime,
    change: Callable[[StaticStore], None],
    passed: float,
    reason: Reason,
) -> None:
    monkeypatch.setattr(alone, "time", virtual_time)
    store, now = StaticStore([GATED]), NOW
    assert store.snapshot is not None
    stored_grant = approved(store.snapshot, approvedTime=at(0), notAfterTime=at(600))
    store.grants.apply("ADDED", ("crm", stored_grant["metadata"]["name"]), stored_grant)
    record = {"key": "sha256:" + "0" * 64, "time": at(0), "evaluationID": "eval_1"}
    used = read(approved(store.snapshot, approvedTime=at(0), notAfterTime=at(600), uses=1, useRecords=[record]))

    def meanwhile() -> None:
        nonlocal now
        now += passed
        change(store)

    opener = cast("Any", SimpleNamespace(possible=True))
    pdp = Pdp(cast("Store", store), SlowUse(used, meanwhile), opener, KeptRecords(), Installation(), lambda: now)
    with capture_logs() as said:
        decision = await resolve(pdp.evaluate(asked()))
    assert (decision.verdict.reason, decision.allowed) == (reason, reason is Reason.ALLOWED)
    assert [one["evaluation_id"] for one in said] == ([] if decision.allowed else [decision.evaluation_id])


class StoppedClock:
    """Stands in for the module `time` of a store that knows no other; it moves by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


LATE: Final = pytest.mark.parametrize(
    ("seconds", "change", "reason"),
    [(0.5, _deny, Reason.ALLOWED), *((2.0, *change) for change in CHANGES.values())],
    ids=["soon", *CHANGES],
)


@pytest.mark.invariant(32)
@LATE
async def test_an_item_of_a_batch_that_waits_for_its_turn_is_judged_by_what_is_known_when_it_is_answered(
    monkeypatch: pytest.MonkeyPatch, seconds: float, change: Callable[[StaticStore], None], reason: Reason
) -> None:
    clock, point = StoppedClock(), CountingPoint(KeptObjects())
    monkeypatch.setattr(alone, "time", clock)
    turns = 0

    class Slices:
        async def turn(self) -> None:
            # One before all, one before each of two is judged, and one before each is recorded.
            nonlocal turns
            turns += 1
            if turns == 5:
                clock.now += seconds
                change(point.alone.store)

    monkeypatch.setattr(point.pdp.turns, "slices", lambda _tenant: Slices())
    items = [asked("customers.list", item=number) for number in range(2)]
    decisions = [one for one in await point.pdp.evaluate_all(items, Semantic.EXECUTE_ALL) if one is not None]
    assert [one.verdict.reason for one in decisions] == [Reason.ALLOWED, reason]
    assert [one.allowed for one in decisions] == [line["decision"] for line in point.lines]
    assert [one.allowed for one in decisions] == [True, reason is Reason.ALLOWED]


@pytest.mark.invariant(32)
@LATE
async def test_a_large_call_that_waits_for_its_turn_is_judged_by_what_is_known_when_it_is_answered(
    monkeypatch: pytest.MonkeyPatch, seconds: float, change: Callable[[StaticStore], None], reason: Reason
) -> None:
    clock, point = StoppedClock(), CountingPoint(KeptObjects())
    monkeypatch.setattr(alone, "time", clock)
    run, runs = point.pdp.offload.run, 0

    async def run_late(tenant: str, work: Callable[[], Any], *, large: bool = True) -> object:
        nonlocal runs
        done, runs = await run(tenant, work, large=large), runs + 1
        if runs == 1:
            clock.now += seconds
            change(point.alone.store)
        return done

    monkeypatch.setattr(point.pdp.offload, "run", run_late)
    decision = await resolve(point.pdp.evaluate(replace(asked("customers.list"), large=True)))
    assert (decision.verdict.reason, decision.allowed) == (reason, reason is Reason.ALLOWED)
    assert [line["decision"] for line in point.lines] == [decision.allowed]
