"""Data objects: every `EndpointData`, read once for each change, and which of them are in force.

Standing: the sink of its list and watch; `controller` takes up what changed, in the turn of its namespace, so that data
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
from bailiwick_engine.budget.ledger import Claim
from bailiwick_engine.cel.data import DataObject, over_budget, read_steps
from bailiwick_engine.compile.acceptance import over_budget as refusal_over_budget
from bailiwick_engine.steps import Steps
from bailiwick_policystore.budget import BudgetQueue
from bailiwick_policystore.changes import ChangeAges
from bailiwick_policystore.endpoints import Key, Place, PolicyIndex
from bailiwick_policystore.listing import ObjectListing
from bailiwick_policystore.objects import is_state_of, text_of
from bailiwick_policystore.refetch import ObjectRefetch, Read, nothing
from bailiwick_process.collector import paused, untrack

_LOOKED_UP: Final = 256

_log = structlog.get_logger()


@dataclass(slots=True)
class _DataChange:
    """A change that is not in force. `text` is the object, None where it is gone. `places`: the endpoints that wait."""

    key: Key
    since: float
    uid: object
    generation: object
    text: bytes | None
    claim: Claim | None
    places: set[Place] = field(default_factory=set)

    def is_state_of(self, metadata: Mapping[str, Any]) -> bool:
        """Tell whether this is the state of an object; where that is unknown, it is not."""
        return self.text is not None and is_state_of(self.uid, self.generation, metadata)


class DataObjects:
    """Every object. `rouse` has a namespace's turn come; `waiting` are the ages of changes; `clock` is monotonic."""

    def __init__(
        self,
        index: PolicyIndex,
        waiting: ChangeAges,
        budget: BudgetQueue,
        rouse: Callable[[str], None],
        read: Read = nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index = index
        self._waiting = waiting
        self._budget = budget
        self._rouse = rouse
        self._clock = clock
        self.refetch: Final = ObjectRefetch(read, self.missing, index.data_of, self._changed)
        self._changes: dict[str, dict[Key, _DataChange]] = {}
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

    def listing(self) -> ObjectListing:
        """Begin a list."""
        return ObjectListing(lambda key, obj: self.apply("MODIFIED", key, obj), self.finish_list)

    def apply(self, kind: str, key: Key, obj: dict[str, Any]) -> None:
        """Take one change."""
        if kind == "DELETED":
            self._hear_gone(key)
        elif not self._is_newest(key, obj["metadata"]):
            self._changed(key, obj)

    def finish_list(self, found: Collection[Key]) -> Steps[None]:
        """Take the keys of a list for every object that exists."""
        for number, key in enumerate({*self._index.data_keys(), *self._pending()}):
            if key not in found:
                self._hear_gone(key)
            if number % _LOOKED_UP == 0:
                yield
        # What could not be read before is tried again.
        self.refetch.wake()
        if self._first is None:
            self._first = {*self._pending()}

    def lose(self) -> None:
        """Let everything be unknown: it may have changed since it was heard of."""
        for key in {*self._index.data_keys(), *self._pending()}:
            self._hear_gone(key)

    def missing(self) -> Iterator[Key]:
        """Yield the objects that were over budget and are not any more, and of which nothing was heard since."""
        for namespace, names in self._index.all_withheld():
            for known in names - self._budget.ledger.names_over(namespace):
                name = data_name(known)
                if name is not None and (namespace, name) not in self._changes.get(namespace, ()):
                    yield (namespace, name)

    def _changed(self, key: Key, obj: dict[str, Any]) -> None:
        metadata = obj["metadata"]
        uid, generation, spec = metadata.get("uid"), metadata.get("generation"), _spec_text(obj)
        text = text_of(obj, b"null" if spec is None else spec)
        self._hear(_DataChange(key, self._clock(), uid, generation, text, data_claim(obj, spec)))

    def _is_newest(self, key: Key, metadata: Mapping[str, Any]) -> bool:
        change = self._changes.get(key[0], {}).get(key)
        if change is not None:
            return change.is_state_of(metadata)
        held = self._index.data_of(key)
        return held is not None and is_state_of(held.uid, held.generation, metadata)

    def _hear_gone(self, key: Key) -> None:
        if self._index.data_of(key) is not None or key in self._changes.get(key[0], {}):
            self._hear(_DataChange(key, self._clock(), None, None, None, None))

    def _hear(self, change: _DataChange) -> None:
        changes = self._changes.setdefault(change.key[0], {})
        older = changes.get(change.key)
        if older is not None:
            change.since = older.since
            change.places |= older.places
        changes[change.key] = change
        self._budget.put(change.key[0], ledger_name(change.key[1]), change.claim)
        self._wait(change)
        self._rouse(change.key[0])

    def _wait(self, change: _DataChange) -> None:
        change.places.update(self._index.readers(change.key))
        self._waiting.set(_mark(change.key), change.places, change.since)

    def _pending(self) -> Iterator[Key]:
        for changes in self._changes.values():
            yield from changes

    # ------------------------------------------------------------------ working

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces that have a change to be taken up."""
        return tuple(self._changes)

    def waits(self, namespace: str) -> bool:
        """Tell whether there is a change to be taken up."""
        return namespace in self._changes

    def take_up(self, namespace: str) -> Steps[None]:
        """Put into the index what the changes of a namespace come to."""
        changes = self._changes.get(namespace, {})
        for change in tuple(changes.values()):
            made = None if change.text is None else (yield from self._read_object(change))
            if changes.get(change.key) is change:
                del changes[change.key]
            if made is None or made.value is None:
                self._count(change.key, 0)
            self._index.put_data(change.key, made)
            self._put.append(change)
            known = ledger_name(change.key[1])
            if known in self._index.withheld(namespace) and self._budget.ledger.excess(namespace, known) is None:
                # It was over before it was counted, and is not any more.
                self.refetch.wake()
            yield
        if not changes:
            self._changes.pop(namespace, None)

    def withhold(self, namespace: str, name: str) -> bool:
        """Let an object be unknown that is over budget now. Returns whether the index changed."""
        key = (namespace, name)
        held, excess = self._index.data_of(key), self._budget.ledger.excess(namespace, ledger_name(name))
        if held is None or held.value is None or excess is None or key in self._changes.get(namespace, ()):
            return False
        self._count(key, 0)
        made = over_budget(name, held.uid, held.generation, refusal_over_budget(excess).message)
        self._index.put_data(key, made)
        return True

    def built(self, place: Place) -> None:
        """Let an endpoint, which was built just now, wait also for the open changes of the data that it reads."""
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

    def _read_object(self, change: _DataChange) -> Steps[DataObject]:
        """Read an object; what cannot be read is unknown."""
        (namespace, name), before = change.key, sys.getallocatedblocks()
        obj = _loaded(change.text or b"{}")
        self._count(change.key, sys.getallocatedblocks() - before)
        uid, generation = str(change.uid or ""), change.generation if isinstance(change.generation, int) else 0
        excess = self._budget.excess(namespace, ledger_name(name), change.claim)
        if excess is not None:
            made = over_budget(name, uid, generation, refusal_over_budget(excess).message)
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


def _loaded(text: bytes) -> dict[str, Any]:
    with paused():
        obj: dict[str, Any] = orjson.loads(text)
    return obj


def _spec_text(obj: Mapping[str, Any]) -> bytes | None:
    try:
        return orjson.dumps(obj.get("spec"))
    except TypeError:
        # Half a character, which no API server has let through: it cannot be read, and nothing of it is kept.
        return None


def _mark(key: Key) -> Key:
    """Return by what the ages of changes know an object of data: no policy has such a name."""
    return (key[0], ledger_name(key[1]))
