"""The one pipeline: decide, read the grant live, consume, record, answer. Every adapter goes through it.

Standing: over all of the pipeline, under the adapters of `http` and `grpc`. Holds: nothing is allowed by a grant before
its use stands in the API server and its record is written; whatever goes wrong on the way denies, and a use once spent
stays spent.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_api.serverclock import span_of
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.batch import Semantic
from bailiwick_engine.call import Call, Party, PodWorkload, ServiceAccount
from bailiwick_engine.decision.decide import may_ask
from bailiwick_engine.decision.explain import Explanation
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.keys import CLUSTER
from bailiwick_engine.policy.model import CompiledSettings
from bailiwick_engine.policy.snapshot import EndpointKey, Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.approvals.opener import OpenedGrant, RefusedOpening, UnreadTask
from bailiwick_webhook.approvals.ports import GrantOpener, Readers, UseConsumer
from bailiwick_webhook.approvals.requester import ApprovalRequester
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.history.ports import HistoryKeeping, no_histories
from bailiwick_webhook.metrics.counts import Counts, Tally
from bailiwick_webhook.metrics.table import DecisionOutcome as MetricOutcome, OutcomeResult
from bailiwick_webhook.pipeline.decision import (
    Decision,
    DecisionInputs,
    EvaluatedCall,
    FinalVerdict,
    new_evaluation_id,
    settle,
)
from bailiwick_webhook.pipeline.evaluator import Evaluator
from bailiwick_webhook.pipeline.grantuses import GrantUses
from bailiwick_webhook.pipeline.histories import HistoryCounter
from bailiwick_webhook.pipeline.lateanswers import LateAnswers
from bailiwick_webhook.pipeline.observer import BatchResult, Observer, SearchCount, Stage, unobserved
from bailiwick_webhook.pipeline.offload import Offload
from bailiwick_webhook.pipeline.outcomes import CallReport, OutcomeReports
from bailiwick_webhook.pipeline.ports import Records
from bailiwick_webhook.pipeline.recorder import DecisionRecorder
from bailiwick_webhook.pipeline.search import Searcher, SearchKind, SearchResult, unpaid
from bailiwick_webhook.pipeline.shadows import ShadowedCall, Shadows
from bailiwick_webhook.pipeline.turns import LoopTurns, TenantSlices
from bailiwick_webhook.pipeline.workloads import with_workloads
from bailiwick_webhook.record.evidence import AttributesRead
from bailiwick_webhook.record.line import RecordLines
from bailiwick_webhook.record.writing.waitingline import RecordFailedError
from bailiwick_webhook.steps import Need, Step, resolve
from bailiwick_webhook.store.view import View, doubt

__all__ = ["Decision", "Pdp"]

_NOTHING = Snapshot({})
# Members of an enumeration are looked up slowly.
_ALLOW, _USE_GRANT, _FORBIDDEN = Outcome.ALLOW, Outcome.USE_GRANT, Outcome.FORBIDDEN


class Pdp:
    """Answers evaluations. `now` is the time of day in seconds since the epoch. `observe`: see `observer`.

    `span`: see `Evaluator`; without one, calls are judged by `now` too. `histories` returns what counts calls.
    """

    def __init__(  # noqa: PLR0913 - the parts of a decision point
        self,
        store: View,
        consumer: UseConsumer,
        opener: GrantOpener,
        records: Records,
        installation: Installation,
        now: Callable[[], float] = time.time,
        permits: Readers | None = None,
        *,
        span: Callable[[], tuple[float, float]] | None = None,
        record_key: bytes | None = None,
        shadow_share: float = 1.0,
        observe: Observer = unobserved,
        histories: HistoryKeeping = no_histories,
    ) -> None:
        self._observe = observe
        self._store = store
        self.doubt = partial(doubt, store)
        self._now = now
        self._opener = opener
        self._asking = ApprovalRequester(opener)
        self._records = records
        self._permits = permits
        self.counts = Counts()
        self.offload = Offload()
        self.turns = LoopTurns()
        self._recorder = DecisionRecorder(records, RecordLines(record_key), self.offload, now, opener, observe)
        self._evaluator = Evaluator(store, installation, span or span_of(now), self.offload)
        self._late = LateAnswers(self._evaluator)
        keeper = histories(self.counts.histories, self.turns.slices, self.offload.run, self._recorder.record_event)
        self.histories = HistoryCounter(keeper, self._evaluator, consumer, self.offload, self.counts.histories)
        self._uses = GrantUses(consumer, self._evaluator, self.histories, self.counts.uses, observe)
        self._outcomes = OutcomeReports(keeper, records, self.counts.histories, now)
        self.shadows = Shadows(records, self.counts.shadows, installation, now, shadow_share)
        self._searcher = Searcher(store, records, now, self.offload, observe)

    @property
    def snapshot(self) -> Snapshot:
        """The policies as of now, as the evaluator has them; not asked of it, since this is on every decision's way."""
        return self._store.snapshot or _NOTHING

    async def verdict(self, asked: EvaluationRequest, *, as_counted: bool = False) -> Verdict:
        """Return the verdict, without using, recording, counting or opening anything.

        Without `as_counted` it denies what a history would have to count.
        """
        one = await self._evaluator.evaluate(asked, self._evaluator.inputs())
        return (await self.histories.read(one)).verdict if as_counted else one.verdict

    def evaluate(self, asked: EvaluationRequest) -> Step[Decision]:
        """Decide one call, using a grant where one is needed and fits."""
        return self._begin(asked) if self._observe is unobserved else Need(partial(self._evaluate_observed, asked))

    async def _evaluate_observed(self, asked: EvaluationRequest) -> Decision:
        with self._observe(Stage.DECISION, asked) as report:
            decision = await resolve(self._begin(asked))
            report(decision)
            return decision

    def _begin(self, asked: EvaluationRequest) -> Step[Decision]:
        started = time.perf_counter()
        if asked.large or asked.explain:
            return Need(partial(self._evaluate_beside, asked, started))
        one = self._evaluator.evaluate_now(asked, self._evaluator.inputs())
        return self._answer(one, self.shadows.shadowed_call(one, self._evaluator.grants_for), started)

    async def _evaluate_beside(self, asked: EvaluationRequest, started: float) -> Step[Decision]:
        """Decide a call that is large, or explain the decision: beside the loop."""
        inputs = self._evaluator.inputs()
        one = await self._evaluator.evaluate(asked, inputs)
        # Before anything else is awaited: by what is known now.
        shadow = self.shadows.shadowed_call(one, self._evaluator.grants_for)
        if one.verdict.needs is not None:
            return self._answer(one, shadow, started)
        explanation = await self._evaluator.explain(one)
        read = None
        if asked.large and not one.needs_grant:
            read = await self._recorder.read(asked.call, inputs.snapshot, one.weighed)
        if self._late.is_late(inputs):
            return await self._answer_with_waits(one, shadow, started, explanation)
        return self._answer(one, shadow, started, explanation, read)

    def _answer(
        self,
        one: EvaluatedCall,
        shadow: ShadowedCall | None,
        started: float,
        explanation: Explanation | None = None,
        read: AttributesRead | None = None,
    ) -> Step[Decision]:
        if one.needs_grant or one.verdict.needs is not None:
            return Need(partial(self._answer_with_waits, one, shadow, started, explanation))
        settled = settle(one, explanation)
        decision, line = self._recorder.compose("evaluation", settled, self._now(), one.weighed, read)
        # Last of what may fail: a record of a decision that was never answered is no record of it.
        if self._records.take(line):
            return self._count(decision, one, shadow, started)
        return Need(partial(self._write, decision, line, one, shadow, started))

    async def _write(
        self, decision: Decision, line: bytes, one: EvaluatedCall, shadow: ShadowedCall | None, started: float
    ) -> Decision:
        return self._count(await self._recorder.write(decision, line, must=False), one, shadow, started)

    async def _answer_with_waits(
        self, one: EvaluatedCall, shadow: ShadowedCall | None, started: float, explanation: Explanation | None
    ) -> Decision:
        """Count the call, use a grant, record: in this order, so that a full limit never takes a use."""
        settled = await self._settle_with_waits(one, explanation)
        decision = await self._record_or_release(settled)
        return self._count(decision, one, shadow, started)

    async def _record_or_release(self, settled: FinalVerdict) -> Decision:
        try:
            timely = self.histories.in_time(await self._late.judged(settled))
            decision = await self._recorder.record("evaluation", timely)
        except BaseException:
            await self.histories.release(settled.with_numbers)
            raise
        if settled.allowed and not decision.allowed:
            await self.histories.release(settled.with_numbers)
        return decision

    def _count(self, decision: Decision, one: EvaluatedCall, shadow: ShadowedCall | None, started: float) -> Decision:
        tally = self.counts.evaluation
        self._count_outcome(decision, one, tally)
        tally.took(time.perf_counter() - started)
        if shadow is not None:
            self.shadows.put(shadow, decision)
        return decision

    def _count_outcome(self, decision: Decision, one: EvaluatedCall, tally: Tally) -> None:
        verdict = decision.verdict
        if decision.allowed:
            self.counts.usage.use(verdict, one.weighed, one.inputs.now)
        else:
            self.histories.count_denied(one, verdict)
        tally.count(decision.metric_outcome, verdict.reason)

    async def evaluate_all(
        self, items: Sequence[EvaluationRequest | None], semantic: Semantic
    ) -> list[Decision | None]:
        """Decide a batch whole, on one snapshot, then use grants in order, up to the item that ends it.

        None stands for an item that cannot be decided, and counts as denied. What is forbidden ends it.
        """
        first = next((item for item in items if item is not None), None)
        with self._observe(Stage.BATCH, first) as report:
            decisions = await self._evaluate_batch(items, first, semantic)
            report(BatchResult(len(items), sum(one is not None and one.allowed for one in decisions)))
            return decisions

    async def _evaluate_batch(
        self, items: Sequence[EvaluationRequest | None], first: EvaluationRequest | None, semantic: Semantic
    ) -> list[Decision | None]:
        started = time.perf_counter()
        slices = self.turns.slices("") if first is None else self._slices(first.call)
        # Before it is said by which policies, since a crowd of the same tenant may be ahead.
        await slices.turn()
        inputs = self._evaluator.inputs()
        judged: list[EvaluatedCall | None] = []
        shadows: list[ShadowedCall | None] = []
        for item in items:
            # The conditions of each may take some milliseconds.
            await slices.turn()
            if item is None:
                one = None
            elif item.large:
                one = await self._evaluator.evaluate(item, inputs)
            else:
                one = self._evaluator.evaluate_now(item, inputs)
            judged.append(one)
            shadows.append(None if one is None else self.shadows.shadowed_call(one, self._evaluator.grants_for))
            if one is not None and one.verdict.outcome is _FORBIDDEN:
                break  # The whole batch is refused by it, and one record says so.
        if self._records.waits or any(one is not None and one.needs_wait for one in judged):
            decisions = await self._settle_then_record(judged, semantic, slices)
        else:
            decisions = await self._record_each(judged, semantic, slices)
        for one, decision, shadow in zip(judged, decisions, shadows, strict=False):
            self.shadows.put(shadow, decision)
            if one is not None and decision is not None:
                self._count_outcome(decision, one, self.counts.batch)
        self.counts.batch.took(time.perf_counter() - started)
        # Again: what could not be recorded has turned to deny.
        answered = semantic.answered(one is not None and one.allowed for one in decisions)
        for decision in decisions[answered:]:
            if decision is not None and decision.allowed:
                await self.histories.release(decision.with_numbers)
        return decisions[:answered]

    async def _record_each(
        self, judged: Iterable[EvaluatedCall | None], semantic: Semantic, slices: TenantSlices
    ) -> list[Decision | None]:
        """Record what needs no wait, all as of one moment."""
        decisions: list[Decision | None] = []
        now = self._now()
        for one in judged:
            await slices.turn()
            decisions.append(None if one is None else await self._record_in_time(one, now))
            if semantic.ends(allowed=one is not None and one.passes_as_judged):
                break
        return decisions

    async def _record_in_time(self, one: EvaluatedCall, now: float) -> Decision:
        """Record what needs no wait, unless it waited for its turn for so long that it has to be judged again."""
        settled, read = settle(one), None
        if one.asked.large:
            read = await self._recorder.read(one.asked.call, one.inputs.snapshot, one.weighed)
        if self._late.is_late(one.inputs):
            return await self._record_or_release(settled)
        decision, line = self._recorder.compose("evaluation", settled, now, one.weighed, read)
        return decision if self._records.take(line) else await self._recorder.write(decision, line, must=False)

    async def _settle_then_record(
        self, judged: Iterable[EvaluatedCall | None], semantic: Semantic, slices: TenantSlices
    ) -> list[Decision | None]:
        """Count, use grants and explain in order, then record all together."""
        settled: list[FinalVerdict | None] = []
        end, since = EvaluatedCall.deadline(), time.monotonic()
        try:
            for one in judged:
                await slices.turn()
                explanation = None
                if one is not None and one.verdict.needs is None:
                    explanation = await self._evaluator.explain(one)
                done = None if one is None else await self._settle_with_waits(one.denied_after(end), explanation, since)
                settled.append(done)
                if semantic.ends(allowed=done is not None and done.allowed):
                    break
        except BaseException:
            # None of the batch is answered. What was denied is taken out already.
            passed = (one.with_numbers for one in settled if one is not None and one.allowed)
            await asyncio.gather(*map(self.histories.release, passed))
            raise
        told = iter(await asyncio.gather(*(self._record_or_release(one) for one in settled if one is not None)))
        return [None if one is None else next(told) for one in settled]

    async def _settle_with_waits(
        self, one: EvaluatedCall, explanation: Explanation | None, since: float | None = None
    ) -> FinalVerdict:
        """Count the call and use a grant, where the verdict needs that. `since`: see `UseConsumer.caught_up`.

        What fails on the way takes the call out again. A use stays spent.
        """
        counted = None
        if one.verdict.needs is not None:
            dry_run = one.verdict.dry_run
            one = counted = await (self.histories.read(one) if dry_run else self.histories.count(one))
        try:
            if counted is not None:
                explanation = await self._evaluator.explain(one)
            if not one.needs_grant:
                return settle(one, explanation)
            judged, latest = await self._uses.caught_up(one, since)
            # A call that is counted only now is taken out again too, if what follows fails.
            counted = None if judged.reserved is None else judged
            settled = await self._settle_with_use(judged, latest, explanation, one.inputs)
        except BaseException:
            await self.histories.release(counted)
            raise
        if not settled.allowed:
            await self.histories.release(counted)
        return settled

    async def _settle_with_use(
        self, judged: EvaluatedCall, latest: EvaluatedCall, explanation: Explanation | None, explained: DecisionInputs
    ) -> FinalVerdict:
        """Use a grant. `judged`, `latest`: see `GrantUses.caught_up`; `explained`: what the explanation is of."""
        evaluation_id = new_evaluation_id()
        one, used = await self._uses.use(judged, latest, evaluation_id)
        asked, verdict, opened = one.asked, one.verdict, None
        if used is None:
            if one.inputs is not explained:
                # Judged after a live read, by what is known since. A use, once taken, is not kept waiting for this.
                explanation = await self._evaluator.explain(one)
            verdict, opened = await self._asking.on_deny(asked, verdict)
        by_grant = verdict.outcome is _USE_GRANT and used is not None
        allowed = opened is None and (verdict.outcome is _ALLOW or by_grant)
        return FinalVerdict(
            asked=asked,
            inputs=one.inputs,
            verdict=verdict,
            evaluation_id=evaluation_id,
            allowed=allowed,
            grant=used or opened,
            explanation=explanation,
            with_numbers=None if judged.reserved is None else judged,
        )

    def may_explain(self, call: Call) -> Step[bool]:
        """Tell whether the caller may see the policies, and so what they make of a call. None of a stranger's is."""
        endpoint = self.snapshot.endpoints.get((call.namespace, call.endpoint))
        if self._permits is None or endpoint is None or not may_ask(endpoint, call):
            return False
        return Need(partial(self._permits.may_get_policies, call.caller, call.namespace))

    def enforces(self, of: EndpointKey, username: str) -> bool:
        """Tell whether this caller may ask about everybody at this endpoint."""
        found = self.snapshot.endpoints.get(of)
        return found is not None and username in found.enforcers

    def is_taken_back(self, username: str) -> bool:
        """Tell whether an account is taken back, so that it gets nothing but denials."""
        revocations = self._store.revocations
        return bool(revocations) and revocations.of_name(CLUSTER, username) is not None

    async def search(
        self, asked: EvaluationRequest, kind: SearchKind, pay: Callable[[int], None] = unpaid
    ) -> SearchResult | None:
        """Return what a search finds; None: the caller may not ask. Raises `RecordFailedError`, and what `pay` does."""
        with self._observe(Stage.SEARCH, asked) as report:
            found = await self._search(asked, kind, pay)
            report(SearchCount(0 if found is None else len(found.names)))
            return found

    async def _search(
        self, asked: EvaluationRequest, kind: SearchKind, pay: Callable[[int], None]
    ) -> SearchResult | None:
        started, counts = time.perf_counter(), self.counts.search
        slices = self._slices(asked.call)
        await slices.turn()
        snapshot, around = self.snapshot, self._evaluator.circumstances(asked)
        try:
            found = await self._searcher.search(asked, kind, snapshot, around, slices, pay)
        except RecordFailedError:
            counts.count(MetricOutcome.DENY, Reason.RECORD_FAILED)
            raise
        if found is None:
            counts.count(MetricOutcome.FORBIDDEN, Reason.NO_RULE)
        elif found.refused is None:
            counts.count(MetricOutcome.ALLOW, Reason.ALLOWED)
        else:
            counts.count(MetricOutcome.DENY, found.refused)
        counts.took(time.perf_counter() - started)
        return found

    def slices_of(self, of: EndpointKey, username: str) -> TenantSlices:
        """Return the slices of long work: of the namespace for an enforcer, and of the account for anybody else."""
        return self.turns.slices(of[0] if self.enforces(of, username) else username)

    def _slices(self, call: Call) -> TenantSlices:
        return self.slices_of((call.namespace, call.endpoint), call.caller.username)

    def settings(self, of: EndpointKey, caller: ServiceAccount) -> CompiledSettings | None:
        """Return how subjects are authenticated, where this caller may ask; None spares us a stranger's tokens."""
        found = self.snapshot.endpoints.get(of)
        return None if found is None or caller.username not in found.enforcers else found.settings

    def with_workloads(
        self, call: Call, read: Callable[[Party], Awaitable[PodWorkload | None]], *, searching: bool = False
    ) -> Step[Call]:
        """Return the call with the workload of each party that a rule asks it of, by `read`; any rule, for a search.

        A policy that comes to ask for one meanwhile finds it unknown, which never widens.
        """
        endpoint = self.snapshot.endpoints.get((call.namespace, call.endpoint))
        return call if endpoint is None else with_workloads(endpoint, call, read, searching=searching)

    async def request(self, asked: EvaluationRequest) -> tuple[Decision, OpenedGrant | RefusedOpening | None]:
        """Ask for an approval of a call: decide it again, and open a grant only where that is what it needs.

        Returns the decision, and what became of the request; None where the verdict leaves nothing to ask for. Raises
        `ClusterUnavailableError`.
        """
        with self._observe(Stage.REQUEST, asked) as report:
            decision, outcome = await self._request(asked)
            report(decision)
            return decision, outcome

    async def _request(self, asked: EvaluationRequest) -> tuple[Decision, OpenedGrant | RefusedOpening | None]:
        started = time.perf_counter()
        # As if it were counted: a request for an approval counts nothing.
        one = await self.histories.read(await self._evaluator.evaluate(asked, self._evaluator.inputs()))
        verdict = one.verdict
        outcome = await self._asking.outcome(asked, verdict)
        opened = outcome.grant if isinstance(outcome, OpenedGrant) else None
        settled = replace(settle(one), allowed=False, grant=opened)
        decision = await self._recorder.record("request", settled)
        is_open = opened is not None and decision.verdict.reason is not Reason.RECORD_FAILED
        came_to = MetricOutcome.OPENED if is_open else MetricOutcome.DENY
        if verdict.outcome is Outcome.FORBIDDEN:
            came_to = MetricOutcome.FORBIDDEN
        self.counts.request.count(came_to, decision.verdict.reason)
        self.counts.request.took(time.perf_counter() - started)
        return decision, outcome

    async def report(self, of: EndpointKey, caller: ServiceAccount, report: CallReport) -> OutcomeResult | None:
        """Count the outcome of a call that was let through; None: the caller may not report any."""
        endpoint = self.snapshot.endpoints.get(of)
        if endpoint is None or caller.username not in endpoint.enforcers:
            return None
        return await self._outcomes.report(of, endpoint, caller, report)

    async def task(
        self, namespace: str, endpoint: str, caller: ServiceAccount, task_id: str
    ) -> Grant | UnreadTask | None:
        """Return the grant of a task; None for a stranger as for a task that does not exist.

        Raises `ClusterUnavailableError`.
        """
        if not self.enforces((namespace, endpoint), caller.username):
            return None
        return await self._opener.read(namespace, endpoint, task_id)

    async def withdraw(self, grant: Grant, caller: ServiceAccount, reason: str | None) -> Grant | RefusedOpening:
        """Withdraw a pending grant for its requester. Raises `ClusterUnavailableError`."""
        return await self._asking.withdraw(grant, caller.username, reason)
