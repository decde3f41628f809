"""Changes: how long each endpoint has waited for a change to take effect. A decision denies when that is too long.

Standing: `ChangeAges` is written by the stores and read on every decision's way; `PendingChanges` follows each change
of a policy until a snapshot has it. Holds: the time of a place is that of its oldest change; a policy that changes
again and again waits since the first change that is not in force, so that no number of changes makes it look new.
Whatever becomes of a change, its places wait until it, or a newer one of the same policy, is in force there.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Final

from bailiwick_engine.steps import Steps
from bailiwick_policystore.endpoints import Key, Place

OUTDATED_SECONDS: Final = 2.0
"""So long a change may take to come into force, before what the policies before it would allow is denied."""
EVERYWHERE: Final[Place] = ("", None)
"""The place of a change that may concern any endpoint."""


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

    def restart(self, now: float) -> None:
        """Count from now on: before that, no call was answered."""
        for place, found in self._places.items():
            found.restart(now)
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
        return sum(now - since > OUTDATED_SECONDS for since in tuple(self._since.values()))


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

    def restart(self, now: float) -> None:
        self.changes = {key: max(since, now) for key, since in self.changes.items()}
        self._heap = [(since, key) for key, since in self.changes.items()]
        heapify(self._heap)


@dataclass(slots=True, eq=False)
class _Change:
    """A change of one policy. `since`: when it was heard of, by a monotonic clock; `number` counts them.

    `version`: up to where everything was heard of before it. `places`: those that it may concern and where it is not in
    force. `quiet`: no answer depends on it, so that nothing is denied while it waits.
    """

    key: Key
    number: int
    since: float
    version: str
    places: set[Place]
    quiet: bool


class PendingChanges:
    """Every change of a policy that is not in force: heard, begun, put, built, then published. Lives in one loop."""

    def __init__(self) -> None:
        self.ages: Final = ChangeAges()
        self._count = 0
        # All of them, in the order in which they were heard of; of a policy, the oldest first.
        self._open: dict[int, _Change] = {}
        self._of_policy: dict[Key, list[_Change]] = {}
        self._heard: dict[Key, _Change] = {}
        self._begun: dict[Key, _Change] = {}
        self._put: dict[Place, list[_Change]] = {}
        self._built: list[tuple[Place, list[_Change]]] = []
        # How many changes that are not begun may concern a place.
        self._coming: Counter[Place] = Counter()

    @property
    def reached(self) -> str | None:
        """The resource version up to which everything is in force; None where everything that was heard of is."""
        return next(iter(self._open.values())).version if self._open else None

    def hear(self, key: Key, places: Iterable[Place], since: float, version: str, *, quiet: bool) -> None:
        """Take in that a policy changed, which may concern these places."""
        places = set(places)
        if (begun := self._begun.get(key)) is not None:
            places |= begun.places
            quiet = quiet and begun.quiet
        change = self._heard.get(key)
        if change is None:
            self._count += 1
            change = _Change(key, self._count, since, version, set(), quiet)
            self._heard[key] = self._open[change.number] = change
            self._of_policy.setdefault(key, []).append(change)
        self._coming.update(places - change.places)
        change.places |= places
        change.quiet = change.quiet and quiet
        if not change.quiet:
            self.ages.set(key, change.places, change.since)

    def is_concerned(self, place: Place) -> bool:
        """Tell whether there is a change that is not begun and may concern a place."""
        return self._coming[place] > 0

    def note_begun(self, key: Key) -> None:
        """Say that the newest state of a policy is compiled now."""
        change = self._heard.pop(key, None)
        if change is None:
            return
        self._coming.subtract(change.places)
        for place in change.places:
            if not self._coming[place]:
                del self._coming[place]
        self._begun[key] = change

    def resume(self, key: Key) -> None:
        """Say that what was begun was broken off: the newest state is compiled later, and has waited since then."""
        begun = self._begun.pop(key, None)
        if begun is None:
            return
        newer = self._heard.pop(key, None)
        if newer is not None:
            self._coming.subtract(newer.places)
            self.ages.drop(key, newer.places)
            begun.places |= newer.places
            begun.quiet = begun.quiet and newer.quiet
            self._close(newer)
        self._heard[key] = begun
        self._coming.update(begun.places)
        if not begun.quiet:
            self.ages.set(key, begun.places, begun.since)

    def note_put(self, key: Key, touched: Collection[Place]) -> None:
        """Say that what was begun stands in the index, where these places have to be built."""
        change = self._begun.pop(key, None)
        if change is None:
            return
        change.places.update(touched)
        for place in touched:
            self._put.setdefault(place, []).append(change)
        self._release(change, change.places.difference(touched))

    def note_built(self, place: Place) -> None:
        """Say that a place is built with all that was put there."""
        self._built.append((place, self._put.pop(place, [])))

    def note_published(self) -> Steps[None]:
        """Say that what was built so far is in force. Take the steps: by them its places come to wait no longer."""
        built, self._built = self._built, []

        def steps() -> Steps[None]:
            for place, changes in built:
                for change in changes:
                    self._release(change, (place,))
                    yield

        return steps()

    def restart(self, now: float) -> None:
        """Count from now on: before that, no call was answered."""
        self.ages.restart(now)
        for change in self._open.values():
            change.since = max(change.since, now)

    def _release(self, change: _Change, places: Collection[Place]) -> None:
        """Let places wait for this change no longer; where others of its policy concern them, they wait for those."""
        key = change.key
        change.places.difference_update(places)
        if not change.places and change.number in self._open:
            self._close(change)
        self.ages.drop(key, places)
        for place in places:
            left = [one.since for one in self._of_policy.get(key, ()) if place in one.places and not one.quiet]
            if left:
                self.ages.set(key, (place,), min(left))

    def _close(self, change: _Change) -> None:
        del self._open[change.number]
        changes = self._of_policy[change.key]
        changes.remove(change)
        if not changes:
            del self._of_policy[change.key]
