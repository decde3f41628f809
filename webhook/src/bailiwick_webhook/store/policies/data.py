"""Data objects: every `EndpointData`, read once for each change, and which of them are in force.

Standing: the sink of its list and watch; `sink` takes up what changed, in the turn of its namespace, so that data
waits for no other tenant and no other tenant for it. Holds: of an object that changes again only the newest state is
kept; an object that was not listed, cannot be read or is over budget is unknown, and never an older state of it. An
endpoint waits for a change from when it was heard until the snapshot has it.
"""

import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import structlog

from bailiwick_engine.budget.datasize import data_claim, data_name, ledger_name
from bailiwick_engine.budget.ledger import Claim, Excess, Ledger
from bailiwick_engine.cel.data import DataObject, UnknownReason, over_budget, read_steps
from bailiwick_engine.compile.acceptance import over_budget as told_over
from bailiwick_engine.steps import Steps
from bailiwick_process.collector import paused, untrack
from bailiwick_webhook.store.policies.backlog import text_of
from bailiwick_webhook.store.policies.index import Key, Place, PolicyIndex
from bailiwick_webhook.store.policies.refetch import PolicyRefetch, Read, nothing
from bailiwick_webhook.store.policies.staleness import ChangeAges

_LOOKED_UP: Final = 256

_log = structlog.get_logger()


@dataclass(slots=True)
class _DataChange:
    """A change that is not in force. `text` is the object, None where it is gone. `places`: the endpoints that wait.

    `claimed`: the ledger knows of it.
    """

    key: Key
    since: float
    uid: object
    generation: object
    text: bytes | None
    places: set[Place] = field(default_factory=set)
    claimed: bool = False

    def states(self, metadata: Mapping[str, Any]) -> bool:
        """Tell whether this is the state of the object that it has become."""
        if self.text is None or not self.uid:
            return False
        return (self.uid, self.generation) == (metadata.get("uid"), metadata.get("generation"))


class DataObjects:
    """Every object. `rouse` has a namespace's turn come; `waiting` are the ages of changes; `clock` is monotonic."""

    def __init__(
        self,
        index: PolicyIndex,
        waiting: ChangeAges,
        rouse: Callable[[str], None],
        read: Read = nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index = index
        self._waiting = waiting
        self._rouse = rouse
        self._clock = clock
        self.refetch: Final = PolicyRefetch(read, self._changed)
        self._changes: dict[str, dict[Key, _DataChange]] = {}
        self._claims: dict[Key, Claim] = {}
        # Namespaces of which another ledger may let in what the one before did not.
        self._recounted: set[str] = set()
        # Put into the index, and not part of a snapshot.
        self._put: list[_DataChange] = []
        self._first: set[Key] | None = None
        self.blocks = 0
        """Blocks of memory that data takes, in which the collector has nothing to find."""
        self._blocks: dict[Key, int] = {}
        # Of what was replaced, and is there until a snapshot is without it; and from then on, until it is freed.
        self._retired = self._leaving = 0

    @property
    def in_force(self) -> bool:
        """Everything that the first list held is part of the snapshot."""
        return self._first is not None and not self._first

    # ------------------------------------------------------------------ hearing

    def listing(self) -> "DataListing":
        """Begin a list."""
        return DataListing(self)

    def apply(self, kind: str, key: Key, obj: dict[str, Any]) -> None:
        """Take one change."""
        if kind == "DELETED":
            self._hear_gone(key)
        elif not self._is_newest(key, obj["metadata"]):
            self._changed(key, obj)

    def replace(self, found: Collection[Key]) -> Steps[None]:
        """Take a list for every object that exists."""
        for number, key in enumerate({*self._index.data_keys(), *self._pending()}):
            if key not in found:
                self._hear_gone(key)
            if number % _LOOKED_UP == 0:
                yield
        if self._first is None:
            self._first = {*self._pending()}

    def lose(self) -> None:
        """Let everything be unknown: nobody knows any more whether it is as it was."""
        for key in {*self._index.data_keys(), *self._pending()}:
            self._hear_gone(key)

    def _changed(self, key: Key, obj: dict[str, Any]) -> None:
        metadata = obj["metadata"]
        self._hear(_DataChange(key, self._clock(), metadata.get("uid"), metadata.get("generation"), _text(obj)))

    def _is_newest(self, key: Key, metadata: Mapping[str, Any]) -> bool:
        change = self._changes.get(key[0], {}).get(key)
        if change is not None:
            return change.states(metadata)
        held = self._index.data_of(key)
        return held is not None and (held.uid, held.generation) == (metadata.get("uid"), metadata.get("generation"))

    def _hear_gone(self, key: Key) -> None:
        if self._index.data_of(key) is not None or key in self._changes.get(key[0], {}):
            self._hear(_DataChange(key, self._clock(), None, None, None))

    def _hear(self, change: _DataChange) -> None:
        self.refetch.drop(change.key)
        changes = self._changes.setdefault(change.key[0], {})
        older = changes.get(change.key)
        if older is not None:
            change.since = older.since
            change.places |= older.places
        changes[change.key] = change
        self._wait(change)
        self._rouse(change.key[0])

    def _wait(self, change: _DataChange) -> None:
        change.places.update(self._index.readers(change.key))
        self._waiting.set(_mark(change.key), change.places, change.since)

    def _pending(self) -> Iterator[Key]:
        for changes in self._changes.values():
            yield from changes

    # ------------------------------------------------------------------ working

    def waits(self, namespace: str) -> bool:
        """Tell whether there is a change to be taken up."""
        return bool(self._changes.get(namespace))

    def claimed(self, ledger: Ledger) -> set[str]:
        """Tell a new ledger what all objects ask for. Returns their namespaces."""
        for (namespace, name), claim in self._claims.items():
            ledger.put(namespace, ledger_name(name), claim)
        self._recounted.update(namespace for namespace, _ in self._claims)
        return {namespace for namespace, _ in self._claims}

    def claim(self, namespace: str, ledger: Callable[[], Ledger]) -> Steps[None]:
        """Tell the ledger, whichever it is by then, what the changes of a namespace ask for."""
        for change in tuple(self._changes.get(namespace, {}).values()):
            claim = None if change.text is None else data_claim(_loaded(change.text))
            if self._changes.get(namespace, {}).get(change.key) is change:
                self._keep(change.key, claim)
                ledger().put(namespace, ledger_name(change.key[1]), claim)
                change.claimed = True
            yield

    def take_up(self, namespace: str, ledger: Callable[[], Ledger]) -> Steps[bool]:
        """Put into the index what the changes of a namespace come to that the ledger knows of.

        Returns whether there were any.
        """
        if namespace in self._recounted:
            yield from self._recount(namespace, ledger)
        changes = self._changes.get(namespace, {})
        for change in [change for change in changes.values() if change.claimed]:
            made = None if change.text is None else (yield from self._made(change, ledger))
            if changes.get(change.key) is change:
                del changes[change.key]
            if made is None or made.value is None:
                self._count(change.key, 0)
            self._index.put_data(change.key, made)
            self._put.append(change)
            yield
        if not changes:
            self._changes.pop(namespace, None)
        return bool(self._put)

    def _recount(self, namespace: str, ledger: Callable[[], Ledger]) -> Steps[None]:
        """Look at all objects again: a new ledger says who turned since it began, and not since the one before."""
        self._recounted.discard(namespace)
        for name in self._index.data_names(namespace):
            self.turned(namespace, ledger_name(name), ledger())
            yield

    def turned(self, namespace: str, known: str, ledger: Ledger) -> bool:
        """Look at an object again whose budget is another: it is over now, or not any more. False: it is a policy."""
        name = data_name(known)
        if name is None:
            return False
        key = (namespace, name)
        held = self._index.data_of(key)
        if held is not None and key not in self._changes.get(namespace, {}):
            self._reconsider(key, held, ledger.excess(namespace, known))
        return True

    def _reconsider(self, key: Key, held: DataObject, excess: Excess | None) -> None:
        if excess is None:
            if held.unknown is not None and held.unknown.why is UnknownReason.OVER_BUDGET:
                self.refetch.want(key)
        elif held.value is not None:
            made = over_budget(held.name, held.uid, held.generation, told_over(excess).message)
            self._index.put_data(key, made)
            self._put.append(_DataChange(key, self._clock(), held.uid, held.generation, b""))

    def built(self, place: Place) -> None:
        """Let an endpoint wait for what was heard, before it was built, of data that it reads since."""
        for change in self._changes.get(place[0], {}).values():
            if self._index.reads(place, change.key):
                self._wait(change)

    def published(self) -> None:
        """Say that what was put into the index is in force."""
        put, self._put = self._put, []
        self._leaving += self._retired
        self._retired = 0
        for change in put:
            self._waiting.drop(_mark(change.key), change.places)
            newer = self._changes.get(change.key[0], {}).get(change.key)
            if newer is not None:
                self._wait(newer)
            elif self._first:
                self._first.discard(change.key)

    def freed(self) -> None:
        """Say that nothing is left of what was replaced before the last snapshot."""
        self.blocks -= self._leaving
        self._leaving = 0

    def _made(self, change: _DataChange, ledger: Callable[[], Ledger]) -> Steps[DataObject]:
        """Read an object; what cannot be read is unknown."""
        (namespace, name), before = change.key, sys.getallocatedblocks()
        obj = _loaded(change.text or b"{}")
        self._count(change.key, sys.getallocatedblocks() - before)
        uid, generation = str(change.uid or ""), change.generation if isinstance(change.generation, int) else 0
        excess = ledger().excess(namespace, ledger_name(name))
        if excess is not None:
            made = over_budget(name, uid, generation, told_over(excess).message)
        else:
            yield from untrack(obj)
            yield
            made = yield from read_steps(name, uid, generation, obj.get("spec"))
        if made.unknown is not None:
            _log.warning(
                "data is unknown, conditions that read it do not hold",
                namespace=namespace,
                name=name,
                reason=made.unknown.why.value,
                why=str(made.unknown.problem),
            )
        return made

    def _count(self, key: Key, blocks: int) -> None:
        self.blocks += blocks
        self._retired += self._blocks.pop(key, 0)
        if blocks:
            self._blocks[key] = blocks

    def _keep(self, key: Key, claim: Claim | None) -> None:
        if claim is None:
            self._claims.pop(key, None)
        else:
            self._claims[key] = claim


class DataListing:
    """A list on its way."""

    def __init__(self, objects: DataObjects) -> None:
        self._objects = objects
        self._found: set[Key] = set()

    def take(self, key: Key, obj: dict[str, Any]) -> None:
        """Take in one object."""
        self._found.add(key)
        self._objects.apply("MODIFIED", key, obj)

    def done(self) -> Steps[None]:
        """Take what was taken in for everything that exists."""
        return self._objects.replace(self._found)


def _loaded(text: bytes) -> dict[str, Any]:
    with paused():
        obj: dict[str, Any] = orjson.loads(text)
    return obj


def _text(obj: Mapping[str, Any]) -> bytes:
    try:
        return text_of(obj)
    except TypeError:
        # Half a character, which no API server has let through: it cannot be read, and nothing of it is kept.
        return text_of({"metadata": obj["metadata"]})


def _mark(key: Key) -> Key:
    """Return by what the ages of changes know an object of data: no policy has such a name."""
    return (key[0], ledger_name(key[1]))
