"""Settling: a call is counted by its outcome, in each object that awaits it.

Standing: under `reservations`, over `commits`. Holds: what a handle names is looked for, never believed: the entry is
that of the account that reports, in an object of the endpoint that it enforces.
"""

import asyncio
from typing import Final

from msgspec.structs import replace

from bailiwick_engine.history.changes import SettledOutcome, settle
from bailiwick_engine.history.commit import ClockBounds
from bailiwick_engine.history.state import KeyState
from bailiwick_webhook.history.commits import ChangedState, HistoryCommits
from bailiwick_webhook.history.handles import CountedEntry, entry_of
from bailiwick_webhook.history.ports import ReportedOutcome, ReportResult
from bailiwick_webhook.metrics.table import HistoryCause

PATIENCE: Final = 4.0
"""Seconds after which a report is given up, whatever becomes of its write."""


class OutcomeSettler:
    """Counts calls by their outcomes. Lives in one loop."""

    def __init__(self, commits: HistoryCommits) -> None:
        self._commits = commits

    async def settle(self, report: ReportedOutcome) -> ReportResult | HistoryCause:
        """Count a call by its outcome, once; in several objects one after the other, by name."""
        results: list[ReportResult] = []
        for counted in sorted(report.handle.entries, key=lambda one: one.object):
            settled = await self._settle(report, counted, begun=bool(results))
            if isinstance(settled, HistoryCause):
                return settled
            if settled.result == "conflict" or (settled.result == "late" and not results):
                # After a conflict, what is not settled yet stays open for the outcome that was reported first. What is
                # too late in the first object counts in none: each has a time of its own, and may still await it.
                return settled
            results.append(settled)
        counts = tuple(count for one in results for count in one.counts)
        found = {one.result for one in results}
        return ReportResult("settled" if "settled" in found else "repeated" if "repeated" in found else "late", counts)

    async def _settle(
        self, report: ReportedOutcome, counted: CountedEntry, *, begun: bool
    ) -> ReportResult | HistoryCause:
        settling = _Settlement(report, counted, begun=begun)
        try:
            async with asyncio.timeout(PATIENCE):
                changed = await self._commits.change(
                    (report.namespace, counted.object),
                    KeyState(report.endpoint, counted.key),
                    settling.change,
                    report.definitions,
                    fresh=True,
                )
        except TimeoutError:
            return HistoryCause.LATE
        return changed if isinstance(changed, HistoryCause) else settling.result(changed)


class _Settlement:
    """A report that is counted in one object. `begun`: another object has it. `outcome`: what it came to last."""

    __slots__ = ("_begun", "_counted", "_entry", "_outcome", "_report")

    def __init__(self, report: ReportedOutcome, counted: CountedEntry, *, begun: bool) -> None:
        self._begun = begun
        self._report = report
        self._counted = counted
        self._entry = entry_of(report.uid, report.handle.nonce, counted.attempt)
        self._outcome = SettledOutcome("late")

    def change(self, state: KeyState, moment: ClockBounds) -> KeyState:
        """Return the state with the outcome."""
        if (state.endpoint, state.key) != (self._report.endpoint, self._counted.key):
            # A handle names what it likes, the object of another endpoint too.
            self._outcome = SettledOutcome("late")
            return state
        report = self._report
        settled, self._outcome = settle(state, self._entry, report.outcome, report.definitions, moment)
        if self._outcome.result == "settled" and not self._begun and moment.earliest > report.handle.until:
            # It is too late in another object. A forged time gains nothing: each object looks at its own, too.
            self._outcome = SettledOutcome("late")
            return state
        return settled

    def result(self, changed: ChangedState) -> ReportResult | HistoryCause:
        """Return what it came to, with the numbers after it."""
        outcome = self._outcome
        if outcome.result == "full":
            return HistoryCause.STATE
        if outcome.result not in {"settled", "repeated"}:
            return ReportResult(outcome.result)
        repeated = outcome.result == "repeated"
        counts = tuple(
            replace(count, seq=outcome.seq, added=history.digest in outcome.counted, repeated=repeated)
            for history in self._report.definitions
            if history.digest in outcome.awaited
            for count in changed.counts(self._counted.object, (history,), added=False)
        )
        return ReportResult(outcome.result, counts)
