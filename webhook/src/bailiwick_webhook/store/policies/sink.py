"""Policies: the sink that compiles them, by namespace in turn, and swaps the snapshot as each endpoint is ready.

Holds: a snapshot is immutable and swapped whole; no step holds the loop for longer than an expression takes; a
namespace with one small change waits for one turn of each other that has work. An event that leaves a policy's
generation unchanged is not news. Of a policy that changes while it is compiled, what was begun is finished and comes
into force, and then the newest is taken up: so it gets on however fast it changes. What is over budget is not compiled.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
import structlog

from bailiwick_engine.budget.ledger import Budget, Claim, Ledger
from bailiwick_engine.compile.withheld import withheld, withheld_of
from bailiwick_engine.policy.model import BrokenPolicy
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.rotation import FairRotation
from bailiwick_engine.steps import Steps
from bailiwick_webhook.store.policies.backlog import PolicyChange, change_of, made_change, text_of
from bailiwick_webhook.store.policies.budgetlog import BudgetLog
from bailiwick_webhook.store.policies.changes import Changes
from bailiwick_webhook.store.policies.compiler import compiled, is_of, ref_of
from bailiwick_webhook.store.policies.data import DataObjects
from bailiwick_webhook.store.policies.index import Key, Place, Policy, PolicyIndex, place_of
from bailiwick_webhook.store.policies.listing import PolicyListing
from bailiwick_webhook.store.policies.refetch import PolicyRefetch, Read, nothing
from bailiwick_webhook.store.policies.room import Room
from bailiwick_webhook.store.policies.staleness import ChangeAges
from bailiwick_webhook.store.slices import Slices

# Between two snapshots while there is work: for each, the table of all endpoints is copied.
_PUBLISH_SECONDS: Final = 0.01
# For so long an endpoint's changes are gathered, before those that are compiled come into force without the others.
_GATHER_SECONDS: Final = 0.25
_AGAIN_SECONDS: Final = 1.0
# Policies that are looked up in one step of a list: each takes a fraction of a microsecond.
_LOOKED_UP: Final = 256
# Of no namespace: what is no longer needed is freed in its turn too.
_NOBODY: Final = ""

_log = structlog.get_logger()


class Policies:
    """Every `EndpointPolicy`, compiled. `snapshot` is None until the first list was taken up.

    `heard` returns the resource version up to which we were told of everything. `tend` is called between turns, see
    `collector`. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        budget: Budget | None = None,
        read: Read = nothing,
        heard: Callable[[], str] = str,
        tend: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        read_data: Read = nothing,
    ) -> None:
        self.snapshot: Snapshot | None = None
        self.ledger = Ledger(budget or Budget())
        self._missing = PolicyRefetch(read, lambda key, obj: self._hear(change_of(key, obj, text_of(obj), clock())))
        self._heard, self._tend, self._clock = heard, tend, clock
        self._index, self._changes = PolicyIndex(), Changes()
        self.data: Final = DataObjects(self._index, self._changes.waiting, self._rouse, read_data, clock)
        self._rotation: FairRotation[str] = FairRotation(clock)
        self._room, self._log = Room(), BudgetLog()
        self._working: set[str] = set()
        # By namespace, the places where something was put that is not built, and since when.
        self._unbuilt: dict[str, dict[Place, float]] = {}
        self._built = self._listed = False
        self._woken = asyncio.Event()
        self._published, self._revision = 0.0, 0

    @property
    def waiting(self) -> ChangeAges:
        """Since when which endpoint has a change that is not in force."""
        return self._changes.waiting

    @property
    def settled(self) -> bool:
        """Everything that was heard of is part of the snapshot."""
        return self._changes.reached is None and self.snapshot is not None

    @property
    def reached(self) -> str | None:
        """The resource version up to which everything is part of the snapshot; None where everything is."""
        return self._changes.reached

    def listing(self) -> PolicyListing:
        """Begin a list."""
        return PolicyListing(self.ledger.budget, self._known, self.replace, first=self.snapshot is None)

    def replace(self, listed: PolicyListing) -> Steps[None]:
        """Take a list for every policy that exists."""
        self.ledger = listed.ledger
        for namespace in self.data.claimed(self.ledger):
            self._rouse(namespace)
        # Older than the list.
        self._changes.forget()
        self._missing.clear()
        # Race: data or what is withheld may be built meanwhile, and a snapshot of half a list allows what it denies.
        self._listed = not (first := self.snapshot is None)
        known = [*(key for key in self._changes.compiling() if key not in self._index), *self._index.keys()]
        for number, key in enumerate(known):
            if gone := key not in listed.found:
                self._hear(PolicyChange(key, self._clock(), gone=True, claimed=True))
            if gone or number % _LOOKED_UP == 0:
                yield
        touched: dict[Place, None] = {}
        for key, found in listed.found.items():
            told = found
            if first and found is not None and not isinstance(found, bytes) and self._changes.newest(key) is None:
                touched.update(dict.fromkeys(self._index.put(key, found)))
                told = None
            # What was put too: whom the ledger turned since the list was settled, nobody tells of again.
            self._take_listed(key, told, first=first)
            yield
        for place in touched:
            yield from self._index.build(place)
            self.data.built(place)
        self._changes.recall_all()
        for namespace in {namespace for namespace, _ in listed.found}:
            self._log.tell(self.ledger, namespace)
            yield
        # There may be nothing to do, and then that is the snapshot.
        self._built = self._listed = True
        self._woken.set()

    def apply(self, kind: str, key: Key, obj: dict[str, Any]) -> None:
        """Take one change."""
        if kind == "DELETED":
            if key in self._index or self._changes.newest(key) is not None:
                self._hear(PolicyChange(key, self._clock(), gone=True))
        elif not self._is_newest(key, obj["metadata"]):
            self._hear(change_of(key, obj, text_of(obj), self._clock()))

    def serves(self, uid: str, generation: int) -> bool:
        """Tell whether the snapshot holds this generation of a policy, sound or broken."""
        return self._index.serves(uid, generation)

    async def run(self) -> None:
        """Compile what changed and swap the snapshot, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._compile())
            tasks.create_task(self._missing.run())
            tasks.create_task(self.data.refetch.run())

    async def _compile(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            going, slices = True, Slices(patient=True)
            while going:
                try:
                    going = self._rotation.turn()
                except Exception:  # noqa: BLE001 - a defect; what it was about goes on to wait, so that it denies
                    _log.exception("changes in a namespace could not be loaded, trying again")
                    asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._rouse_all)
                self._publish(idle=not going)
                self._tend()
                # Whoever asks meanwhile is answered.
                await slices.turn()

    # ------------------------------------------------------------------ hearing

    def _known(self, key: Key, metadata: Mapping[str, Any]) -> Claim | None:
        """Return what a policy asks for of which we have this very object, compiled."""
        policy = self._index.get(key)
        if policy is None or self._changes.newest(key) is not None or not is_of(policy.ref, metadata):
            return None
        return None if isinstance(policy, BrokenPolicy) and policy.withheld else self.ledger.claim(*key)

    def _is_newest(self, key: Key, metadata: Mapping[str, Any]) -> bool:
        """Tell whether this is the object that we heard of last; what cannot be told apart is another."""
        if (change := self._changes.newest(key)) is not None:
            return change.states(metadata)
        policy = self._index.get(key)
        return policy is not None and is_of(policy.ref, metadata)

    def _take_listed(self, key: Key, found: bytes | Policy | None, *, first: bool) -> None:
        """Take up what a list says of a policy: its text, what is kept of it, or that it is as we have it."""
        policy, change = self._index.get(key), None
        if isinstance(found, bytes):
            obj = orjson.loads(found)
            if policy is None or self._changes.newest(key) is not None or not is_of(policy.ref, obj["metadata"]):
                change = change_of(key, obj, found, self._clock(), claimed=True)
        elif found is not None and found != policy:
            change = made_change(key, found, self._clock())
        if change is not None:
            self._hear(change, first=first)
        else:
            self._changes.recall(key)
            self._reconsider(key)

    def _hear(self, change: PolicyChange, *, first: bool = False) -> None:
        """Put a change in line."""
        self._missing.drop(change.key)
        if (policy := self._index.get(change.key)) is not None:
            change.places.add(place_of(policy))
        change.hush(policy)
        self._changes.hear(change, self._heard(), first=first)
        self._rouse(change.key[0])

    def _reconsider(self, key: Key) -> None:
        """Look at a policy again whose budget is another, unless a list is still to come to it."""
        policy = self._index.get(key)
        if policy is None or self._changes.newest(key) is not None or self._changes.forgot(key):
            return
        over = self.ledger.excess(*key) is not None
        was_over = isinstance(policy, BrokenPolicy) and policy.withheld
        if over and not was_over:
            self._hear(made_change(key, withheld_of(policy), self._clock()))
        elif was_over and not over:
            self._missing.want(key)

    def _rouse(self, namespace: str) -> None:
        if namespace not in self._working:
            self._working.add(namespace)
            self._rotation.add(namespace, self._work(namespace))
        self._woken.set()

    def _rouse_all(self) -> None:
        for change in self._changes.backlog.all():
            self._rouse(change.key[0])

    # ------------------------------------------------------------------ working

    def _work(self, namespace: str) -> Steps[None]:
        """Take up the changes of a namespace, until there are none."""
        try:
            while True:
                yield from self._claim(namespace)
                if self._changes.backlog.first(namespace) is None:
                    yield from self._build(namespace, now=True)
                # Race: while that was built, more may have been heard of, and `_rouse` did nothing.
                if (change := self._changes.backlog.first(namespace)) is None:
                    break
                if not change.claimed:
                    continue  # Heard of since then: the ledger cannot tell yet whether it is over.
                if not self._has_room(change):
                    # Roused again as soon as there is.
                    return
                yield from self._take_up(change)
                yield from self._build(namespace)
                self._leave_room(namespace)
        finally:
            self._working.discard(namespace)
            self._leave_room(namespace)
            # While this was at work, `_rouse` did nothing.
            if self.data.waits(namespace) or namespace in self.ledger.restless:
                self._rouse(namespace)

    def _claim(self, namespace: str) -> Steps[None]:
        """Tell the ledger of changes, and find out who is over."""
        yield from self.data.claim(namespace, lambda: self.ledger)
        yield from self._changes.backlog.claim(namespace, lambda: self.ledger)
        while namespace in self.ledger.restless:
            ledger = self.ledger
            turned = yield from ledger.settle_one(namespace)
            if ledger is self.ledger:
                for name in turned:
                    if not self.data.turned(namespace, name, ledger):
                        self._reconsider((namespace, name))
        # Small beside what is compiled, and what was compiled may read it.
        if (yield from self.data.take_up(namespace, lambda: self.ledger)):
            self._built = True
        self._log.tell(self.ledger, namespace)
        for other in tuple(self.ledger.restless):
            self._rouse(other)

    def _has_room(self, change: PolicyChange) -> bool:
        """Tell whether what is large may be compiled now, beside what else is."""
        claim = self.ledger.claim(*change.key)
        if claim is None or change.text is None or self.ledger.excess(*change.key) is not None:
            return True
        return self._room.take(change.key[0], claim.print.bytes)

    def _leave_room(self, namespace: str) -> None:
        for other in self._room.leave(namespace):
            self._rouse(other)

    def _take_up(self, change: PolicyChange) -> Steps[None]:
        """Put into the index what a change comes to."""
        key = change.key
        self._changes.begin(change)
        over = self.ledger.excess(*key) is not None
        policy: Policy | None = change.made
        if change.text is not None:
            obj = orjson.loads(change.text)
            yield
            policy = withheld(ref_of(key, obj), obj["spec"]) if over else (yield from self._compiled(key, obj))
        touched = self._index.put(key, policy)
        self._changes.put(change, touched)
        unbuilt, now = self._unbuilt.setdefault(key[0], {}), self._clock()
        for place in touched:
            unbuilt.setdefault(place, now)
        self._reconsider(key)

    def _compiled(self, key: Key, obj: dict[str, Any]) -> Steps[Policy | None]:
        """Compile, unless it is deleted meanwhile."""
        steps = compiled(key, obj)
        while not self._changes.is_gone(key):
            try:
                next(steps)
            except StopIteration as end:
                policy: Policy = end.value
                return policy
            yield
            if key[0] in self._unbuilt:
                # What was compiled before waits for what comes with it, and not for all that this takes.
                yield from self._build(key[0])
        steps.close()
        return None

    def _build(self, namespace: str, *, now: bool = False) -> Steps[None]:
        """Build the endpoints of which nothing more is to come, or was to come for long enough."""
        unbuilt, moment = self._unbuilt.get(namespace, {}), self._clock()
        for place, since in tuple(unbuilt.items()):
            if now or moment - since >= _GATHER_SECONDS or not self._changes.backlog.concern(place):
                del unbuilt[place]
                yield from self._index.build(place)
                self._changes.build(place)
                self.data.built(place)
                self._built = True
        if not unbuilt:
            self._unbuilt.pop(namespace, None)

    def _publish(self, *, idle: bool) -> None:
        """Swap the snapshot for one with what was built, at most so often while there is work."""
        first, now = self.snapshot is None, self._clock()
        if not self._built or not self._listed or (first and not self._changes.first_are_built):
            return
        if not idle and now - self._published < _PUBLISH_SECONDS:
            return
        if first:
            # Nobody has been answered by what was before.
            self.waiting.begin(now)
        self._revision += 1
        self.snapshot = self._index.publish(f"{self._revision}")
        self._built, self._published = False, now
        self.data.published()
        self._rotation.add(_NOBODY, self._changes.published())
        if self._index.lets_go:
            self._rotation.add(_NOBODY, self._index.let_go(self.data.freed))
        self._woken.set()
