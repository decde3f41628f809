"""The histories of a test: the state of each key in memory, counted by the commit of the engine that also serves.

Standing: under `trial`. Holds: which object a call is counted in, what it adds, and what has dropped out of a window,
the engine says. No clock is read: the test says what time it is.
"""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from bailiwick_cli.policytest.model import HistoryFixture
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Call
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.history.amounts import amount_units
from bailiwick_engine.history.commit import ClockBounds, WaitingCall, commit, numbers_at
from bailiwick_engine.history.needs import HistoryNeeds, ObjectNeed, Passing
from bailiwick_engine.history.state import KeyState, Slot, StateLine
from bailiwick_engine.history.windows import period_start, slot_length
from bailiwick_engine.historynumbers import UNREAD, HistoryNumbers, HistoryReadings
from bailiwick_engine.policy.histories import CalendarWindow, CompiledHistory
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason

_NO_CALLS: Final = HistoryFixture()


class HistoryStore:
    """The states of all keys. `before`: what any key holds at first, by name; None: that is unknown.

    `began`: when the test begins, in seconds since the epoch.
    """

    def __init__(self, before: Mapping[str, HistoryFixture | None], began: float) -> None:
        self._before = before
        self._began = _milliseconds(began)
        self._states: dict[str, KeyState] = {}
        self._filled: set[tuple[str, str]] = set()
        # Lines whose latest call came at a time that the test does not say.
        self._ageless: set[tuple[str, str]] = set()
        self._entries = 0

    def readings(self, snapshot: Snapshot, call: Call, held: list[Grant], now: float) -> HistoryReadings:
        """Return what a call is decided with: what it needs, as it is with this call."""
        needs = decide(snapshot, call, held, Circumstances(now)).needs
        if needs is None:
            return UNREAD
        numbers: dict[str, HistoryNumbers] = {}
        for need in needs.objects:
            numbers |= self._numbers(call.endpoint, need, now)
        uncounted = any(one.history.name not in numbers for need in needs.objects for one in need.adds)
        return HistoryReadings(numbers, not uncounted, Reason.HISTORY_UNAVAILABLE if uncounted else None)

    def count(self, needs: HistoryNeeds | None, endpoint: str, now: float, *, by_grant: bool = False) -> None:
        """Count a call that was let through. Its outcome is not known, so nothing counts it by that."""
        passed: Passing = "grant" if by_grant else True
        self._entries += 1
        for need in () if needs is None else needs.objects:
            call = WaitingCall(need, f"{self._entries:024x}{0:08x}", lambda _: passed)
            self._states[need.name], _ = commit(self._state(endpoint, need), [call], _clock(now))
            counted = (one.history for one in need.additions(passed) if not one.history.awaits_outcome)
            self._ageless -= {(need.name, history.digest) for history in counted}

    def _numbers(self, endpoint: str, need: ObjectNeed, now: float) -> dict[str, HistoryNumbers]:
        """Return what a call sees of one object; what is unknown is missing."""
        found = numbers_at(self._state(endpoint, need), need, _clock(now), with_this=True)
        for history in need.reads:
            if self._before.get(history.name, _NO_CALLS) is None:
                found.pop(history.name, None)
            elif history.name in found and (need.name, history.digest) in self._ageless:
                found[history.name] = replace(found[history.name], age=None)
        return found

    def _state(self, endpoint: str, need: ObjectNeed) -> KeyState:
        """Return the state of an object, with what the histories of a need hold at first."""
        state = self._states.get(need.name) or KeyState(endpoint, need.key)
        for history in need.reads:
            place = (need.name, history.digest)
            given = self._before.get(history.name, _NO_CALLS)
            if place not in self._filled and given is not None and given.count:
                last = self._began - 1_000 * (given.age or 0)
                slot = Slot(_slot_number(history, last), given.count, units_of(given, history) or 0)
                state = replace(state, lines={**state.lines, history.digest: StateLine((slot,), last)})
                if given.age is None:
                    self._ageless.add(place)
            self._filled.add(place)
        self._states[need.name] = state
        return state


def units_of(given: HistoryFixture, history: CompiledHistory) -> int | None:
    """Return a sum in units of its last digit; None where it has none that can be counted."""
    return None if history.amount is None else amount_units(given.sum, history.amount.digits)


def _slot_number(history: CompiledHistory, time: int) -> int:
    window = history.window
    return period_start(window, time) if isinstance(window, CalendarWindow) else time // slot_length(window)


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1_000)


def _clock(now: float) -> ClockBounds:
    return ClockBounds(_milliseconds(now), _milliseconds(now))
