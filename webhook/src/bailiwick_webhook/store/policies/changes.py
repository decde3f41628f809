"""Changes: what was heard of policies and is not in force, from the moment it is heard until a snapshot has it.

Standing: under `sink`, which compiles. A change waits in the backlog, is compiled, is put into the index at its
places, and is in force at each of them once that was built and published. Holds: whatever becomes of a change, its
places wait until it, or a newer one of the same policy, is in force there.
"""

from collections import OrderedDict
from collections.abc import Collection
from typing import Final

from bailiwick_engine.steps import Steps
from bailiwick_webhook.store.policies.backlog import Backlog, PolicyChange
from bailiwick_webhook.store.policies.index import Key, Place
from bailiwick_webhook.store.policies.staleness import ChangeAges


class Changes:
    """Every change that is not in force. Lives in one loop."""

    def __init__(self) -> None:
        self.waiting: Final = ChangeAges()
        self.backlog: Final = Backlog()
        self._compiling: dict[Key, PolicyChange] = {}
        # What waited when a list came, until that says how it is: it waits on.
        self._forgotten: dict[Key, PolicyChange] = {}
        self._put: dict[Place, list[PolicyChange]] = {}
        self._built: list[tuple[Place, list[PolicyChange]]] = []
        # By number of a change that is not in force, up to where everything that was heard of before it is.
        self._marks: OrderedDict[int, str] = OrderedDict()
        self._count = 0
        # Of the first list: those that nothing is answered without.
        self._first: set[int] = set()

    @property
    def reached(self) -> str | None:
        """The resource version up to which everything is in force; None where everything that was heard of is."""
        return next(iter(self._marks.values())) if self._marks else None

    @property
    def first_are_built(self) -> bool:
        """All of the first list can be published."""
        return not self._first

    def newest(self, key: Key) -> PolicyChange | None:
        """Return the change of a policy that was heard of last and is not compiled."""
        return self.backlog.get(key) or self._compiling.get(key)

    def compiling(self) -> tuple[Key, ...]:
        """Return the policies that are compiled at the moment."""
        return tuple(self._compiling)

    def hear(self, change: PolicyChange, version: str, *, first: bool = False) -> None:
        """Take a change in. `version`: up to where everything was heard of before it."""
        compiling = self._compiling.get(change.key)
        if compiling is not None:
            change.places |= compiling.places
            change.quiet = change.quiet and compiling.quiet
        if (older := self._forgotten.pop(change.key, None)) is not None:
            change.places |= older.places
            change.quiet = change.quiet and older.quiet
            change.since = older.since
            self._marks.pop(older.number, None)
            self._first.discard(older.number)
        self._count += 1
        change.number = self._count
        if self.backlog.add(change) is None:
            self._marks[change.number] = version
        if first:
            self._first.add(change.number)
        if not change.quiet:
            self.waiting.set(change.key, change.places, change.since)

    def forget(self) -> None:
        """Drop what waits in the backlog: something newer says how everything is. Until then its places wait."""
        self._forgotten.update((change.key, change) for change in self.backlog.all())
        self.backlog.clear()

    def forgot(self, key: Key) -> bool:
        """Tell whether a change of a policy was dropped, and the list that is taken up has not come to it yet."""
        return key in self._forgotten

    def recall(self, key: Key) -> None:
        """Say that the list has come to a policy, and has it as it is in the index: what was dropped of it is over."""
        if (change := self._forgotten.pop(key, None)) is not None:
            self._over(change, tuple(change.places))

    def recall_all(self) -> None:
        """Say that the list has come to its end: what was dropped, and not heard of again, is over."""
        for key in tuple(self._forgotten):
            self.recall(key)

    def begin(self, change: PolicyChange) -> None:
        """Take the change out of the backlog: it is compiled."""
        self.backlog.take(change)
        left = self._compiling.get(change.key)
        if left is not None:
            # A defect of ours broke it off: this is all that there is of it.
            self._marks.pop(change.number, None)
            self._first.discard(left.number)
            change.number, change.since = left.number, left.since
        self._compiling[change.key] = change

    def is_gone(self, key: Key) -> bool:
        """Tell whether a policy that is compiled is deleted by now."""
        newer = self.backlog.get(key)
        return newer is not None and newer.gone

    def put(self, change: PolicyChange, touched: Collection[Place]) -> None:
        """Say that it stands in the index, where these places have to be built."""
        del self._compiling[change.key]
        change.places.update(touched)
        for place in touched:
            self._put.setdefault(place, []).append(change)
        self._over(change, [place for place in change.places if place not in touched])

    def build(self, place: Place) -> None:
        """Say that a place is built with all that was put there."""
        put = self._put.pop(place, [])
        self._built.append((place, put))
        for change in put:
            if not any(change in self._put.get(other, ()) for other in change.places):
                self._first.discard(change.number)

    def published(self) -> Steps[None]:
        """Say that what was built so far is in force."""
        built, self._built = self._built, []

        def steps() -> Steps[None]:
            for place, put in built:
                for change in put:
                    self._over(change, (place,))
                    yield

        return steps()

    def _over(self, change: PolicyChange, places: Collection[Place]) -> None:
        """Let places wait for this change no longer; if there is a newer one of its policy, they wait for that."""
        key = change.key
        change.places.difference_update(places)
        self.waiting.drop(key, places)
        for place in places:
            later = [one for one in self._put.get(place, ()) if one.key == key]
            # The oldest that counts: a quiet one before it must not hide it.
            for newer in (*later, self.newest(key), self._forgotten.get(key)):
                if newer is not None and place in newer.places and not newer.quiet:
                    self.waiting.set(key, (place,), newer.since)
                    break
        if not change.places:
            self._marks.pop(change.number, None)
            self._first.discard(change.number)
