"""A world for the store of policies: what the API server holds, what the store is told of it, and what that comes to.

Lists are taken in slices, as a `ListWatch` does it, while others work; what is written meanwhile the watch tells after.
"""

import asyncio
import copy
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pytest
from hypothesis import strategies as st

from bailiwick_engine.budget import ledger
from bailiwick_engine.budget.datasize import data_claim, ledger_name
from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.budget.ledger import Budget, BudgetLedger, Claim
from bailiwick_engine.cel.data import DataObject, over_budget, read_data
from bailiwick_engine.compile.policies import compile_object, policy_ref
from bailiwick_engine.compile.withheld import withheld
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_policystore import budget as budgets, compilememory, controller, data, slices
from bailiwick_policystore.controller import PolicyController
from bailiwick_policystore.endpoints import Key, Policy
from support.objects import Object, policy, rule, settings as carried, subject

NAMESPACES: Final = ("crm", "hr")
NAMES: Final = ("a", "b", "c", "d")


def conditions(count: int, name: str) -> list[Object]:
    return [{"name": f"c{number}", "expression": f"context.{name} == {number}"} for number in range(count)]


def reading(*names: str) -> dict[str, Any]:
    asked = [{"name": f"c{name}", "expression": f"data.{name}.value == 1"} for name in names]
    return {"data": [{"name": name} for name in names], "rules": [rule(conditions=asked)]}


KINDS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"endpoint": "other"},
    {"endpointSettings": carried()},
    {"rules": [rule(conditions=[{"name": "x", "expression": "((("}])]},
    {"endpoint": 7},
    {"rules": [rule(conditions=conditions(6, "x"))], "endpointSettings": carried()},
    {"rules": [rule(conditions=conditions(6, "x"))], "endpoint": "other"},
    {"subjects": [subject(), subject("idle", account="idle")], "rules": [rule(conditions=conditions(3, "y"))]},
    reading("d"),
    reading("d", "e") | {"endpoint": "other"},
    reading("e") | {"mode": "Audit", "replaces": "a"},
    {"mode": "Audit", "replaces": "b", "endpoint": "other", "rules": [rule(effect="Deny")]},
    {"mode": "Audit", "replaces": "a", "endpoint": 7},
)
SIZES: Final = [footprint(policy("crm", "a", **kind)["spec"]).bytes for kind in KINDS]
MOST: Final = max(SIZES)
BUDGETS: Final = (
    Budget(),
    Budget(namespace=2 * MOST, policy=MOST - 1),
    Budget(namespace=MOST + MOST // 2, policy=MOST),
    Budget(total=2 * MOST, namespace=2 * MOST, policy=MOST),
    Budget(policies=2),
)
LARGE: Final = (5, 6)
READING: Final = (8, 9)
DATA: Final = ("d", "e")
# Values of data: small ones, and one that takes most of what a namespace may have.
VALUES: Final = (1, 2, ["x" * (MOST // 2)])

kinds = st.none() | st.integers(0, len(KINDS) - 1) | st.sampled_from(LARGE) | st.sampled_from(LARGE + READING)
changes = st.tuples(st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(NAMES)), kinds)
values = st.none() | st.integers(0, len(VALUES) - 1) | st.just(2)
data_changes = st.tuples(st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(DATA)), values)
moves = st.one_of(
    changes.map(lambda change: ("change", [change])),
    data_changes.map(lambda change: ("data", [change])),
    st.lists(changes, max_size=6).map(lambda listed: ("list", listed)),
    st.lists(data_changes, max_size=3).map(lambda listed: ("list data", listed)),
    st.just(("lose", [])),
    st.integers(1, 60).map(lambda turns: ("turns", turns)),
)
firsts = st.tuples(st.lists(data_changes, max_size=3), st.lists(changes, max_size=8))
plays = st.lists(moves, min_size=2, max_size=14)
# For how many turns of the loop others work after a step.
rests_drawn = st.lists(st.sampled_from([0, 1, 1, 2, 5, 30]), min_size=1, max_size=8)


class WatchedCollection:
    """One collection of the API server, and what its sink was told: lists in slices, and nothing beside them."""

    def __init__(self) -> None:
        # A `Sink`, or what is one but for its types.
        self.sink: Any = None
        self.there: dict[Key, Object] = {}
        # As the sink was told, and as a list that is on its way will say.
        self.told: dict[Key, Object] = {}
        self.coming: dict[Key, Object] = {}
        # Every generation that there ever was.
        self.every: set[tuple[str, int]] = set()
        self._events: list[tuple[str, Key, Object]] = []
        self._list: asyncio.Task[None] | None = None
        # A list is on its way; there was one.
        self.listing = self.synced = False

    async def read(self, key: Key) -> Object | None:
        """Return an object, as whoever refetches it does."""
        await asyncio.sleep(0)
        return copy.deepcopy(self.there.get(key))

    def write(self, key: Key, made: Object | None, count: int) -> None:
        """Store or delete an object; a new object is younger than all."""
        before = self.there.pop(key, None)
        if made is None:
            if before is not None:
                self._events.append(("DELETED", key, before))
            return
        metadata = before["metadata"] if before else {"uid": f"u{count}", "creationTimestamp": f"{count:09}"}
        generation = 1 if before is None else before["metadata"]["generation"] + (made["spec"] != before["spec"])
        made["metadata"] |= {
            **{name: metadata[name] for name in ("uid", "creationTimestamp")},
            "generation": generation,
            "resourceVersion": f"{count}",
        }
        self.there[key] = made
        self.every.add(state(made))
        self._events.append(("MODIFIED" if before else "ADDED", key, made))

    def tell(self) -> None:
        """Tell what happened since the list, unless there is one on its way."""
        if self.listing or not self.synced:
            return
        for what, key, obj in self._events:
            self.sink.apply(what, key, copy.deepcopy(obj))
            if what == "DELETED":
                del self.told[key]
            else:
                self.told[key] = obj
        self._events.clear()

    async def list(self) -> None:
        """Begin a list, after the one before."""
        if self._list is not None:
            await self._list
        # Of what was written until now the watch tells nothing.
        self._events.clear()
        self.listing, self.coming = True, dict(self.there)
        self._list = asyncio.create_task(self._take())

    async def _take(self) -> None:
        taking, listed = slices.Slices(patient=True), self.sink.listing()
        for key, obj in sorted(self.coming.items()):
            await taking.all(listed.take(key, copy.deepcopy(obj)))
            await taking.turn()
        await taking.all(listed.finish())
        self.told, self.synced, self.listing = self.coming, True, False
        self.tell()


class World:
    """What the API server holds, and the store that hears of it."""

    def __init__(self, budget: Budget, step: float = 0.001) -> None:
        self.count = 0
        self.now = 0.0
        self._step = step
        # Each step takes a millisecond, so that much happens in the middle of another's work.
        self.objects, self.data = WatchedCollection(), WatchedCollection()
        self.policies = PolicyController(
            budget,
            read=self.objects.read,
            read_data=self.data.read,
            version=lambda: f"{self.count}",
            clock=self._clock,
        )
        self.objects.sink, self.data.sink = self.policies, self.policies.data
        self._compiled: dict[tuple[str, int], Policy] = {}

    def _clock(self) -> float:
        self.now += self._step
        return self.now

    def write(self, key: Key, kind: int | None) -> None:
        self.count += 1
        made = None if kind is None else policy(*key, **copy.deepcopy(KINDS[kind]))
        self.objects.write(key, made, self.count)

    def write_data(self, key: Key, value: int | None) -> None:
        self.count += 1
        metadata = {"namespace": key[0], "name": key[1]}
        made = None if value is None else {"metadata": metadata, "spec": {"data": {"value": VALUES[value]}}}
        self.data.write(key, made, self.count)

    async def play(self, what: str, given_: Any) -> None:  # noqa: ANN401 - as it was drawn
        watched, write = (self.data, self.write_data) if "data" in what else (self.objects, self.write)
        if what == "turns":
            for _ in range(given_):
                await asyncio.sleep(0)
            return
        for change in given_:
            write(*change)
        if what == "lose":
            # Nothing was heard for so long that nobody knows; the next word is a list.
            self.policies.data.lose()
            self.data.told = {}
            await self.data.list()
        elif what.startswith("list"):
            await watched.list()
        else:
            watched.tell()

    async def settle(self) -> None:
        known = self.policies
        for _ in range(50_000):
            await asyncio.sleep(0)
            busy = self.objects.listing or self.data.listing or known._built or len(known._queue._rotation)
            if known.settled and not busy and not any(known.missing()) and not any(known.data.missing()):
                return
        raise AssertionError("it does not settle")

    def ledger(self) -> BudgetLedger:
        """Return a ledger that heard of all at once."""
        made = BudgetLedger(self.policies.ledger.budget)
        for (namespace, name), obj in self.objects.there.items():
            claim = Claim(obj["metadata"]["creationTimestamp"], name, footprint(obj["spec"]))
            made.put(namespace, name, claim)
        for (namespace, name), obj in self.data.there.items():
            made.put(namespace, ledger_name(name), data_claim(obj))
        made.settle()
        return made

    def expected(self, judge: BudgetLedger, objects: Mapping[Key, Object], there: Mapping[Key, Object]) -> Snapshot:
        """Return what these come to, made from nothing."""
        found = Snapshot.of(
            self.compiled(obj) if judge.excess(*key) is None else withheld(policy_ref(obj), obj["spec"])
            for key, obj in objects.items()
        )
        held: dict[str, dict[str, DataObject]] = {}
        for (namespace, name), obj in there.items():
            uid, generation = state(obj)
            over = judge.excess(namespace, ledger_name(name)) is not None
            made = over_budget(name, uid, generation, "") if over else read_data(name, uid, generation, obj["spec"])
            held.setdefault(namespace, {})[name] = made
        return Snapshot(
            {key: one.with_data(held.get(key[0], {})) for key, one in found.endpoints.items()},
            unreadable=found.unreadable,
        )

    def compiled(self, obj: Object) -> Policy:
        if state(obj) not in self._compiled:
            self._compiled[state(obj)] = compile_object(obj)
        return self._compiled[state(obj)]


@contextmanager
def resting(rests: list[int], *, crowded: bool) -> Iterator[None]:
    """Make each step a slice, and have it not hang on the machine for how long others work after it.

    What is done of many at once is done of few, so that there are steps. `crowded`: hardly two compile at once.
    """
    turns = itertools.cycle(rests)

    async def rest(_: slices.Slices) -> None:
        for _turn in range(next(turns)):
            await asyncio.sleep(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "SLICE_SECONDS", 0.0)
        patch.setattr(slices.Slices, "_rest", rest)
        for module, name in ((ledger, "_STEP"), (budgets, "_PUT"), (controller, "_LOOKED_UP"), (data, "_LOOKED_UP")):
            patch.setattr(module, name, 1)
        if crowded:
            for module in (compilememory, controller):
                patch.setattr(module, "SMALL", 0)
            patch.setattr(compilememory, "MOST", MOST)
        yield


def state(obj: Object) -> tuple[str, int]:
    return obj["metadata"]["uid"], obj["metadata"]["generation"]
