"""A namespace counts as unprotected only while no policy that speaks of it was heard of longer ago than is promised."""

import asyncio
from typing import Any, Final

from hypothesis import given, strategies as st

from bailiwick_engine.budget.ledger import Budget
from bailiwick_engine.circumstances import Freshness
from bailiwick_engine.policy.snapshot import Snapshot, denies_namespace
from bailiwick_policystore.changes import OUTDATED_SECONDS
from bailiwick_policystore.endpoints import Key
from bailiwick_webhook.http.adapters.k8sreview import ProtectedNamespaces
from bailiwick_webhook.store.view import StoreState, doubt
from property.store.storeworld import BUDGETS, NAMESPACES, World, firsts, plays, resting, rests_drawn, state
from property.store.test_store_policies import played_out
from support.objects import ENDPOINT, Object

NAMES: Final = ProtectedNamespaces(ENDPOINT)


class WorldView:
    """What decisions see of the store."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def snapshot(self) -> Snapshot | None:
        return self._world.policies.snapshot

    def glance(self) -> StoreState:
        known = self._world.policies
        return StoreState(0.0, Freshness.FRESH, "", True, known.waiting, self._world.now)


class Watcher:
    """Looks at every turn of the loop which namespaces are let through, and holds that against all that was heard."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._view: Any = WorldView(world)
        # Since when a state of a policy is the newest that was heard of.
        self._heard: dict[Key, tuple[tuple[str, int], float]] = {}
        self._served: float | None = None
        self.let_through = 0

    async def run(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(0)

    def _look(self) -> None:
        world = self._world
        told = {} if world.objects.listing else dict(world.objects.told)
        for key in self._heard.keys() - told.keys():
            # What a list that is on its way says of it is heard with the whole list.
            del self._heard[key]
        for key, obj in told.items():
            if self._heard.get(key, ((), 0.0))[0] != state(obj):
                self._heard[key] = (state(obj), world.now)
        snapshot = world.policies.snapshot
        if snapshot is not None and self._served is None:
            self._served = world.now
        for namespace in NAMESPACES:
            protected = snapshot is not None and NAMES.protected(snapshot, namespace)
            if protected or doubt(self._view, *NAMES.of(namespace)) is not None:
                continue
            assert self._served is not None, "it is let through before anything is known"
            self.let_through += 1
            for key, (_, since) in self._heard.items():
                waits = world.now - max(since, self._served)
                if key[0] == namespace and waits > OUTDATED_SECONDS:
                    assert not self._speaks(told[key]), f"{key} was heard of {waits:.1f} s ago"

    def _speaks(self, obj: Object) -> bool:
        """Tell whether a policy by itself would protect its namespace."""
        made = self._world.compiled(obj)
        return made.replaces is None and (made.endpoint == ENDPOINT or denies_namespace(made))


@given(st.sampled_from(BUDGETS), firsts, plays, rests_drawn, st.booleans(), st.sampled_from([0.001, 0.1, 1.0]))
def test_a_namespace_is_let_through_only_while_nothing_that_was_heard_speaks_of_it(
    budget: Budget,
    first: tuple[list[Any], list[Any]],
    played: list[tuple[str, Any]],
    rests: list[int],
    crowded: bool,
    step: float,
) -> None:
    with resting(rests, crowded=crowded):
        asyncio.run(_always(World(budget, step), first, played))


async def _always(world: World, first: tuple[list[Any], list[Any]], played: list[tuple[str, Any]]) -> None:
    looking = asyncio.create_task(Watcher(world).run())
    task = await played_out(world, first, played)
    task.cancel()
    if looking.done():
        looking.result()
    looking.cancel()
