"""The lives of an object: what stands between two deletions of it, after which its numbers begin again.

Standing: under `historyfold`. Holds: pure. The operator deletes an object when nothing stands in its windows, and no
sooner than two minutes after its last event.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from bailiwick_api.serverclock import MAX_SKEW
from bailiwick_evidence.audit.historyevents import ObjectEvent

CLOCKS: Final = 2 * MAX_SKEW + 30.0
"""In seconds: how far the times of two lines may be from when the API server counted their calls."""
KEPT: Final = 120.0
"""No object is deleted earlier after its last event, in seconds."""


@dataclass(slots=True)
class ObjectLife:
    """One life. `owners`: the lines whose calls were counted, by time; `readers`: all others."""

    owners: list[ObjectEvent]
    readers: list[ObjectEvent] = field(default_factory=list)
    _times: list[float] = field(default_factory=list)
    _tops: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._times = [event.time for event in self.owners]
        self._tops = list(accumulate((event.seq for event in self.owners), max))

    @property
    def in_order(self) -> list[ObjectEvent]:
        """All lines in the order of their numbers, the one that a number belongs to first."""
        return sorted([*self.owners, *self.readers], key=lambda event: (event.seq, not event.owns, event.time))

    def number_at(self, time: float) -> int:
        """Return the highest number up to a time; -1: there was none."""
        place = bisect_right(self._times, time)
        return self._tops[place - 1] if place else -1


def lives_of(events: Iterable[ObjectEvent]) -> list[ObjectLife]:
    """Return the lives of an object, in order. A line that read an earlier or later life than is known is left out."""
    owners: list[ObjectEvent] = []
    readers: list[ObjectEvent] = []
    for event in events:
        (owners if event.owns else readers).append(event)
    owners.sort(key=lambda event: (event.time, event.seq))
    groups: list[list[ObjectEvent]] = []
    top = 0
    for event in owners:
        if not groups or (event.seq <= top and event.time - groups[-1][-1].time > KEPT):
            groups.append([])
            top = 0
        groups[-1].append(event)
        top = max(top, event.seq)
    lives = [ObjectLife(group) for group in groups]
    if not lives:
        return [ObjectLife([], readers)] if readers else []
    starts = [life.owners[0].time for life in lives]
    for event in readers:
        place = max(bisect_left(starts, event.time + CLOCKS) - 1, 0)
        if place and event.time < starts[place] + CLOCKS and event.seq > lives[place].number_at(event.time + CLOCKS):
            # A moment ago it was still the life before.
            place -= 1
        if event.seq >= lives[place].number_at(event.time - CLOCKS):
            lives[place].readers.append(event)
    return lives
