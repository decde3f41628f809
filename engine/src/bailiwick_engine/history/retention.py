"""Retention: until when the state of a key can matter.

Standing: over `windows`. Holds: no state is given up before all of it is out, nor before an hour that was named for an
earlier state of the object.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from bailiwick_engine.history.commit import KEEP_LINE, KEEP_RECENT
from bailiwick_engine.history.needs import ObjectNeed
from bailiwick_engine.history.state import MAX_TIME, KeyState
from bailiwick_engine.history.windows import ClockBounds, live_slots, period_end, window_end
from bailiwick_engine.policy.histories import CalendarWindow, CompiledHistory, SlidingWindow

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SPREAD: Final = 60_000
"""By how much the clocks of two processes may differ, in milliseconds."""
_HOUR: Final = 3_600_000
_LONGEST: Final = 34 * 24 * _HOUR
"""No hour is further from a state's clock, whatever windows it has."""


def keep_until(state: KeyState, definitions: Iterable[CompiledHistory], named: int = 0) -> str:
    """Return the first whole hour in UTC, such as `2026-11-30T16`, at which nothing of a state matters any more.

    A line of a definition that is not among these is kept for as long as the longest window. `named`: the hour that the
    object has, in milliseconds. Who saw it trusts no object without what it saw until then, so it never comes sooner.
    """
    windows = {history.digest: history.window for history in definitions}
    end = state.clock + KEEP_RECENT
    for digest, line in state.lines.items():
        window = windows.get(digest)
        over = line.last + KEEP_LINE if window is None else window_end(window, line.slots[-1].number)
        end = max(end, over)
    end = max([end, *(entry.outcome.until for entry in state.recent if entry.outcome is not None)])
    end = max(end, min(named, state.clock + _LONGEST) - _SPREAD)
    hours = -(-min(end + _SPREAD, MAX_TIME) // _HOUR)
    return (_EPOCH + timedelta(hours=hours)).strftime("%Y-%m-%dT%H")


def freed_at(state: KeyState, need: ObjectNeed, clock: ClockBounds) -> int | None:
    """Return when the first of the calls that these histories hold is out, in milliseconds; None: there is none."""
    ends = []
    for history in need.reads:
        line = state.lines.get(history.digest)
        slots = () if line is None else live_slots(history.window, line.slots, clock.earliest)
        if slots and isinstance(history.window, SlidingWindow):
            ends.append(window_end(history.window, slots[0].number))
        elif slots and isinstance(history.window, CalendarWindow):
            ends.append(period_end(history.window, slots[-1].number))
    return min(ends, default=None)
