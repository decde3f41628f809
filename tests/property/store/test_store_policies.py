"""The store of policies, whatever it hears in which order: it comes to serve what is there, and who is over denies."""

import asyncio
import itertools
from collections.abc import Collection
from typing import Any

from hypothesis import given, strategies as st

from bailiwick_engine.budget.datasize import ledger_name
from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.budget.ledger import Budget, BudgetLedger
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey, Snapshot
from property.store.storeworld import (
    BUDGETS,
    DATA,
    NAMES,
    NAMESPACES,
    World,
    firsts,
    plays,
    resting,
    rests_drawn,
    state,
)


@given(st.sampled_from(BUDGETS), firsts, plays, rests_drawn, st.booleans())
def test_in_the_end_it_serves_what_is_there(
    budget: Budget, first: tuple[list[Any], list[Any]], played: list[tuple[str, Any]], rests: list[int], crowded: bool
) -> None:
    with resting(rests, crowded=crowded):
        asyncio.run(_to_the_end(budget, first, played))


async def _to_the_end(budget: Budget, first: tuple[list[Any], list[Any]], played: list[tuple[str, Any]]) -> None:
    world = World(budget)
    task = await played_out(world, first, played)
    objects, there, known = world.objects.there, world.data.there, world.policies
    judge = world.ledger()
    found, wanted = known.snapshot, world.expected(judge, objects, there)
    assert found is not None
    assert {key: shown(endpoint) for key, endpoint in found.endpoints.items()} == {
        key: shown(endpoint) for key, endpoint in wanted.endpoints.items()
    }
    assert found.unreadable.keys() == wanted.unreadable.keys()
    states = {state(obj) for obj in (*objects.values(), *there.values())}
    assert {one for one in world.objects.every | world.data.every if known.serves(*one)} == states
    claimed = {key: known.ledger.claim(*key) for key in itertools.product(NAMESPACES, NAMES)}
    assert {key: claim.footprint for key, claim in claimed.items() if claim} == {
        key: footprint(obj["spec"]) for key, obj in objects.items()
    }
    held = {key: known._index.data_of(key) for key in itertools.product(NAMESPACES, DATA)}
    assert {key: None if one.value is None else one.value["value"] for key, one in held.items() if one} == {
        key: None if judge.excess(key[0], ledger_name(key[1])) else obj["spec"]["data"]["value"]
        for key, obj in there.items()
    }
    assert not known.ledger.restless
    assert known.ledger.usage == judge.usage
    assert known.ledger.over == judge.over
    assert not known.waiting
    assert known.reached is None
    assert known.data.in_force
    pending, memory, index, held_ = known._pending, known._memory, known._index, known.data
    left: list[Collection[object]] = [known._heard, known._begun, known._unbuilt, known._queue._working]
    left += [memory._taken, memory._waiting, known._budget._uncounted, index._moves, held_._changes, held_._put]
    left += [pending._open, pending._of_policy, pending._heard, pending._begun, pending._put, pending._coming]
    left += [known._first, known._first_places]
    assert not any(left), left
    assert index._moved.keys() <= index._places.keys()
    assert not task.done()
    task.cancel()


@given(st.sampled_from(BUDGETS), firsts, plays, rests_drawn, st.booleans())
def test_what_is_not_as_it_was_heard_waits(
    budget: Budget, first: tuple[list[Any], list[Any]], played: list[tuple[str, Any]], rests: list[int], crowded: bool
) -> None:
    with resting(rests, crowded=crowded):
        asyncio.run(_always(budget, first, played))


async def _always(budget: Budget, first: tuple[list[Any], list[Any]], played: list[tuple[str, Any]]) -> None:
    world = World(budget)
    looking = asyncio.create_task(Looker(world).run())
    task = await played_out(world, first, played)
    task.cancel()
    if looking.done():
        looking.result()
    looking.cancel()


class Looker:
    """Looks at every turn of the loop whether an endpoint waits that does not answer by what was heard."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._nobody_is_over = BudgetLedger(Budget())
        self._seen: list[object] = []
        self._wanted = Snapshot({})

    async def run(self) -> None:
        while True:
            served = self._world.policies.snapshot
            if served is not None and self._world.objects.synced:
                for key in self._differing(served):
                    assert self._world.policies.waiting.since(*key) is not None, key
            await asyncio.sleep(0)

    def _differing(self, served: Snapshot) -> list[EndpointKey]:
        objects, data_ = self._world.objects, self._world.data
        if objects.listing:
            # What it says is heard when it was taken whole; until then there may be in force what was, or will be.
            known = {state(obj) for one in (objects.told, objects.coming, objects.there) for obj in one.values()}
            return [key for key, endpoint in served.endpoints.items() if not spoken(endpoint) <= known]
        told = [served, *objects.told.values(), *data_.told.values()]
        if len(told) != len(self._seen) or any(one is not other for one, other in zip(told, self._seen, strict=True)):
            self._wanted = self._world.expected(self._nobody_is_over, objects.told, data_.told)
            self._seen = told
        # What was read again is as it is now, of which the watch may still have to tell.
        fresher = {state(obj) for obj in objects.there.values()} - {state(obj) for obj in objects.told.values()}
        return [
            key
            for key in served.endpoints.keys() | self._wanted.endpoints.keys()
            if not spoken(served.endpoints.get(key)) & fresher
            and (
                speaks_differently(served, self._wanted, key)
                or (not data_.listing and reads_differently(served, self._wanted, key))
            )
        ]


async def played_out(
    world: World, first: tuple[list[Any], list[Any]], played: list[tuple[str, Any]]
) -> "asyncio.Task[None]":
    task = asyncio.create_task(world.policies.run())
    # Data is older, and comes first: so it can be what puts a policy over.
    for data_change in first[0]:
        world.write_data(*data_change)
    for change in first[1]:
        world.write(*change)
    await world.data.list()
    await world.objects.list()
    for what, given_ in played:
        await world.play(what, given_)
    await world.settle()
    return task


def speaks_differently(served: Snapshot, wanted: Snapshot, key: EndpointKey) -> bool:
    """Tell whether an endpoint answers by what is not there any more, or without what is."""
    found = served.endpoints.get(key)
    known, there = spoken(found), spoken(wanted.endpoints.get(key))
    # Of policies that deny the same, as who is over budget does, only one is told.
    denies = found is not None and (found.broken or found.denied_whole)
    return not known <= there or (known != there and not denies)


def spoken(endpoint: CompiledEndpoint | None) -> set[tuple[str, int]]:
    """Return by which generations of policies an endpoint answers."""
    if endpoint is None:
        return set()
    named = (*endpoint.broken.values(), *endpoint.carriers, endpoint.denied_whole)
    refs = (*(one.policy for one in endpoint.rules), *(ref for ref in named if ref is not None))
    return {(ref.uid, ref.generation) for ref in refs}


def reads_differently(served: Snapshot, wanted: Snapshot, key: EndpointKey) -> bool:
    """Tell whether an endpoint reads another state of data than there is; data that is unknown allows nothing."""
    if key not in served.endpoints or key not in wanted.endpoints:
        return False
    held, there = served.endpoints[key].data, wanted.endpoints[key].data
    both = held.keys() & there.keys()
    return any((held[one].uid, held[one].generation) != (there[one].uid, there[one].generation) for one in both)


def of_data(endpoint: Any) -> list[Any]:  # noqa: ANN401 - an endpoint
    return [
        (name, one.uid, one.generation, one.digest, None if one.unknown is None else one.unknown.why)
        for name, one in endpoint.data.items()
    ]


def shown(endpoint: Any) -> Any:  # noqa: ANN401 - an endpoint, as far as two that were compiled apart can be compared
    return (
        [(one.policy, one.policy_digest, one.name, one.subjects) for one in endpoint.rules],
        # Of two that deny the same subject, which is named hangs on the order in which they came.
        sorted(endpoint.broken),
        endpoint.denied_whole,
        endpoint.carriers,
        endpoint.settings,
        endpoint.named_subjects,
        endpoint.reads,
        sorted(of_data(endpoint)),
        [(one.candidate, one.digest, one.replaced, shown(one.endpoint)) for one in endpoint.shadows],
    )
