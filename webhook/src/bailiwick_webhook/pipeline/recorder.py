"""The recorder: from a settled verdict to the decision that is answered, and the record of it.

Standing: under `pdp`. Holds: what cannot be recorded is denied; the record is of the very policies that were judged by.
"""

import contextlib
from collections.abc import Callable, Sequence

import structlog

from bailiwick_engine.call import Call
from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_webhook.approvals.ports import GrantOpener
from bailiwick_webhook.pipeline.decision import Decision, FinalVerdict
from bailiwick_webhook.pipeline.observer import Observer, Stage, unobserved
from bailiwick_webhook.pipeline.offload import Offload
from bailiwick_webhook.pipeline.ports import Records
from bailiwick_webhook.record.evidence import AttributesRead
from bailiwick_webhook.record.history import HistoryEvent, event_line
from bailiwick_webhook.record.line import RecordLines
from bailiwick_webhook.record.writing.waitingline import RecordFailedError

_log = structlog.get_logger()


class DecisionRecorder:
    """Records decisions. `now`: the time of day, in seconds since the epoch. `opener`: of approvals.

    `observe`: see `observer`.
    """

    def __init__(
        self,
        records: Records,
        lines: RecordLines,
        offload: Offload,
        now: Callable[[], float],
        opener: GrantOpener,
        observe: Observer = unobserved,
    ) -> None:
        self._observe = observe
        self._records = records
        self.lines = lines
        self._offload = offload
        self._now = now
        self._opener = opener

    async def record(self, kind: str, one: FinalVerdict) -> Decision:
        """Record and return the decision. A used or opened grant and a count must be recorded, or it is denied."""
        # Of the very policies that were judged by: they may have changed since.
        read = await self.read(one.asked.call, one.inputs.snapshot, None) if one.asked.large else None
        decision, line = self.compose(kind, one, self._now(), None, read)
        reserved = None if one.with_numbers is None else one.with_numbers.reserved
        counted = (
            one.allowed and reserved is not None and any(count.added or count.awaited for count in reserved.counts)
        )
        return await self.write(decision, line, must=one.grant is not None or counted)

    async def record_event(self, event: HistoryEvent) -> None:
        """Record what no answer carries. Where it cannot be recorded, the numbers of its object show a gap."""
        with contextlib.suppress(RecordFailedError):
            await self._records.write(event_line(event, self._now()), must=False)

    async def read(self, call: Call, snapshot: Snapshot, weighed: Sequence[Hop] | None) -> AttributesRead:
        """Return what a record tells of a call that is large: to seal large values takes long."""
        work = self.lines.reading(call, snapshot.endpoints.get((call.namespace, call.endpoint)), weighed)
        return await self._offload.run(call.namespace, work)

    def compose(
        self, kind: str, one: FinalVerdict, now: float, weighed: Sequence[Hop] | None, read: AttributesRead | None
    ) -> tuple[Decision, bytes]:
        """Return the decision and its record. `weighed` is of the verdict's own snapshot, which says what to hide."""
        asked, inputs, verdict, grant, allowed = one.asked, one.inputs, one.verdict, one.grant, one.allowed
        call, seen, evaluation_id, judged = asked.call, inputs.seen, one.evaluation_id, one.with_numbers
        pending = seen.pending(call.namespace, call.endpoint) if seen.waiting else None
        decision = Decision(
            verdict=verdict,
            allowed=allowed,
            evaluation_id=evaluation_id,
            time=now,
            revision=seen.revision,
            age=seen.age,
            grant=grant,
            explanation=one.explanation,
            askable=self._opener.possible,
            pending=pending,
            with_numbers=judged,
        )
        line = self.lines.line(
            call,
            verdict,
            inputs.snapshot.endpoints.get((call.namespace, call.endpoint)),
            kind=kind,
            evaluation_id=evaluation_id,
            request_id=asked.request_id,
            item=asked.item,
            trace=asked.trace,
            allowed=allowed,
            used=grant,
            token=asked.token,
            revision=seen.revision,
            age=seen.age,
            pending=pending,
            now=now,
            judged=inputs.now,
            weighed=weighed,
            read=read,
            history=() if judged is None or judged.reserved is None else judged.reserved.counts,
        )
        return decision, line

    async def write(self, decision: Decision, line: bytes, *, must: bool) -> Decision:
        """Write the record; what cannot be recorded is denied."""
        try:
            with self._observe(Stage.RECORD, None):
                await self._records.write(line, must=must)
        except RecordFailedError as error:
            if must:
                # The only trace of why a use is spent, a grant open or a call counted. Of the others the writer tells,
                # once in a while.
                _log.error("decision not recorded, call denied", evaluation_id=decision.evaluation_id, error=str(error))
            return decision.unrecorded
        return decision
