"""Policy controller: from the newest state of each policy to the snapshot, by namespace in turn, endpoint by endpoint.

Standing: the sink that lists and watches fill. Holds: level, not edge: what a namespace has to do follows from what was
heard of it and is not in the index, from who is over budget, and from which places are not built. A snapshot is
immutable and swapped whole; no step holds the loop for longer than an expression takes; a namespace with one small
change waits for one turn of each other that has work. An event that leaves a policy's generation unchanged is not news.
If a policy changes while it is compiled, the earlier state is finished and published first, so that frequent changes
cannot starve it; changes of one endpoint are gathered for a moment. What is over budget is not compiled.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from bailiwick_engine.budget.datasize import data_name
from bailiwick_engine.budget.ledger import Budget, BudgetLedger
from bailiwick_engine.compile.withheld import withheld, withheld_of
from bailiwick_engine.policy.model import BrokenPolicy
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.steps import Steps
from bailiwick_policystore.budget import BudgetLog, BudgetQueue
from bailiwick_policystore.changes import ChangeAges, PendingChanges
from bailiwick_policystore.compilememory import SMALL, CompileMemory
from bailiwick_policystore.compiler import compiled, ref_of
from bailiwick_policystore.data import DataObjects
from bailiwick_policystore.endpoints import Key, Place, Policy, PolicyIndex, place_of
from bailiwick_policystore.listing import ObjectListing
from bailiwick_policystore.objects import HeardPolicy, heard_policy, is_state_of, withheld_policy
from bailiwick_policystore.queue import FREEING, NOTING, NamespaceQueue
from bailiwick_policystore.refetch import ObjectRefetch, Read, nothing

# Between two snapshots while there is work: for each, the table of all endpoints is copied.
_PUBLISH_SECONDS: Final = 0.01
# Wait this long for further changes of an endpoint before it is built with those that are compiled.
_GATHER_SECONDS: Final = 0.25
# Policies that are looked up in one step of a list: each takes a fraction of a microsecond.
_LOOKED_UP: Final = 256


class PolicyController:
    """Every `EndpointPolicy`, compiled. `snapshot` is None until the first list was taken up.

    `read` and `read_data` return a policy and an object of data as it is now. `version` returns the resource version up
    to which everything was heard of. `tend` is called between turns, see `collector`. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        budget: Budget | None = None,
        *,
        read: Read = nothing,
        read_data: Read = nothing,
        version: Callable[[], str] = lambda: "",
        tend: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.snapshot: Snapshot | None = None
        self.ledger: Final = BudgetLedger(budget or Budget())
        self._version, self._tend, self._clock = version, tend, clock
        self._index, self._pending = PolicyIndex(), PendingChanges()
        self._budget, self._log, self._memory = BudgetQueue(self.ledger), BudgetLog(), CompileMemory()
        self._queue = NamespaceQueue(self._work, self._rouse_all, clock)
        rouse = self._queue.rouse
        self.data: Final = DataObjects(self._index, self._pending.ages, self._budget, rouse, read_data, clock)
        self._refetch = ObjectRefetch(
            read, self.missing, self._index.get, lambda key, obj: self._count(heard_policy(key, obj))
        )
        # By namespace, the newest state of each policy that is not compiled, those first that have waited longest.
        self._heard: dict[str, dict[Key, HeardPolicy]] = {}
        self._begun: dict[Key, HeardPolicy] = {}
        # By namespace, the places where something was put that is not built, and since when.
        self._unbuilt: dict[str, dict[Place, float]] = {}
        self._built = self._listed = False
        # Of the first list, what the first snapshot has to have: policies that are not in the index, places not built.
        self._first: set[Key] = set()
        self._first_places: set[Place] = set()
        self._published, self._revision = 0.0, 0

    @property
    def waiting(self) -> ChangeAges:
        """Since when which endpoint has a change that is not in force."""
        return self._pending.ages

    @property
    def settled(self) -> bool:
        """Everything that was heard of is part of the snapshot. For tests; `reached` says up to where."""
        return self._pending.reached is None and self.snapshot is not None

    @property
    def reached(self) -> str | None:
        """The resource version up to which everything is part of the snapshot; None where everything is."""
        return self._pending.reached

    def serves(self, uid: str, generation: int) -> bool:
        """Tell whether the snapshot holds this generation of a policy, sound or broken."""
        return self._index.serves(uid, generation)

    def missing(self) -> Iterator[Key]:
        """Yield the policies that were over budget and are not any more, and of which nothing was heard since."""
        for namespace, names in self._index.all_withheld():
            for name in names - self.ledger.names_over(namespace):
                key = (namespace, name)
                if data_name(name) is None and self._newest(key) is None:
                    yield key

    async def run(self) -> None:
        """Compile what changed and swap the snapshot, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._queue.run(self._between))
            tasks.create_task(self._refetch.run())
            tasks.create_task(self.data.refetch.run())

    def _between(self, going: bool) -> None:  # noqa: FBT001 - as the queue calls it
        self._publish(idle=not going)
        self._tend()

    # ------------------------------------------------------------------ hearing

    def listing(self) -> ObjectListing:
        """Begin a list."""
        return ObjectListing(self._hear_listed, self.finish_list)

    def _hear_listed(self, key: Key, obj: dict[str, Any]) -> Steps[None] | None:
        """Hear of a policy of a list. Before the first snapshot it is compiled on the way, so that no list is held."""
        self.apply("MODIFIED", key, obj)
        return None if self._listed else self._queue.drain(key[0])

    def finish_list(self, found: set[Key]) -> Steps[None]:
        """Take the keys of a list for every policy that exists."""
        heard = [key for policies in self._heard.values() for key in policies]
        for number, key in enumerate([*self._index.keys(), *self._begun, *heard]):
            if key not in found:
                self.apply("DELETED", key, {})
            if number % _LOOKED_UP == 0:
                yield
        # What could not be read before is tried again.
        self._refetch.wake()
        if not self._listed:
            # There may be nothing to do, and then that is the snapshot.
            self._built = self._listed = True
            self._first = {*self._begun, *(key for policies in self._heard.values() for key in policies)}
            self._first_places = {place for places in self._unbuilt.values() for place in places}
            for namespace in (*self._heard, *self._unbuilt):
                # One after the other: to give each of thousands its turn takes long.
                self._queue.rouse(namespace)
                yield from self._queue.drain(namespace)
            self._queue.wake()

    def apply(self, kind: str, key: Key, obj: dict[str, Any]) -> None:
        """Take the newest state of one policy."""
        if kind != "DELETED":
            if not self._is_newest(key, obj["metadata"]):
                self._count(heard_policy(key, obj))
        elif key in self._index or ((newest := self._newest(key)) is not None and not newest.gone):
            self._count(HeardPolicy(key))

    def _newest(self, key: Key) -> HeardPolicy | None:
        """Return the newest state of a policy that is not in the index."""
        return self._heard.get(key[0], {}).get(key) or self._begun.get(key)

    def _is_newest(self, key: Key, metadata: Mapping[str, Any]) -> bool:
        """Tell whether this is the state that was heard of last; where that is unknown, it is not."""
        if (newest := self._newest(key)) is not None:
            return newest.is_state_of(metadata)
        policy = self._index.get(key)
        return policy is not None and is_state_of(policy.ref.uid, policy.ref.generation, metadata)

    def _count(self, policy: HeardPolicy) -> None:
        """Have a state counted, and taken up."""
        self._budget.put(*policy.key, policy.claim)
        self._hear(policy)

    def _hear(self, policy: HeardPolicy) -> None:
        """Have a state taken up, in place of any that was heard of before it."""
        key = policy.key
        self._heard.setdefault(key[0], {})[key] = policy
        if self._listed:
            # What the first list holds is awaited as a whole.
            self._wait(policy)
        self._queue.rouse(key[0])

    def _wait(self, policy: HeardPolicy) -> None:
        """Let the places wait that a state may concern: where it will speak, and where what was before it does."""
        was, begun = self._index.get(policy.key), self._begun.get(policy.key)
        places = {policy.place, None if was is None else place_of(was), None if begun is None else begun.place}
        # Nothing is denied for a candidate that waits, unless answers depend on what it was before.
        before = (was is None or was.replaces is not None) and (begun is None or begun.gone or begun.candidate)
        quiet = before and (policy.gone or policy.candidate)
        known = [place for place in places if place is not None]
        self._pending.hear(policy.key, known, self._clock(), self._version(), quiet=quiet)

    def _rouse_all(self) -> None:
        for namespace in {*self._heard, *self._unbuilt, *self._budget.namespaces, *self.data.namespaces}:
            self._queue.rouse(namespace)
        self._queue.wake()

    # ------------------------------------------------------------------ working

    def _work(self, namespace: str) -> Steps[None]:
        """Do what a namespace has to do, until there is nothing."""
        try:
            while True:
                yield from self._settle(namespace)
                if (policy := self._next(namespace)) is not None:
                    yield from self._take_up(policy)
                    # To take up one that is gone, or over budget, takes no step of its own.
                    yield
                    yield from self._build(namespace)
                else:
                    # What waits for room comes later, and these need not wait for it.
                    yield from self._build(namespace, now=True)
                    # Race: while that was built, more may have been heard of, and `_rouse` did nothing.
                    if not self._has_work(namespace):
                        break
        finally:
            self._leave_memory(namespace)

    def _has_work(self, namespace: str) -> bool:
        waits = self._budget.waits(namespace) or self.data.waits(namespace)
        return waits or (self._listed and namespace in self._unbuilt) or self._next(namespace) is not None

    def _settle(self, namespace: str) -> Steps[None]:
        """Count what was heard, and let everything stand as the budget says."""
        settled = yield from self._budget.settle(namespace)
        # Small beside what is compiled, and what was compiled may read it.
        if self.data.waits(namespace):
            yield from self.data.take_up(namespace)
            self._built = True
        if (yield from self._budget.settle(namespace)) or settled:
            yield from self._withhold(namespace)
            self._log.write(self.ledger, namespace)
        for other in tuple(self.ledger.restless):
            self._queue.rouse(other)

    def _withhold(self, namespace: str) -> Steps[None]:
        """Keep of what is over budget only what denies, and have what is over no longer read again."""
        over, kept = self.ledger.names_over(namespace), self._index.withheld(namespace)
        for name in over ^ kept:
            key, known = (namespace, name), data_name(name)
            if name not in over:
                (self._refetch if known is None else self.data.refetch).wake()
            elif known is not None:
                self._built = self.data.withhold(namespace, known) or self._built
                yield
            elif (policy := self._newest(key)) is None:
                if (held := self._index.get(key)) is not None:
                    self._hear(withheld_policy(key, withheld_of(held)))
                yield
            elif policy.text is not None:
                obj = orjson.loads(policy.text)
                kept_of = withheld(ref_of(key, obj), obj["spec"])
                self._heard[namespace][key] = replace(policy, text=None, denies=kept_of)
                yield

    def _next(self, namespace: str) -> HeardPolicy | None:
        """Return the policy that is to be taken up next; None where none can be now."""
        if not self._listed and not self.ledger.fits(namespace):
            # Others may be listed yet that are older.
            return None
        return next((policy for policy in self._heard.get(namespace, {}).values() if self._reserve(policy)), None)

    def _reserve(self, policy: HeardPolicy) -> bool:
        """Reserve memory to compile a policy, if it is large. Returns False if it has to wait."""
        if policy.claim is None or not is_large(policy) or self.ledger.excess(*policy.key) is not None:
            return True
        return self._memory.take(policy.key[0], policy.claim.footprint.bytes)

    def _leave_memory(self, namespace: str) -> None:
        for other in self._memory.leave(namespace):
            self._queue.rouse(other)

    def _take_up(self, policy: HeardPolicy) -> Steps[None]:
        """Put into the index what the newest state of a policy comes to."""
        key, namespace = policy.key, policy.key[0]
        heard = self._heard[namespace]
        del heard[key]
        if not heard:
            del self._heard[namespace]
        self._begun[key] = policy
        self._pending.note_begun(key)
        try:
            made = yield from self._compile_state(policy)
        except Exception:
            # A defect. It waits on, behind the others, unless there is a newer state by now.
            self._heard.setdefault(namespace, {}).setdefault(key, policy)
            self._pending.resume(key)
            raise
        finally:
            del self._begun[key]
            if is_large(policy):
                self._leave_memory(namespace)
        touched = self._index.put(key, made)
        self._pending.note_put(key, touched)
        if touched:
            unbuilt, now = self._unbuilt.setdefault(namespace, {}), self._clock()
            for place in touched:
                unbuilt.setdefault(place, now)
        if key in self._first:
            self._first.discard(key)
            self._first_places.update(touched)
        if isinstance(made, BrokenPolicy) and made.withheld and self.ledger.excess(*key) is None:
            # It was over when that was looked at, and is not any more.
            self._refetch.wake()

    def _compile_state(self, policy: HeardPolicy) -> Steps[Policy | None]:
        """Return what a state comes to: compiled, what denies of one that is over budget, or None where it is gone."""
        key = policy.key
        if policy.text is None:
            return policy.denies
        over = self._budget.excess(*key, policy.claim) is not None
        obj = orjson.loads(policy.text)
        yield
        if over:
            return withheld(ref_of(key, obj), obj["spec"])
        steps = compiled(key, obj)
        while not self._is_gone(key):
            try:
                next(steps)
            except StopIteration as end:
                made: Policy = end.value
                return made
            yield
            if key[0] in self._unbuilt:
                # What was compiled before waits for what comes with it, and not for all that this takes.
                yield from self._build(key[0])
        steps.close()
        return None

    def _is_gone(self, key: Key) -> bool:
        """Tell whether a policy that is compiled is deleted by now."""
        newer = self._heard.get(key[0], {}).get(key)
        return newer is not None and newer.gone

    def _build(self, namespace: str, *, now: bool = False) -> Steps[None]:
        """Build the endpoints of which nothing more is to come, or was to come for long enough."""
        if not self._listed:
            return
        unbuilt, moment = self._unbuilt.get(namespace, {}), self._clock()
        for place, since in tuple(unbuilt.items()):
            if now or moment - since >= _GATHER_SECONDS or not self._pending.is_concerned(place):
                del unbuilt[place]
                try:
                    yield from self._index.build(place)
                except Exception:
                    # A defect: it is built with what comes next.
                    self._unbuilt.setdefault(namespace, unbuilt).setdefault(place, since)
                    raise
                self._pending.note_built(place)
                self._first_places.discard(place)
                self.data.built(place)
                self._built = True
        if not unbuilt:
            self._unbuilt.pop(namespace, None)

    # ------------------------------------------------------------------ publishing

    def _publish(self, *, idle: bool) -> None:
        """Swap the snapshot for one with what was built, at most so often while there is work."""
        first, now = self.snapshot is None, self._clock()
        if not self._built or not self._listed or (first and (self._first or self._first_places)):
            return
        if not idle and now - self._published < _PUBLISH_SECONDS:
            return
        if first:
            # No call was answered by what was before.
            self._pending.restart(now)
        self._revision += 1
        self.snapshot = self._index.publish(f"{self._revision}")
        self._built, self._published = False, now
        self.data.published()
        self._queue.add(NOTING, self._pending.note_published())
        if self._index.lets_go:
            self._queue.add(FREEING, self._index.let_go(self.data.freed))


def is_large(policy: HeardPolicy) -> bool:
    """Tell whether a policy may be compiled only beside what leaves room for it."""
    return policy.text is not None and policy.claim is not None and policy.claim.footprint.bytes > SMALL
