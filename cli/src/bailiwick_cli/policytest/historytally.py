"""What a test's calls have been counted in: the numbers before the first call, and one more for each that was allowed.

Standing: under `trial`. Holds: which object a call is counted in, and what it adds, the engine says; no time passes
between the calls of a test.
"""

from collections.abc import Mapping
from typing import Final

from bailiwick_cli.policytest.model import HistoryFixture
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Call
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.history.amounts import amount_units
from bailiwick_engine.history.needs import HistoryNeeds, Passing
from bailiwick_engine.historynumbers import UNREAD, HistoryNumbers, HistoryReadings
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason

_NO_CALLS: Final = HistoryFixture()


class HistoryTally:
    """The numbers of every history, by object. `before`: those of any object at first, by name; None: unknown."""

    def __init__(self, before: Mapping[str, HistoryFixture | None]) -> None:
        self._before = before
        self._counted: dict[tuple[str, str], HistoryNumbers] = {}

    def readings(self, snapshot: Snapshot, call: Call, held: list[Grant], now: float) -> HistoryReadings:
        """Return what a call is decided with: what it needs, as it is with this call."""
        needs = decide(snapshot, call, held, Circumstances(now)).needs
        if needs is None:
            return UNREAD
        numbers = self._with_call(needs)
        known = {name: one for (_, name), one in numbers.items() if one is not None}
        uncounted = any(numbers[need.name, one.history.name] is None for need in needs.objects for one in need.adds)
        return HistoryReadings(known, not uncounted, Reason.HISTORY_UNAVAILABLE if uncounted else None)

    def count(self, needs: HistoryNeeds | None, *, by_grant: bool = False) -> None:
        """Count a call that was let through. Its outcome is not known, so that nothing counts it by that."""
        if needs is None:
            return
        numbers = self._with_call(needs)
        passed: Passing = "grant" if by_grant else True
        adding = ((need.name, one.history) for need in needs.objects for one in need.additions(passed))
        for key in ((place, history.name) for place, history in adding if not history.awaits_outcome):
            if (counted := numbers[key]) is not None:
                self._counted[key] = HistoryNumbers(counted.count, counted.total, counted.digits, age=0)

    def _with_call(self, needs: HistoryNeeds) -> dict[tuple[str, str], HistoryNumbers | None]:
        """Return the numbers that a call sees, by object and name."""
        found: dict[tuple[str, str], HistoryNumbers | None] = {}
        for need in needs.objects:
            added = {one.history.name: one.total for one in need.adds if not one.history.awaits_outcome}
            for history in need.reads:
                before = self._numbers(need.name, history)
                if before is not None and history.name in added:
                    total = None if before.total is None else before.total + added[history.name]
                    before = HistoryNumbers(before.count + 1, total, before.digits, before.age)
                found[need.name, history.name] = before
        return found

    def _numbers(self, place: str, history: CompiledHistory) -> HistoryNumbers | None:
        counted = self._counted.get((place, history.name))
        if counted is not None:
            return counted
        given = self._before.get(history.name, _NO_CALLS)
        if given is None:
            return None
        if history.amount is None:
            return HistoryNumbers(given.count, age=given.age)
        return HistoryNumbers(given.count, units_of(given, history), history.amount.digits, given.age)


def units_of(given: HistoryFixture, history: CompiledHistory) -> int | None:
    """Return a sum in units of its last digit; None where it has none that can be counted."""
    return None if history.amount is None else amount_units(given.sum, history.amount.digits)
