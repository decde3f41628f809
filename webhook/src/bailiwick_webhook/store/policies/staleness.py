"""Staleness: since when which endpoint has a change that was heard of and is not in force, by which decisions are held.

Standing: written by the stores, read on every decision's way. Holds: the time of a place is that of its oldest change;
a policy that changes again and again waits since the first change that nobody decides by, so that no number of changes
makes it look new.
"""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import Final

from bailiwick_webhook.store.policies.index import Key, Place

SECONDS: Final = 2.0
"""So long a change may take to come into force, before what the policies before it would allow is denied."""
EVERYWHERE: Final[Place] = ("", None)
"""The place of a change of which nobody knows yet which endpoints it concerns."""


class ChangeAges:
    """Changes by place. Times are of a monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._places: dict[Place, _Place] = {}
        self._since: dict[Place, float] = {}

    def __bool__(self) -> bool:
        return bool(self._since)

    def set(self, key: Key, places: Iterable[Place], since: float) -> None:
        """Say that a policy has a change that concerns these places; one that it has there already waits longer."""
        for place in places:
            found = self._places.get(place)
            if found is None:
                found = self._places[place] = _Place()
            found.set(key, since)
            self._since[place] = found.oldest

    def drop(self, key: Key, places: Iterable[Place]) -> None:
        """Say that what was heard of is in force there."""
        for place in places:
            found = self._places.get(place)
            if found is None:
                continue
            found.drop(key)
            if found.changes:
                self._since[place] = found.oldest
            else:
                del self._places[place], self._since[place]

    def begin(self, now: float) -> None:
        """Count from now on: before that, nobody was answered."""
        for place, found in self._places.items():
            found.begin(now)
            self._since[place] = found.oldest

    def since(self, namespace: str, endpoint: str) -> float | None:
        """Return since when an endpoint waits; None where nothing that concerns it does."""
        known = self._since
        found = [known[place] for place in ((namespace, endpoint), (namespace, None), EVERYWHERE) if place in known]
        return min(found, default=None)

    @property
    def oldest(self) -> float | None:
        """Since when the change waits that waits longest."""
        return min(tuple(self._since.values()), default=None)

    def outdated(self, now: float) -> int:
        """Return how many places deny what their policies would allow."""
        return sum(now - since > SECONDS for since in tuple(self._since.values()))


class _Place:
    """The changes of one place by policy. `oldest` is the time of the first of them, while there are any."""

    __slots__ = ("_heap", "changes")

    def __init__(self) -> None:
        self.changes: dict[Key, float] = {}
        # Those that are dropped stay in it until they are the oldest.
        self._heap: list[tuple[float, Key]] = []

    @property
    def oldest(self) -> float:
        heap, changes = self._heap, self.changes
        while changes.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0]

    def set(self, key: Key, since: float) -> None:
        if key not in self.changes:
            self.changes[key] = since
            heappush(self._heap, (since, key))

    def drop(self, key: Key) -> None:
        self.changes.pop(key, None)

    def begin(self, now: float) -> None:
        self.changes = {key: max(since, now) for key, since in self.changes.items()}
        self._heap = [(since, key) for key, since in self.changes.items()]
        heapify(self._heap)
