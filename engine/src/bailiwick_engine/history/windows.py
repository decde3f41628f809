"""Windows: in which slots a call is counted, which slots are over, and which of them a number is made from.

Standing: over `state` and the definitions in `policy.histories`. Holds: pure. A call is counted by the latest time that
the API server's clock can show, and is out by the earliest: so no window is shorter than written, whichever replica
looks.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from bailiwick_api import timezones
from bailiwick_engine.history.state import MAX_SLOTS, MAX_TIME, Slot
from bailiwick_engine.policy.histories import CalendarUnit, CalendarWindow, SlidingWindow

SLOTS: Final = 64
"""Into how many slots a sliding window is cut."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DAY: Final = 86_400_000
_LONGEST_PERIODS: Final[dict[CalendarUnit, int]] = {
    "Hour": _DAY // 8,
    "Day": 2 * _DAY,
    "Week": 9 * _DAY,
    "Month": 33 * _DAY,
}
"""No period is longer, whatever is done to the clocks in it."""
_HALF_HOUR: Final = 1_800_000
_SHORTEST_PERIODS: Final[dict[CalendarUnit, int]] = {
    "Hour": _HALF_HOUR,
    "Day": _DAY - 4 * _HALF_HOUR,
    "Week": 7 * _DAY - 4 * _HALF_HOUR,
    "Month": 28 * _DAY - 4 * _HALF_HOUR,
}


class ClockBounds(msgspec.Struct, frozen=True, gc=False):
    """Between which times the API server's clock certainly is, in milliseconds since the epoch."""

    earliest: int
    latest: int


def slot_length(window: SlidingWindow) -> int:
    """Return the length of a slot in milliseconds: a 64th of the window, rounded up."""
    return -(-window.milliseconds // SLOTS)


def live_slots(window: SlidingWindow | CalendarWindow, slots: Sequence[Slot], earliest: int) -> tuple[Slot, ...]:
    """Return the slots that may still hold a call of the window."""
    if isinstance(window, SlidingWindow):
        length = slot_length(window)
        over = earliest - window.milliseconds
        if slots and (slots[0].number + 1) * length > over:
            return tuple(slots)
        return tuple(slot for slot in slots if (slot.number + 1) * length > over)
    first = _first_period(window, slots, earliest)
    return tuple(slot for slot in slots if slot.number >= first)


def present_slots(
    window: SlidingWindow | CalendarWindow, slots: Sequence[Slot], clock: ClockBounds, state_clock: int
) -> tuple[int, ...]:
    """Return the numbers of the slots that a call is counted in now. `slots` are the live ones of the line.

    While a clock may stand on either side of the end of a period, a call counts in both, so that neither holds more
    than it may.
    """
    if isinstance(window, SlidingWindow):
        return (max(state_clock, clock.latest) // slot_length(window),)
    first = _first_period(window, slots, clock.earliest)
    last = period_start(window, clock.latest)
    return (first, last) if last > first else (first,)


def slot_sum(window: SlidingWindow | CalendarWindow, slots: Iterable[Slot], present: Iterable[int]) -> tuple[int, int]:
    """Return how many calls a window holds, and their total.

    Of two periods that may both be the present one, the larger numbers count.
    """
    if isinstance(window, SlidingWindow):
        counts = totals = 0
        for slot in slots:
            counts += slot.count
            totals += slot.total
        return counts, totals
    held = [slot for slot in slots if slot.number in present]
    return max((slot.count for slot in held), default=0), max((slot.total for slot in held), default=0)


def add_to_slot(slots: Sequence[Slot], number: int, total: int, calls: int = 1) -> tuple[Slot, ...]:
    """Return the slots with so many more calls in that one, in order.

    Where there are too many, the oldest is joined with the next one, which is out later.
    """
    kept = [slot for slot in slots if slot.number != number]
    before = next((slot for slot in slots if slot.number == number), Slot(number, 0, 0))
    kept.append(Slot(number, before.count + calls, before.total + total))
    kept.sort(key=lambda slot: slot.number)
    while len(kept) > MAX_SLOTS:
        oldest, following = kept[:2]
        kept[:2] = [Slot(following.number, oldest.count + following.count, oldest.total + following.total)]
    return tuple(kept)


def window_end(window: SlidingWindow | CalendarWindow, number: int) -> int:
    """Return a time in milliseconds by which a slot is out."""
    if isinstance(window, SlidingWindow):
        return (number + 1) * slot_length(window) + window.milliseconds
    return number + _LONGEST_PERIODS[window.unit]


def period_start(window: CalendarWindow, time: int) -> int:
    """Return when the period began that holds a time; both in milliseconds since the epoch.

    An hour that the clocks show twice is two hours. One in which they change by a whole hour at a quarter to has its 60
    minutes, or it would begin when it is over. A day whose midnight the clocks leave out begins when they go on;
    one whose midnight they show twice, with the first.
    """
    time = min(max(time, 0), MAX_TIME)
    local = (_EPOCH + timedelta(milliseconds=time)).astimezone(timezones.zone(window.time_zone))
    if window.unit == "Hour":
        part = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        start = (local.astimezone(UTC) - part).astimezone(local.tzinfo)
        if start.minute:
            # Clocks went on or back by a part of an hour: what they show tells.
            start = local.replace(minute=0, second=0, microsecond=0)
    else:
        start = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if window.unit == "Week":
            start -= timedelta(days=start.weekday())
        elif window.unit == "Month":
            start = start.replace(day=1)
    return (start.astimezone(UTC) - _EPOCH) // _MILLISECOND


@lru_cache(256)
def period_end(window: CalendarWindow, start: int) -> int:
    """Return when a period is over that began at this time; both in milliseconds since the epoch."""
    first = start + _SHORTEST_PERIODS[window.unit]
    for end in range(first, start + _LONGEST_PERIODS[window.unit], _HALF_HOUR):
        if (following := period_start(window, end)) > start:
            return following
    return start + _LONGEST_PERIODS[window.unit]


def _first_period(window: CalendarWindow, slots: Sequence[Slot], earliest: int) -> int:
    """Return the first period that may be the present one. A call that was certainly in a later one has begun it."""
    begun = period_start(window, earliest)
    return max(begun, slots[0].number) if slots else begun
