"""The one pipeline: decide, read the grant live, consume, record, answer. Every adapter goes through it.

Holds: nothing is allowed by a grant before its use stands in the API server and its record is written; whatever goes
wrong on the way denies, and a use once spent stays spent.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import structlog
from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_engine.batch import Semantic
from bailiwick_engine.call import Call, ServiceAccount, Subject, Workload
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.compiled import CompiledSettings, Gate
from bailiwick_engine.decide import decide
from bailiwick_engine.explain import Explanation, explain
from bailiwick_engine.grants import Grant
from bailiwick_engine.reasons import Reason
from bailiwick_engine.snapshot import Snapshot
from bailiwick_engine.verdict import Outcome, Verdict
from bailiwick_webhook.asked import Asked
from bailiwick_webhook.consume import Judge
from bailiwick_webhook.decision import Decision, new_evaluation_id
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import Outcome as Counted, Use
from bailiwick_webhook.opening import Opened, Refused
from bailiwick_webhook.permits import Permits
from bailiwick_webhook.record.line import Lines
from bailiwick_webhook.record.writer import RecordFailedError
from bailiwick_webhook.searching import Kind, Searched, Searcher
from bailiwick_webhook.store.view import View

__all__ = ["Decision", "Pdp", "Records", "Requests", "Uses"]

_log = structlog.get_logger()


class Records(Protocol):
    """Where records go."""

    async def write(self, line: bytes, *, must: bool = True) -> None:
        """Take one line, or raise `RecordFailedError`; with `must`, return only when it is written."""


class Uses(Protocol):
    """Where uses of grants are taken (see `consume`)."""

    def taken_before(self, asked: Asked, verdict: Verdict, known: Iterable[Grant]) -> tuple[Grant, ...]:
        """Return those of the known grants that this very call took a use of a moment ago."""

    async def consume(
        self, asked: Asked, verdict: Verdict, evaluation_id: str, judge: Judge
    ) -> tuple[Verdict, Grant | None]:
        """Take one use of the first of the verdict's grants that still serves."""


class Requests(Protocol):
    """Where approvals are asked for (see `opening`). Not `possible`: nowhere."""

    @property
    def possible(self) -> bool:
        """Somebody can be asked."""

    async def join(self, pending: Grant, call: Call, subject: Subject, gate: Gate) -> Opened | None:
        """Return the open grant that the store knows, read live."""

    async def open(self, call: Call, subject: Subject, gate: Gate, digest: str, reason: str | None) -> Opened | Refused:
        """Open the grant for this call, or join the one that is open."""

    async def read(self, namespace: str, endpoint: str, task_id: str) -> Grant | None:
        """Return the grant of a task of this endpoint."""


class _Settled(NamedTuple):
    asked: Asked
    verdict: Verdict
    evaluation_id: str
    allowed: bool
    used: Grant | None
    explanation: Explanation | None


class Pdp:
    """Answers evaluations. `now` is the time of day in seconds since the epoch."""

    def __init__(  # noqa: PLR0913 - the parts of a decision point
        self,
        store: View,
        consumer: Uses,
        opener: Requests,
        records: Records,
        installation: Installation,
        now: Callable[[], float] = time.time,
        permits: Permits | None = None,
        *,
        record_key: bytes | None = None,
    ) -> None:
        self._store = store
        self._consumer = consumer
        self._opener = opener
        self._records = records
        self._installation = installation
        self._now = now
        self._permits = permits
        self._lines = Lines(record_key)
        self.counts = Counts()
        self._searcher = Searcher(store, records, self._now)

    def circumstances(self, asked: Asked, now: float | None = None) -> Circumstances:
        """Return the circumstances of a decision at this moment."""
        freshness = self._store.freshness
        if freshness is Freshness.FRESH and not asked.live_identity:
            # An identity from before an outage decides, but never uses a grant (DESIGN, "Identity").
            freshness = Freshness.STALE
        return Circumstances(
            self._now() if now is None else now, freshness, self._store.guard_proven, self._installation
        )

    @property
    def snapshot(self) -> Snapshot:
        """The policies as of now; empty, so that everybody is a stranger, before the first list."""
        return self._store.snapshot or Snapshot({})

    def judge(self, asked: Asked) -> Verdict:
        """Return the verdict, without using, recording or opening anything."""
        return decide(self.snapshot, asked.call, self._known(asked.call), self.circumstances(asked))

    def _known(self, call: Call) -> Iterable[Grant]:
        subject_uid = call.subject.uid if isinstance(call.subject, Subject) else ""
        return self._store.candidates(call.namespace, call.endpoint, subject_uid)

    async def evaluate(self, asked: Asked) -> Decision:
        """Decide one call, using a grant where one is needed and fits."""
        started = time.perf_counter()
        snapshot = self.snapshot
        decision = await self._written(
            await self._settled(asked, self.judge(asked), self._explanation(asked, snapshot))
        )
        self.counts.evaluation.count(decision.counted, decision.verdict.reason)
        self.counts.evaluation.took(time.perf_counter() - started)
        return decision

    async def evaluate_all(self, items: Sequence[Asked | None], semantic: Semantic) -> list[Decision | None]:
        """Decide a batch whole, on one snapshot, then use grants in order, up to the item that ends it.

        None stands for an item that cannot be decided, and counts as denied.
        """
        started = time.perf_counter()
        snapshot = self.snapshot
        judged = [None if one is None else (one, self.judge(one)) for one in items]
        settled: list[_Settled | None] = []
        for one in judged:
            done = None if one is None else await self._settled(*one, self._explanation(one[0], snapshot))
            settled.append(done)
            if done is not None and done.explanation is not None:
                # Many explanations in a row would keep others waiting.
                await asyncio.sleep(0)
            if semantic.ends(allowed=done is not None and done.allowed):
                break
        decisions = await asyncio.gather(*(self._written_if(one) for one in settled))
        for decision in decisions:
            if decision is not None:
                self.counts.batch.count(decision.counted, decision.verdict.reason)
        self.counts.batch.took(time.perf_counter() - started)
        # Again: what could not be recorded has turned to deny.
        return decisions[: semantic.answered(one is not None and one.allowed for one in decisions)]

    async def _settled(self, asked: Asked, verdict: Verdict, explanation: Explanation | None) -> _Settled:
        """Use a grant, where the verdict takes one."""
        evaluation_id = new_evaluation_id()
        used = None
        if verdict.gate is not None and not verdict.dry_run:
            verdict, used = await self._with_grant(asked, verdict, evaluation_id)
        allowed = verdict.outcome is Outcome.ALLOW or (
            verdict.outcome is Outcome.USE_GRANT and (used is not None or verdict.dry_run)
        )
        return _Settled(asked, verdict, evaluation_id, allowed, used, explanation)

    async def _written(self, one: _Settled) -> Decision:
        decision = await self._recorded(
            one.asked, "evaluation", one.verdict, one.evaluation_id, allowed=one.allowed, used=one.used
        )
        return decision if one.explanation is None else replace(decision, explanation=one.explanation)

    async def _written_if(self, one: _Settled | None) -> Decision | None:
        return None if one is None else await self._written(one)

    def _explanation(self, asked: Asked, snapshot: Snapshot) -> Explanation | None:
        return explain(snapshot, asked.call, self.circumstances(asked)) if asked.explain else None

    async def may_explain(self, caller: ServiceAccount, namespace: str) -> bool:
        """Tell whether this caller may see the policies of a namespace, and so what they make of a call."""
        return self._permits is not None and await self._permits.may_get_policies(caller, namespace)

    def enforces(self, namespace: str, endpoint: str, caller: ServiceAccount) -> bool:
        """Tell whether this caller may ask about everybody at this endpoint."""
        found = self.snapshot.endpoints.get((namespace, endpoint))
        return found is not None and caller.username in found.enforcers

    async def search(self, asked: Asked, kind: Kind) -> Searched | None:
        """Return what a search finds; None where the caller may not ask. Raises `RecordFailedError`."""
        started, counts = time.perf_counter(), self.counts.search
        try:
            found = await self._searcher.search(asked, kind, self.snapshot, self.circumstances(asked))
        except RecordFailedError:
            counts.count(Counted.DENY, Reason.RECORD_FAILED)
            raise
        if found is None:
            counts.count(Counted.FORBIDDEN, Reason.NO_RULE)
        elif found.refused is None:
            counts.count(Counted.ALLOW, Reason.ALLOWED)
        else:
            counts.count(Counted.DENY, found.refused)
        counts.took(time.perf_counter() - started)
        return found

    async def _with_grant(self, asked: Asked, verdict: Verdict, evaluation_id: str) -> tuple[Verdict, Grant | None]:
        """Use the grant that this very call used a moment ago, else the first of the verdict's that serves."""

        def judge(grant: Grant, now: float) -> Verdict:
            return decide(self.snapshot, asked.call, (grant,), self.circumstances(asked, now))

        # Used up since, as like as not, so that the verdict need not name it.
        repeated = self._consumer.taken_before(asked, verdict, self._known(asked.call))
        if not repeated and verdict.outcome is not Outcome.USE_GRANT:
            return verdict, None
        candidates = (*repeated, *(grant for grant in verdict.grants if grant not in repeated))
        verdict, used = await self._consumer.consume(asked, replace(verdict, grants=candidates), evaluation_id, judge)
        self.counts.uses[Use.REFUSED if used is None else Use.USED] += 1
        return verdict, used

    def settings(self, namespace: str, endpoint: str, caller: ServiceAccount) -> CompiledSettings | None:
        """Return how subjects are proven, where this caller may ask; None spares us a stranger's tokens."""
        found = self.snapshot.endpoints.get((namespace, endpoint))
        if found is None or found.settings is None or caller.username not in found.enforcers:
            return None
        return found.settings

    async def with_workloads(
        self, call: Call, read: Callable[[Subject], Awaitable[Workload | None]], *, searching: bool = False
    ) -> Call:
        """Return the call with the workload of each party that a rule asks it of, by `read`; any rule, for a search.

        A policy that comes to ask for one meanwhile finds it unknown, which never widens.
        """
        endpoint = self.snapshot.endpoints.get((call.namespace, call.endpoint))
        if endpoint is None or not isinstance(call.subject, Subject):
            return call

        def asked_of(party: Subject) -> bool:
            if searching:
                return not party.keys.isdisjoint(endpoint.workload_keys)
            return endpoint.asks_workload(call.action.name, call.resource, party)

        parties = (call.subject, *call.actors)
        asked = [asked_of(party) for party in parties]
        if not any(asked):
            return call
        subject, *actors = [
            replace(party, workload=await read(party)) if wanted else party
            for party, wanted in zip(parties, asked, strict=True)
        ]
        return replace(call, subject=subject, actors=tuple(actors))

    async def request(self, asked: Asked, reason: str | None) -> tuple[Decision, Opened | Refused | None]:
        """Ask for an approval of a call: decide it again, and open a grant only where that is what it needs.

        Returns the decision, and what became of the request; None where the verdict leaves nothing to ask for. Raises
        `ClusterUnavailableError`.
        """
        started = time.perf_counter()
        verdict = self.judge(asked)
        outcome: Opened | Refused | None = None
        # The store may lag behind another replica's use, so what it knows is read live before it is told.
        known = verdict.grants[0] if verdict.grants else verdict.pending
        if (
            (known is not None or verdict.requestable)
            and isinstance(asked.call.subject, Subject)
            and verdict.gate is not None
            and verdict.digest is not None
        ):
            call, subject, gate = asked.call, asked.call.subject, verdict.gate
            if known is not None:
                outcome = await self._opener.join(known, call, subject, gate)
            if outcome is None:
                outcome = await self._opener.open(call, subject, gate, verdict.digest, reason)
        opened = outcome.grant if isinstance(outcome, Opened) else None
        decision = await self._recorded(asked, "request", verdict, new_evaluation_id(), allowed=False, used=opened)
        came_to = Counted.DENY if opened is None or decision.verdict.reason is Reason.RECORD_FAILED else Counted.OPENED
        if verdict.outcome is Outcome.FORBIDDEN:
            came_to = Counted.FORBIDDEN
        self.counts.request.count(came_to, decision.verdict.reason)
        self.counts.request.took(time.perf_counter() - started)
        return decision, outcome

    async def task(self, namespace: str, endpoint: str, caller: ServiceAccount, task_id: str) -> Grant | None:
        """Return the grant of a task; None for a stranger as for a task that does not exist.

        Raises `ClusterUnavailableError`.
        """
        found = self.snapshot.endpoints.get((namespace, endpoint))
        if found is None or caller.username not in found.enforcers:
            return None
        return await self._opener.read(namespace, endpoint, task_id)

    async def _recorded(
        self,
        asked: Asked,
        kind: str,
        verdict: Verdict,
        evaluation_id: str,
        *,
        allowed: bool,
        used: Grant | None,
    ) -> Decision:
        now, revision, age = self._now(), self._store.revision, self._store.age
        decision = Decision(verdict, allowed, evaluation_id, now, revision, age, used, askable=self._opener.possible)
        call = asked.call
        written = self._lines.line(
            call,
            verdict,
            self.snapshot.endpoints.get((call.namespace, call.endpoint)),
            kind=kind,
            evaluation_id=evaluation_id,
            request_id=asked.request_id,
            trace=asked.trace,
            allowed=allowed,
            used=used,
            revision=revision,
            age=age,
            now=now,
        )
        try:
            await self._records.write(written, must=used is not None)
        except RecordFailedError as error:
            if used is not None:
                # The only trace of why a use is spent. Of the others the writer tells, once in a while.
                _log.error("decision not recorded, denied", evaluation_id=evaluation_id, error=str(error))
            if verdict.outcome is Outcome.FORBIDDEN:
                return decision
            verdict = replace(verdict, outcome=Outcome.DENY, reason=Reason.RECORD_FAILED, message=None)
            return Decision(verdict, allowed=False, evaluation_id=evaluation_id, time=now, revision=revision, age=age)
        return decision
