"""What the operator knows of one kind: the freshest version of each object that it has seen, and when it saw it.

Standing: over `kube`, whose full lists come in beside the events of `watch`; each kind has its inventory, in the
reconciler or in the room of the kind. Holds: a version is never replaced by an older one; `ObservedObject.at` says
after which tick that very version was known, so that a proof which began at a later tick has read the guards after the
version was written.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, NewType

from bailiwick_operator.kube import Object

Tick = NewType("Tick", int)


class Key(NamedTuple):
    """Which object."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class ObservedObject:
    """A version of an object, and the tick at which it came in. The body is never changed."""

    body: Object
    at: Tick

    @property
    def version(self) -> int:
        """The resourceVersion; comparable within one kind since Kubernetes 1.35 (KEP-5504)."""
        return int(self.body["metadata"]["resourceVersion"])


@dataclass(slots=True)
class Ticks:
    """Counts up at each call. A clock for order alone, shared by the inventories and the proofs."""

    _count: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __call__(self) -> Tick:
        """Return the next tick."""
        return Tick(next(self._count))


def key_of(body: Object) -> Key:
    """Return which object this is. One of the whole cluster has the namespace ""."""
    return Key(body["metadata"].get("namespace", ""), body["metadata"]["name"])


def _slim(body: Object) -> Object:
    """Leave out who wrote which field: it is half of an object, and is not used here."""
    return body | {"metadata": {key: value for key, value in body["metadata"].items() if key != "managedFields"}}


class Inventory:
    """The objects of one kind. Lives in the main loop; `changed` is called with each that came, went or moved on.

    `reduce` returns the part of an object to keep.
    """

    def __init__(
        self, ticks: Ticks, changed: Callable[[Object], None], reduce: Callable[[Object], Object] = lambda body: body
    ) -> None:
        self._ticks = ticks
        self._reduce = reduce
        self._changed = changed
        self._seen: dict[Key, ObservedObject] = {}
        self._gone: set[str] = set()

    def __len__(self) -> int:
        return len(self._seen)

    def get(self, key: Key) -> ObservedObject | None:
        """Return the freshest version of an object."""
        return self._seen.get(key)

    def all(self) -> tuple[ObservedObject, ...]:
        """Return every object, as it stands now."""
        return tuple(self._seen.values())

    def record(self, body: Object) -> None:
        """Take in a version. An older one than the known one changes nothing, as a list may arrive after an event."""
        if body["metadata"]["uid"] in self._gone:
            return
        old = self._seen.get(key_of(body))
        if old is not None and int(body["metadata"]["resourceVersion"]) <= old.version:
            return
        new = ObservedObject(_slim(self._reduce(body)), self._ticks())
        if old is not None and old.body["metadata"]["uid"] != body["metadata"]["uid"]:
            # Another object under the same name: everything that depends on the old one must learn that it is gone.
            self.forget(old.body)
        self._seen[key_of(body)] = new
        self._changed(new.body)

    def forget(self, body: Object) -> None:
        """Take in a deletion. A successor under the same name stays."""
        self._gone.add(body["metadata"]["uid"])
        known = self._seen.get(key_of(body))
        if known is not None and known.body["metadata"]["uid"] == body["metadata"]["uid"]:
            del self._seen[key_of(body)]
            self._changed(body)

    def begin_audit(self) -> None:
        """Begin an audit, before its list is read. What is deleted from here on must not come back with that list."""
        self._gone.clear()

    def audit(self, items: Iterable[Object], version: int) -> tuple[int, int]:
        """Take in a full list as of `version`. Returns how many were gone without notice, and how many were missing."""
        listed = {key_of(body): body for body in items}
        # What is newer than the list was created after it.
        ghosts = [seen for key, seen in self._seen.items() if key not in listed and seen.version <= version]
        for ghost in ghosts:
            self.forget(ghost.body)
        # What is gone was deleted while the list was read, with notice.
        missing = [
            body for key, body in listed.items() if key not in self._seen and body["metadata"]["uid"] not in self._gone
        ]
        for body in listed.values():
            self.record(body)
        return len(ghosts), len(missing)
