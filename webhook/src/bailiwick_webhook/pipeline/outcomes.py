"""Outcomes: what became of calls that were let through, as their enforcers report it.

Standing: under `pdp`, over the ports of `history`. Holds: only an account that enforces the endpoint is heard, and only
about calls that it asked about itself; an outcome is counted and recorded before the report is answered.
"""

from collections.abc import Callable

import msgspec

from bailiwick_engine.call import ServiceAccount
from bailiwick_engine.history.state import CallOutcome
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey
from bailiwick_webhook.history.handles import EntryHandle
from bailiwick_webhook.history.ports import HistoryKeeper, ReportedOutcome, ReportResult
from bailiwick_webhook.metrics.counts import HistoryTally
from bailiwick_webhook.metrics.table import HistoryCause, OutcomeResult
from bailiwick_webhook.pipeline.ports import Records
from bailiwick_webhook.record.history import outcome_line
from bailiwick_webhook.record.writing.waitingline import RecordFailedError


class CallReport(msgspec.Struct, frozen=True, gc=False):
    """A report as it was sent. `evaluation_id` is the enforcer's word."""

    evaluation_id: str
    handle: EntryHandle
    outcome: CallOutcome
    request_id: str | None


class OutcomeReports:
    """Takes reports. `now` is the time of day in seconds since the epoch."""

    def __init__(self, keeper: HistoryKeeper, records: Records, tally: HistoryTally, now: Callable[[], float]) -> None:
        self._keeper = keeper
        self._records = records
        self._tally = tally
        self._now = now

    async def report(
        self, of: EndpointKey, endpoint: CompiledEndpoint, caller: ServiceAccount, report: CallReport
    ) -> OutcomeResult:
        """Count and record an outcome; return what became of it. `caller` enforces the endpoint."""
        result = await self._result(of, endpoint, caller, report)
        self._tally.outcomes[result] += 1
        return result

    async def _result(
        self, of: EndpointKey, endpoint: CompiledEndpoint, caller: ServiceAccount, report: CallReport
    ) -> OutcomeResult:
        if not any(one.awaits_outcome for one in endpoint.histories):
            return OutcomeResult.LATE
        made = await self._keeper.settle(
            ReportedOutcome(*of, caller.uid, report.handle, report.outcome, endpoint.histories)
        )
        match made:
            case HistoryCause():
                return OutcomeResult.UNAVAILABLE
            case ReportResult("conflict"):
                return OutcomeResult.CONFLICT
            case ReportResult("late"):
                return OutcomeResult.LATE
        line = outcome_line(
            caller,
            "/".join(of),
            report.evaluation_id,
            report.outcome,
            made.counts,
            request_id=report.request_id,
            now=self._now(),
        )
        try:
            await self._records.write(line)
        except RecordFailedError:
            # The same report finds it settled, and is recorded then.
            return OutcomeResult.UNAVAILABLE
        return OutcomeResult.REPEATED if made.result == "repeated" else OutcomeResult(report.outcome)
