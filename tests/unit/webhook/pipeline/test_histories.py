"""Decisions at an endpoint that counts calls: in which order things are done, and what is taken back."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.grants import Grant, parse
from bailiwick_engine.batch import Semantic
from bailiwick_engine.call import Party, Resource, ServiceAccount
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision import decide
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.history.state import CALL_DIGITS
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.derivation import DerivationClass
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.approvals.consumer import Judge
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.history.ports import no_histories
from bailiwick_webhook.history.reservations import keeping
from bailiwick_webhook.metrics.table import HistoryDenials
from bailiwick_webhook.pipeline import evaluator
from bailiwick_webhook.pipeline.decision import Decision
from bailiwick_webhook.pipeline.histories import _nonce as nonce_of
from bailiwick_webhook.pipeline.pdp import Pdp
from bailiwick_webhook.steps import resolve
from support.derivations import derivations, texts_of
from support.keptobjects import KeptObjects, lost
from support.objects import Object, gated_rule, opened_grant, rule
from support.pdp.alone import Alone, KeptRecords
from support.virtualtime import VirtualTime, virtual_time
from unit.engine.cases import CALL, ENFORCER, THE_AGENT
from unit.webhook.pipeline.countingpoint import EXPORT, EXPORTS, LIMITED, CountingPoint, asked, counting

__all__ = ["virtual_time"]


@pytest.fixture
def api() -> KeptObjects:
    return KeptObjects(seconds=0.0)


@pytest.fixture
def point(api: KeptObjects, virtual_time: VirtualTime) -> CountingPoint:
    # What is only read waits for its turn, a quarter of a second each.
    return CountingPoint(api, now=virtual_time.monotonic)


async def test_the_sixth_call_of_the_window_is_denied(point: CountingPoint) -> None:
    decisions = [await point.ask() for _ in range(6)]
    assert [one.allowed for one in decisions] == [True] * 5 + [False]
    assert decisions[5].verdict.reason is Reason.CONDITION_FALSE
    assert point.counted == 5


async def test_the_denial_says_when_to_come_again(point: CountingPoint) -> None:
    decisions = [await point.ask() for _ in range(6)]
    wait = decisions[5].retry_after_seconds
    assert wait is not None
    assert 3500 < wait < 3700
    assert decisions[4].retry_after_seconds is None


async def test_a_call_that_no_history_touches_is_decided_without_the_api_server(
    point: CountingPoint, api: KeptObjects
) -> None:
    decision = point.pdp.evaluate(asked("customers.list"))
    assert isinstance(decision, Decision)
    assert decision.allowed
    assert api.requests == []


async def test_a_call_that_is_sent_again_counts_once(point: CountingPoint) -> None:
    for _ in range(3):
        assert (await point.ask(request_id="r-1")).allowed
    assert point.counted == 1
    await point.ask(request_id="r-2")
    await point.ask(request_id="r-1", resource=Resource("customer", "43"))
    await point.ask(request_id="r-1", caller=ENFORCER)
    assert point.counted == 3


async def test_a_call_without_a_request_id_is_its_own_each_time(point: CountingPoint) -> None:
    await point.ask()
    await point.ask()
    assert point.counted == 2


async def test_a_call_whose_record_fails_is_taken_out_again(api: KeptObjects) -> None:
    point = CountingPoint(api, records=KeptRecords(failing=lambda _: True))
    decision = await point.ask()
    assert (decision.allowed, decision.verdict.reason) == (False, Reason.RECORD_FAILED)
    assert point.counted == 0


async def test_a_record_has_what_was_counted_and_read(point: CountingPoint) -> None:
    for _ in range(6):
        await point.ask()
    await point.ask(caller=THE_AGENT)
    (name,) = {name for _, name in point.api.objects}
    found = [line["history"] for line in point.lines]
    expected = [(number, number, True) for number in range(1, 6)] + [(5, 6, False), (5, 6, False)]
    assert [(one["seq"], one["count"], one["added"]) for (one,) in found] == expected
    assert {(one["name"], one["object"]) for (one,) in found} == {("exports", name)}
    assert point.lines[2]["attributes"] == {"history.exports.count": 3}


async def test_a_call_that_was_counted_before_is_recorded_as_repeated(point: CountingPoint) -> None:
    await point.ask(request_id="r")
    await point.ask(request_id="r")
    ((first,), (again,)) = [line["history"] for line in point.lines]
    assert "repeated" not in first
    assert (again["count"], again["added"], again["repeated"]) == (1, True, True)


async def test_a_call_is_counted_before_it_is_recorded(api: KeptObjects) -> None:
    order: list[str] = []

    class Watching(KeptRecords):
        async def write(self, line: bytes, *, must: bool = True) -> None:
            order.append(f"record {must}")
            await super().write(line, must=must)

    api.after = order.append
    await CountingPoint(api, records=Watching()).ask()
    assert order == ["GET", "POST", "record True"]


async def test_the_api_server_away_denies_what_counts_and_nothing_else(point: CountingPoint, api: KeptObjects) -> None:
    api.before = lambda _: lost()
    denied = await point.ask()
    assert (denied.allowed, denied.verdict.reason) == (False, Reason.HISTORY_UNAVAILABLE)
    assert "did not respond" in denied.sentence
    assert (await point.ask("customers.list")).allowed


async def test_guards_that_are_not_proven_deny_what_counts(point: CountingPoint) -> None:
    point.proven = False
    denied = await point.ask()
    assert denied.verdict.reason is Reason.HISTORY_UNAVAILABLE
    assert "guards" in denied.sentence


async def test_without_an_api_server_the_denial_says_so() -> None:
    alone = Alone([counting()], histories=no_histories)
    denied = await resolve(alone.pdp.evaluate(asked()))
    assert (denied.allowed, denied.verdict.reason) == (False, Reason.HISTORY_UNAVAILABLE)
    assert denied.sentence == "This endpoint counts calls, which needs an API server, and there is none."


async def test_a_dry_run_sees_the_numbers_and_counts_nothing(point: CountingPoint) -> None:
    for _ in range(5):
        await point.ask()
    dry = await point.ask(caller=THE_AGENT)
    assert (dry.verdict.dry_run, dry.allowed, dry.verdict.reason) == (True, False, Reason.CONDITION_FALSE)
    assert point.counted == 5


async def test_a_dry_run_within_the_limit_is_allowed_and_counts_nothing(point: CountingPoint) -> None:
    for _ in range(9):
        assert (await point.ask(caller=THE_AGENT)).allowed
    assert point.counted == 0


async def test_a_dry_run_of_the_enforcer_counts_nothing_whatever_it_is_asked_with(point: CountingPoint) -> None:
    items = [asked(dry_run=True, item=number) for number in range(4)]
    answers = [await point.ask(dry_run=True) for _ in range(4)]
    answers += [await point.ask(dry_run=True, request_id="same")]
    answers += [one for one in await point.pdp.evaluate_all(items, Semantic.EXECUTE_ALL) if one is not None]
    assert [(one.allowed, one.verdict.dry_run) for one in answers] == [(True, True)] * 9
    assert all(line["dry_run"] and not line["history"][0]["added"] for line in point.lines)
    assert (point.counted, point.pdp.counts.usage.used) == (0, {})
    assert (await point.ask(request_id="same")).allowed
    assert point.counted == 1


async def test_a_large_dry_run_of_the_enforcer_counts_nothing_either(api: KeptObjects) -> None:
    # It is decided in a thread, which the time of the loop alone would not wait for.
    point = CountingPoint(api)
    tried = await resolve(point.pdp.evaluate(replace(asked(dry_run=True), large=True)))
    assert (tried.allowed, tried.verdict.dry_run) == (True, True)
    assert [(line["dry_run"], line["history"][0]["added"]) for line in point.lines] == [(True, False)]
    assert (point.counted, point.pdp.counts.usage.used) == (0, {})


async def test_a_dry_run_of_the_enforcer_sees_a_full_limit(point: CountingPoint) -> None:
    for _ in range(5):
        await point.ask()
    tried = await point.ask(dry_run=True)
    assert (tried.allowed, tried.verdict.reason) == (False, Reason.CONDITION_FALSE)
    assert tried.retry_after_seconds is not None
    assert point.counted == 5


async def test_records_of_dry_runs_follow_from_the_policies_as_those_of_calls_do(point: CountingPoint) -> None:
    for number in range(7):
        await point.ask(dry_run=number in {0, 6})
    found = [
        (record["decision"], record["dry_run"], derivation.kind)
        for record, derivation in derivations(point.alone.records.lines, texts_of([counting()["spec"]]))
    ]
    derived = DerivationClass.DERIVED
    assert found == [(True, True, derived), *[(True, False, derived)] * 5, (False, True, derived)]


async def test_what_only_a_verdict_is_wanted_of_is_denied_unless_it_is_as_if_counted(point: CountingPoint) -> None:
    assert (await point.pdp.verdict(asked())).reason is Reason.HISTORY_UNAVAILABLE
    assert (await point.pdp.verdict(asked(), as_counted=True)).outcome is Outcome.ALLOW
    assert point.counted == 0


async def test_each_item_of_a_batch_sees_the_allowed_ones_before_it(point: CountingPoint) -> None:
    items = [asked("customers.list" if number == 2 else "customers.export", item=number) for number in range(8)]
    decisions = await point.pdp.evaluate_all(items, Semantic.EXECUTE_ALL)
    assert [one is not None and one.allowed for one in decisions] == [True] * 6 + [False] * 2
    assert point.counted == 5


async def test_items_after_the_early_end_count_nothing(point: CountingPoint) -> None:
    items = [asked("customers.erase" if number == 2 else "customers.export", item=number) for number in range(5)]
    decisions = await point.pdp.evaluate_all(items, Semantic.DENY_ON_FIRST_DENY)
    assert [one is not None and one.allowed for one in decisions] == [True, True, False]
    assert point.counted == 2


async def test_items_behind_one_whose_record_fails_are_taken_out_again(api: KeptObjects) -> None:
    point = CountingPoint(api, records=KeptRecords(failing=lambda line: json.loads(line)["item"] == 1))
    items = [asked(item=number) for number in range(4)]
    decisions = await point.pdp.evaluate_all(items, Semantic.DENY_ON_FIRST_DENY)
    assert [one is not None and one.allowed for one in decisions] == [True, False]
    assert point.counted == 1


class OneGrant:
    """Takes a use of one grant, which is known from the start; `used` None: it cannot be used."""

    def __init__(self, *, works: bool = True) -> None:
        self.works = works
        self.uses = 0
        raw = opened_grant("crm")
        raw["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
        grant = parse(raw)
        assert grant is not None
        self.grant = grant

    async def caught_up(
        self, asked: EvaluationRequest, verdict: Verdict, judge: Judge, since: float | None = None
    ) -> Verdict:
        return verdict

    def taken_before(self, asked: EvaluationRequest, verdict: Verdict, known: object) -> tuple[Grant, ...]:
        return (self.grant,) if self.works and verdict.outcome is Outcome.USE_GRANT else ()

    async def consume(
        self, asked: EvaluationRequest, verdict: Verdict, evaluation_id: str, judge: Judge
    ) -> tuple[Verdict, Grant | None]:
        self.uses += 1
        if not self.works:
            return replace(verdict, outcome=Outcome.DENY, reason=Reason.APPROVAL_REVOKED, grants=()), None
        return replace(verdict, outcome=Outcome.USE_GRANT, reason=Reason.ALLOWED), self.grant


GATED: Final = gated_rule("export", conditions=[{"name": "always", "expression": "history.exports.count >= 0"}])
FULL: Final = rule(
    "full",
    effect="Deny",
    actions=["customers.export"],
    conditions=[{"name": "limit", "expression": "history.exports.count > 1"}],
)


LISTED: Final = "history.listed.count > 2"


def with_grant(
    point: CountingPoint,
    uses: OneGrant,
    monkeypatch: pytest.MonkeyPatch,
    now: Callable[[], float] = time.monotonic,
) -> Pdp:
    """Return a pipeline for which every approval that a rule asks for is there."""

    def approved(verdict: Verdict) -> Verdict:
        waits = verdict.reason is Reason.APPROVAL_REQUIRED
        used = {"outcome": Outcome.USE_GRANT, "reason": Reason.ALLOWED, "grants": (uses.grant,)}
        return replace(verdict, **used) if waits else verdict

    def evaluate_hops(*args: Any) -> Any:  # noqa: ANN401 - as the engine's
        verdict, weighed = decide.evaluate_hops(*args)
        return approved(verdict), weighed

    def decide_again(*args: Any) -> Verdict:  # noqa: ANN401 - as the engine's
        return approved(decide.decide(*args))

    monkeypatch.setattr(evaluator, "evaluate_hops", evaluate_hops)
    monkeypatch.setattr(evaluator, "decide", decide_again)
    keeper = keeping(point.api, point.clock, lambda: True, now)
    return Pdp(
        cast("Any", point.alone.store),
        uses,
        cast("Any", point.alone.pdp._opener),
        point.alone.records,
        Installation(),
        histories=keeper,
    )


async def test_a_full_limit_never_burns_an_approval(api: KeptObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    point, uses = CountingPoint(api, counting(GATED, FULL)), OneGrant()
    pdp = with_grant(point, uses, monkeypatch)
    assert (await resolve(pdp.evaluate(asked()))).allowed
    denied = await resolve(pdp.evaluate(asked()))
    assert (denied.allowed, denied.verdict.reason) == (False, Reason.POLICY_DENIED)
    assert (uses.uses, point.counted) == (1, 1)


async def test_a_dry_run_of_the_enforcer_names_a_grant_and_uses_none(
    api: KeptObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    point, uses = CountingPoint(api, counting(GATED, FULL)), OneGrant()
    pdp = with_grant(point, uses, monkeypatch)
    tried = [await resolve(pdp.evaluate(asked(dry_run=True))) for _ in range(3)]
    assert [(one.allowed, one.verdict.dry_run, one.grant) for one in tried] == [(True, True, None)] * 3
    assert (uses.uses, point.counted) == (0, 0)
    assert (await resolve(pdp.evaluate(asked()))).allowed
    assert (uses.uses, point.counted) == (1, 1)


async def test_a_grant_that_cannot_be_used_after_all_takes_the_call_out_again(
    api: KeptObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    point, uses = CountingPoint(api, counting(GATED, FULL)), OneGrant(works=False)
    pdp = with_grant(point, uses, monkeypatch)
    denied = await resolve(pdp.evaluate(asked()))
    assert (denied.allowed, denied.verdict.reason) == (False, Reason.APPROVAL_REVOKED)
    assert (uses.uses, point.counted) == (1, 0)


async def test_a_record_that_fails_after_a_use_takes_the_call_out_again(
    api: KeptObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    point, uses = CountingPoint(api, counting(GATED, FULL), records=KeptRecords(lambda _: True)), OneGrant()
    denied = await resolve(with_grant(point, uses, monkeypatch).evaluate(asked()))
    assert denied.verdict.reason is Reason.RECORD_FAILED
    assert (uses.uses, point.counted) == (1, 0)


class ChangingGrant(OneGrant):
    """A grant whose use is judged by policies that changed since the call was counted."""

    def __init__(self, change: Callable[[], None]) -> None:
        super().__init__()
        self.change = change

    async def consume(
        self, asked: EvaluationRequest, verdict: Verdict, evaluation_id: str, judge: Judge
    ) -> tuple[Verdict, Grant | None]:
        self.change()
        verdict = judge(self.grant, 1.0)
        if verdict.outcome is not Outcome.USE_GRANT:
            return verdict, None
        return replace(verdict, reason=Reason.ALLOWED), self.grant


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        # Counted as it has to be.
        ({}, Reason.ALLOWED),
        ({"window": "2h"}, Reason.HISTORY_UNAVAILABLE),
        ({"key": []}, Reason.HISTORY_UNAVAILABLE),
        ({"counts": {"actions": ["*"]}}, Reason.HISTORY_UNAVAILABLE),
        ({"key": ["context.none"]}, Reason.HISTORY_UNCOUNTABLE),
    ],
)
@pytest.mark.parametrize("rules", [(GATED, FULL), (EXPORT,)], ids=["gated", "allowed"])
async def test_a_call_that_policies_of_now_count_elsewhere_is_denied_before_a_use(
    api: KeptObjects, monkeypatch: pytest.MonkeyPatch, rules: Sequence[Object], changed: Object, reason: Reason
) -> None:
    point = CountingPoint(api, counting(GATED, FULL))

    def change() -> None:
        other = counting(*rules, histories=[{**EXPORTS, **changed}])
        point.alone.store.snapshot = Snapshot.of([compile_object(other)], "2")

    pdp = with_grant(point, ChangingGrant(change), monkeypatch)
    decided = await resolve(pdp.evaluate(asked()))
    assert decided.verdict.reason is reason
    assert decided.allowed is (reason is Reason.ALLOWED)
    assert point.counted == decided.allowed


async def test_large_denied_calls_of_one_namespace_leave_room_to_those_of_another(api: KeptObjects) -> None:
    strays = {**EXPORTS, "name": "strays", "counts": {"actions": ["customers.export"], "what": "Denied"}}
    ours = counting(rule("no", effect="Deny", actions=["customers.export"]), histories=[strays])
    theirs = {**ours, "metadata": {**ours["metadata"], "namespace": "sales", "uid": "other"}}
    point = CountingPoint(api, ours, theirs)
    judging, counter = point.pdp._evaluator, point.pdp.histories
    one, other = [
        await judging.evaluate(replace(asked(namespace=namespace), large=True), judging.inputs())
        for namespace in ("crm", "sales")
    ]
    for _ in range(40):
        counter.count_denied(one, one.verdict)
    counter.count_denied(other, other.verdict)
    await counter.close()
    assert {namespace for namespace, _ in api.objects} == {"crm", "sales"}
    assert point.counted + point.pdp.counts.histories.denied[HistoryDenials.DROPPED] == 41


def stop_after_writes(api: KeptObjects, time: VirtualTime, seconds: float) -> None:
    """Let the process stand still for so long each time when a write was answered."""

    def stop(method: str, answer: ApiResponse) -> ApiResponse:
        time.now += 0 if method == "GET" else seconds
        return answer

    api.changing = stop


@pytest.mark.parametrize(("seconds", "allowed"), [(10, True), (90, False)])
async def test_a_process_that_was_stopped_lets_nothing_through_by_numbers_of_before(
    point: CountingPoint, virtual_time: VirtualTime, seconds: float, allowed: bool
) -> None:
    stop_after_writes(point.api, virtual_time, seconds)
    decision = await point.ask()
    assert decision.allowed is allowed
    assert (decision.verdict.reason is Reason.HISTORY_UNAVAILABLE) is not allowed
    assert [line["decision"] for line in point.lines if line["kind"] == "evaluation"] == [allowed]
    # Others may have had its place meanwhile.
    assert point.counted == int(allowed)


async def test_items_that_wait_for_too_long_for_others_of_their_batch_are_taken_out_again(
    point: CountingPoint, virtual_time: VirtualTime
) -> None:
    stop_after_writes(point.api, virtual_time, 7)
    decisions = await point.pdp.evaluate_all([asked(item=number) for number in range(4)], Semantic.EXECUTE_ALL)
    assert [one is not None and one.allowed for one in decisions] == [False, False, True, True]
    assert point.counted == 2


class SlowGrant(OneGrant):
    """A grant whose use takes a while."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time

    async def consume(
        self, asked: EvaluationRequest, verdict: Verdict, evaluation_id: str, judge: Judge
    ) -> tuple[Verdict, Grant | None]:
        self._time.now += 30
        return await super().consume(asked, verdict, evaluation_id, judge)


async def test_a_use_that_takes_too_long_lets_nothing_through_and_is_logged(
    api: KeptObjects, virtual_time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    point, uses = CountingPoint(api, counting(GATED, FULL), now=virtual_time.monotonic), SlowGrant(virtual_time)
    pdp = with_grant(point, uses, monkeypatch, virtual_time.monotonic)
    with capture_logs() as said:
        denied = await resolve(pdp.evaluate(asked()))
    assert (denied.allowed, denied.verdict.reason, denied.grant) == (False, Reason.HISTORY_UNAVAILABLE, None)
    assert (uses.uses, point.counted) == (1, 0)
    spent = [one["evaluation_id"] for one in said if one["event"] == "use of a grant spent, call denied: too late"]
    assert spent == [denied.evaluation_id]


async def test_calls_at_once_share_writes_and_exactly_the_limit_passes(point: CountingPoint, api: KeptObjects) -> None:
    decisions = await asyncio.gather(*(point.ask() for _ in range(50)))
    assert sum(one.allowed for one in decisions) == 5
    assert api.count("PUT") + api.count("POST") <= 2


async def test_a_large_call_counts_too(point: CountingPoint) -> None:
    large = replace(asked(), large=True)
    decisions = [await resolve(point.pdp.evaluate(large)) for _ in range(6)]
    assert [one.allowed for one in decisions] == [True] * 5 + [False]


@pytest.mark.parametrize(
    "other",
    [
        {"caller": ServiceAccount(ENFORCER.username, "another-uid")},
        {"subject": replace(cast("Party", CALL.subject), uid="another-uid")},
        {"resource": Resource("customer", "43")},
        {"context": {"args": {}}},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_who_asks_what_of_whom_makes_a_call_the_same(api: KeptObjects, other: Any) -> None:  # noqa: ANN401 - members of a call
    point = CountingPoint(api, counting(histories=[{**EXPORTS, "key": []}]))
    assert (await point.ask(request_id="r")).allowed
    assert (await point.ask(request_id="r", **other)).allowed
    assert point.counted == 2


class ChangingPolicies(OneGrant):
    """Policies change while a use of a grant is on its way."""

    def __init__(self, point: CountingPoint, *later: Object) -> None:
        super().__init__()
        self._point = point
        self._later = later

    def taken_before(self, asked: EvaluationRequest, verdict: Verdict, known: object) -> tuple[Grant, ...]:
        return ()

    async def consume(
        self, asked: EvaluationRequest, verdict: Verdict, evaluation_id: str, judge: Judge
    ) -> tuple[Verdict, Grant | None]:
        self._point.alone.store.snapshot = Snapshot.of(map(compile_object, self._later))
        last = judge(self.grant, 0.0)
        if last.outcome is not Outcome.USE_GRANT:
            return last, None
        self.uses += 1
        return replace(last, reason=Reason.ALLOWED), self.grant


@pytest.mark.parametrize(
    ("window", "allowed"), [("1h", True), ("2h", False)], ids=["it counts as before", "it counts otherwise"]
)
async def test_a_grant_is_used_only_where_the_call_is_counted_as_the_policies_now_say(
    api: KeptObjects, monkeypatch: pytest.MonkeyPatch, window: str, allowed: bool
) -> None:
    point = CountingPoint(api, counting(GATED, FULL))
    uses = ChangingPolicies(point, counting(GATED, FULL, histories=[{**EXPORTS, "window": window}]))
    decision = await resolve(with_grant(point, uses, monkeypatch).evaluate(asked()))
    assert (decision.allowed, uses.uses) == (allowed, int(allowed))
    assert allowed or decision.verdict.reason is Reason.HISTORY_UNAVAILABLE
    assert point.counted == int(allowed)


async def test_a_grant_is_used_only_by_numbers_of_what_the_policies_now_define(
    api: KeptObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is exported is not counted, so that nothing shows where it would have to be.
    many = rule("many", effect="Deny", actions=["customers.export"], conditions=[dict(LIMITED, expression=LISTED)])
    listed = {**EXPORTS, "name": "listed", "counts": {"actions": ["customers.list"]}}
    fast, slow = (
        counting(gated_rule("export"), many, histories=[{**listed, "window": window}]) for window in ("1h", "2h")
    )
    point = CountingPoint(api, fast)
    for _ in range(3):
        assert (await point.ask("customers.list")).allowed
    point.alone.store.snapshot = Snapshot.of([compile_object(slow)])
    uses = ChangingPolicies(point, fast)
    decision = await resolve(with_grant(point, uses, monkeypatch).evaluate(asked()))
    assert (decision.allowed, uses.uses) == (False, 0)
    assert decision.verdict.reason is Reason.HISTORY_UNAVAILABLE
    # Nothing else is wrong with it.
    point.alone.store.snapshot = Snapshot.of([compile_object(slow)])
    same = ChangingPolicies(point, slow)
    assert (await resolve(with_grant(point, same, monkeypatch).evaluate(asked()))).allowed


class LaggingGrants(OneGrant):
    """Memory has not heard of the approval yet; a live read has."""

    async def caught_up(
        self, asked: EvaluationRequest, verdict: Verdict, judge: Judge, since: float | None = None
    ) -> Verdict:
        return judge(self.grant, 0.0)


async def test_an_approval_that_a_live_read_finds_is_used_after_the_call_is_counted(
    api: KeptObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    point, uses = CountingPoint(api, counting(GATED, FULL)), LaggingGrants()
    pdp = with_grant(point, uses, monkeypatch)
    monkeypatch.setattr(evaluator, "evaluate_hops", PendingOnce(uses.grant))
    decision = await resolve(pdp.evaluate(asked()))
    assert (decision.allowed, uses.uses, point.counted) == (True, 1, 1)


class PendingOnce:
    """Says that the approval is pending until the call was judged by a live read."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant

    def __call__(self, on: Any, call: Any, grants: Any, *more: Any) -> Any:  # noqa: ANN401 - as the engine's
        verdict, weighed = decide.evaluate_hops(on, call, grants, *more)
        if verdict.reason is not Reason.APPROVAL_REQUIRED:
            return verdict, weighed
        known = self._grant in tuple(grants)
        if known:
            return replace(verdict, outcome=Outcome.USE_GRANT, grants=(self._grant,)), weighed
        return replace(verdict, reason=Reason.APPROVAL_PENDING, pending=self._grant), weighed


class BreakingGrant(OneGrant):
    """A grant whose use breaks in this way, from a number of uses on."""

    def __init__(self, broken: BaseException, after: int = 0) -> None:
        super().__init__()
        self.broken = broken
        self.after = after

    async def consume(
        self, asked: EvaluationRequest, verdict: Verdict, evaluation_id: str, judge: Judge
    ) -> tuple[Verdict, Grant | None]:
        if self.uses >= self.after:
            raise self.broken
        return await super().consume(asked, verdict, evaluation_id, judge)


class BreakingLaggingGrant(BreakingGrant, LaggingGrants):
    """One of which memory has not heard yet, so that the call is counted after a live read."""


BREAKS: Final = {"a fault": RuntimeError("broken"), "a caller who is gone": asyncio.CancelledError()}


@pytest.mark.parametrize("grant", [BreakingGrant, BreakingLaggingGrant])
@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
async def test_a_use_that_breaks_takes_the_call_out_again_whenever_it_was_counted(
    api: KeptObjects, monkeypatch: pytest.MonkeyPatch, grant: type[BreakingGrant], broken: BaseException
) -> None:
    point, uses = CountingPoint(api, counting(GATED, FULL)), grant(broken)
    pdp = with_grant(point, uses, monkeypatch)
    if grant is BreakingLaggingGrant:
        monkeypatch.setattr(evaluator, "evaluate_hops", PendingOnce(uses.grant))
    with pytest.raises(type(broken)):
        await resolve(pdp.evaluate(asked()))
    assert (api.count("POST"), point.counted) == (1, 0)


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
async def test_the_items_before_one_that_breaks_are_taken_out_again(
    api: KeptObjects, monkeypatch: pytest.MonkeyPatch, broken: BaseException
) -> None:
    point, uses = CountingPoint(api, counting(GATED)), BreakingGrant(broken, after=2)
    pdp = with_grant(point, uses, monkeypatch)
    with pytest.raises(type(broken)):
        await pdp.evaluate_all([asked(item=number) for number in range(4)], Semantic.EXECUTE_ALL)
    assert (uses.uses, api.count("POST"), point.counted) == (2, 1, 0)


async def test_dry_runs_have_a_ration_of_their_own(point: CountingPoint) -> None:
    decisions = await asyncio.gather(*(point.ask(caller=THE_AGENT) for _ in range(60)))
    denied = [one for one in decisions if not one.allowed]
    assert {one.verdict.reason for one in denied} == {Reason.HISTORY_UNAVAILABLE}
    assert "too many calls a second" in denied[0].sentence
    assert (await point.ask()).allowed


def test_the_chain_of_agents_makes_a_call_the_same() -> None:
    calls = [
        asked(request_id="r"),
        *(asked(request_id="r", actors=(replace(cast("Party", CALL.subject), id=name),)) for name in "ab"),
    ]
    assert len({nonce_of(one) for one in calls}) == len(calls)
    assert nonce_of(calls[1]) == nonce_of(replace(calls[1]))


async def test_each_attempt_has_an_end_of_its_own(point: CountingPoint) -> None:
    # So that to take one out again never takes out what another one counted.
    first, again = [await point.ask(request_id="r") for _ in range(2)]
    judged = [one.with_numbers for one in (first, again)]
    entries = [one.reserved.request.entry for one in judged if one and one.reserved]
    assert len(set(entries)) == 2
    assert len({entry[:CALL_DIGITS] for entry in entries}) == 1


async def test_two_items_of_a_batch_are_two_calls_and_the_same_two_when_it_is_sent_again(point: CountingPoint) -> None:
    items = [asked(request_id="r", item=number) for number in range(2)]
    for _ in range(2):
        decisions = await point.pdp.evaluate_all(items, Semantic.EXECUTE_ALL)
        assert [one is not None and one.allowed for one in decisions] == [True, True]
        assert point.counted == 2
    assert (await point.ask(request_id="r")).allowed
    assert point.counted == 3
