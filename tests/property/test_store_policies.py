"""The store of policies, whatever it hears in which order: it comes to serve what is there, and who is over denies."""

import asyncio
import copy
import itertools
from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given, settings, strategies as st

from bailiwick_engine.budget.datasize import data_claim, ledger_name
from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.budget.ledger import Budget, Claim, Ledger
from bailiwick_engine.compile.policies import compile_object, policy_ref
from bailiwick_engine.compile.withheld import withheld
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.steps import whole
from bailiwick_webhook.store import slices
from bailiwick_webhook.store.index import Key, Policy
from bailiwick_webhook.store.policies import Policies
from support.objects import Object, policy, rule, settings as carried, subject

NAMESPACES: Final = ("crm", "hr")
NAMES: Final = ("a", "b", "c", "d")


def conditions(count: int, name: str) -> list[Object]:
    return [{"name": f"c{number}", "expression": f"context.{name} == {number}"} for number in range(count)]


KINDS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"endpoint": "other"},
    {"endpointSettings": carried()},
    {"rules": [rule(conditions=[{"name": "x", "expression": "((("}])]},
    {"endpoint": 7},
    {"rules": [rule(conditions=conditions(6, "x"))], "endpointSettings": carried()},
    {"rules": [rule(conditions=conditions(6, "x"))], "endpoint": "other"},
    {"subjects": [subject(), subject("idle", account="idle")], "rules": [rule(conditions=conditions(3, "y"))]},
)
SIZES: Final = [footprint(policy("crm", "a", **kind)["spec"]).alone for kind in KINDS]
MOST: Final = max(SIZES)
BUDGETS: Final = (
    Budget(),
    Budget(namespace=2 * MOST, policy=MOST - 1),
    Budget(namespace=MOST + MOST // 2, policy=MOST),
    Budget(total=2 * MOST, namespace=2 * MOST, policy=MOST),
    Budget(policies=2),
)
LARGE: Final = (5, 6)
DATA: Final = ("d", "e")
# Values of data: small ones, and one that takes most of what a namespace may have.
VALUES: Final = (1, 2, ["x" * (MOST // 2)])

kinds = st.none() | st.integers(0, len(KINDS) - 1) | st.sampled_from(LARGE) | st.sampled_from(LARGE)
changes = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(NAMES), kinds)
values = st.none() | st.integers(0, len(VALUES) - 1)
moves = st.one_of(
    changes.map(lambda change: ("change", change)),
    st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(DATA), values).map(lambda change: ("data", change)),
    st.lists(changes, max_size=6).map(lambda listed: ("list", listed)),
    st.integers(1, 40).map(lambda turns: ("turns", turns)),
)


class World:
    """What the API server holds, and the store that hears of it."""

    def __init__(self, budget: Budget) -> None:
        self.there: dict[Key, Object] = {}
        self.data: dict[Key, Object] = {}
        self.count = 0
        ticks = itertools.count()
        # Each step takes a millisecond, so that much happens in the middle of another's work.
        self.policies = Policies(
            budget,
            self.read,
            lambda: f"{self.count}",
            clock=lambda: next(ticks) / 1000,
            read_data=self.read_data,
        )
        whole(self.policies.data.listing().done())

    async def read(self, key: Key) -> Object | None:
        await asyncio.sleep(0)
        return copy.deepcopy(self.there.get(key))

    async def read_data(self, key: Key) -> Object | None:
        await asyncio.sleep(0)
        return copy.deepcopy(self.data.get(key))

    def tell_data(self, key: Key, value: int | None) -> None:
        self.count += 1
        before = self.data.pop(key, None)
        if value is None:
            if before is not None:
                self.policies.data.apply("DELETED", key, before)
            return
        metadata = before["metadata"] if before else {"uid": f"u{self.count}", "creationTimestamp": f"{self.count:09}"}
        self.data[key] = {
            "metadata": metadata | {"namespace": key[0], "name": key[1], "generation": self.count},
            "spec": {"data": {"value": VALUES[value]}},
        }
        self.policies.data.apply("MODIFIED", key, copy.deepcopy(self.data[key]))

    def write(self, key: Key, kind: int | None) -> Object | None:
        """Store, or delete, an object; a new object is younger than all."""
        self.count += 1
        before = self.there.get(key)
        if kind is None:
            self.there.pop(key, None)
            return before
        made = policy(*key, **copy.deepcopy(KINDS[kind]))
        metadata = before["metadata"] if before else {"uid": f"u{self.count}", "creationTimestamp": f"{self.count:09}"}
        generation = 1 if before is None else before["metadata"]["generation"] + (made["spec"] != before["spec"])
        made["metadata"] |= {
            **{name: metadata[name] for name in ("uid", "creationTimestamp")},
            "generation": generation,
            "resourceVersion": f"{self.count}",
        }
        self.there[key] = made
        return made

    def tell(self, key: Key, kind: int | None) -> None:
        known = key in self.there
        made = self.write(key, kind)
        if made is not None:
            self.policies.apply(
                "DELETED" if kind is None else "MODIFIED" if known else "ADDED", key, copy.deepcopy(made)
            )

    def list(self) -> None:
        listing = self.policies.listing()
        for key, obj in sorted(self.there.items()):
            whole(listing.take(key, copy.deepcopy(obj)))
        whole(listing.done())

    async def settle(self) -> None:
        for _ in range(20_000):
            await asyncio.sleep(0)
            asked = self.policies._missing._keys or self.policies.data.refetch._keys
            if self.policies.settled and not asked and not len(self.policies._rotation):
                return
        raise AssertionError("it does not settle")

    @property
    def expected(self) -> Snapshot:
        return Snapshot.of(expected(self.ledger(), self.there).values())

    def ledger(self) -> Ledger:
        """Return a ledger that heard of all at once."""
        ledger = Ledger(self.policies.ledger.budget)
        for (namespace, name), obj in self.there.items():
            claim = Claim(obj["metadata"]["creationTimestamp"], name, footprint(obj["spec"]))
            ledger.put(namespace, name, claim)
        for (namespace, name), obj in self.data.items():
            ledger.put(namespace, ledger_name(name), data_claim(obj))
        ledger.settle()
        return ledger


def expected(ledger: Ledger, there: Mapping[Key, Object]) -> dict[Key, Policy]:
    """Compile what is there, but for who is over."""
    return {
        key: compile_object(obj) if ledger.excess(*key) is None else withheld(policy_ref(obj), obj["spec"])
        for key, obj in there.items()
    }


@settings(max_examples=200)
@given(
    st.sampled_from(BUDGETS),
    st.lists(changes, max_size=8),
    st.lists(moves, min_size=2, max_size=12),
    st.lists(st.sampled_from([1, 1, 2, 5, 30]), min_size=1, max_size=8),
)
def test_in_the_end_it_serves_what_is_there(
    budget: Budget, first: list[Any], played: list[tuple[str, Any]], rests: list[int]
) -> None:
    turns = itertools.cycle(rests)

    async def rest(_: slices.Slices) -> None:
        for _turn in range(next(turns)):
            await asyncio.sleep(0)

    with pytest.MonkeyPatch.context() as patch:
        # Each step is a slice, and for how long others work after it does not hang on the machine.
        patch.setattr(slices, "SECONDS", 0.0)
        patch.setattr(slices.Slices, "_rest", rest)
        asyncio.run(_play(budget, first, played))


async def _play(budget: Budget, first: list[Any], played: list[tuple[str, Any]]) -> None:
    world = World(budget)
    task = asyncio.create_task(world.policies.run())
    for namespace, name, kind in first:
        world.write((namespace, name), kind)
    world.list()
    for what, given_ in played:
        if what == "change":
            world.tell((given_[0], given_[1]), given_[2])
        elif what == "data":
            world.tell_data((given_[0], given_[1]), given_[2])
        elif what == "list":
            # Of all that was written meanwhile the watch told nothing.
            for namespace, name, kind in given_:
                world.write((namespace, name), kind)
            world.list()
        else:
            for _ in range(given_):
                await asyncio.sleep(0)
    await world.settle()
    found, wanted = world.policies.snapshot, world.expected
    assert found is not None
    assert found.endpoints.keys() == wanted.endpoints.keys()
    for key, endpoint in wanted.endpoints.items():
        assert shown(found.endpoints[key]) == shown(endpoint)
    assert found.unreadable.keys() == wanted.unreadable.keys()
    for obj in world.there.values():
        assert world.policies.serves(obj["metadata"]["uid"], obj["metadata"]["generation"])
    claimed = {key: world.policies.ledger.claim(*key) for key in itertools.product(NAMESPACES, NAMES)}
    assert {key: claim.print for key, claim in claimed.items() if claim} == {
        key: footprint(obj["spec"]) for key, obj in world.there.items()
    }
    ledger = world.ledger()
    known = {key: world.policies._index.data_of(key) for key in itertools.product(NAMESPACES, DATA)}
    assert {key: None if held.value is None else held.value["value"] for key, held in known.items() if held} == {
        key: None if ledger.excess(key[0], ledger_name(key[1])) else obj["spec"]["data"]["value"]
        for key, obj in world.data.items()
    }
    assert not world.policies.ledger.restless
    assert world.policies.ledger.usage == ledger.usage
    assert not world.policies.waiting
    assert world.policies.reached is None
    assert not task.done()
    task.cancel()


def shown(endpoint: Any) -> Any:  # noqa: ANN401 - an endpoint, as far as two that were compiled apart can be compared
    return (
        [(one.policy, one.policy_digest, one.name, one.subjects) for one in endpoint.rules],
        dict(endpoint.broken),
        endpoint.denied_whole,
        endpoint.carriers,
        endpoint.settings,
        endpoint.named_subjects,
    )
