"""An endpoint whose change waits to be compiled is known to wait since then, and others wait for hardly any of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.budget.ledger import Budget
from bailiwick_engine.steps import Steps, whole
from bailiwick_policystore import controller as store
from bailiwick_policystore.changes import EVERYWHERE, OUTDATED_SECONDS, ChangeAges
from bailiwick_policystore.compiler import compiled
from bailiwick_policystore.controller import PolicyController
from bailiwick_policystore.endpoints import Key, Place, Policy
from support.objects import Object, changed, policy, rule

STEP: Final = 0.005
NEVER: Final = 1_000_000


class World:
    """A store whose clock the test moves: a policy takes as long as its `intents` say, in steps of 5 ms."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(store, "compiled", self.compiled)
        self.policies = PolicyController(Budget(), clock=self.clock)
        self.compiling: list[tuple[str, int]] = []

    def clock(self) -> float:
        self.now += 1e-6
        return self.now

    def compiled(self, key: Key, obj: Object) -> Steps[Policy]:
        seconds = float(obj["spec"]["rules"][0].get("intents", ["0"])[0])
        self.compiling.append((key[1], obj["metadata"]["generation"]))
        for _ in range(int(seconds / STEP)):
            self.now += STEP
            yield
        return (yield from compiled(key, obj))

    def made(self, namespace: str, name: str, generation: int, seconds: float = 0, **spec: object) -> Object:
        raw = policy(namespace, name, **{"rules": [rule(intents=[f"{seconds}"])], **spec})
        raw["metadata"] |= {"uid": f"{name}-uid", "generation": generation, "resourceVersion": f"{generation}"}
        return raw

    def tell(self, raw: Object, kind: str = "MODIFIED") -> None:
        metadata = raw["metadata"]
        self.policies.apply(kind, (metadata["namespace"], metadata["name"]), raw)

    def list(self, *objects: Object) -> None:
        listing = self.policies.listing()
        for raw in objects:
            listing.take((raw["metadata"]["namespace"], raw["metadata"]["name"]), raw)
        whole(listing.finish())

    async def until(self, holds: Callable[[], object]) -> float:
        """Let the store work until it holds; returns how long that took."""
        began = self.now
        for _ in range(NEVER):
            if holds():
                return self.now - began
            await asyncio.sleep(0)
        raise AssertionError("it never holds")

    def serves(self, name: str, generation: int) -> bool:
        return self.policies.serves(f"{name}-uid", generation)

    def waits(self, namespace: str, endpoint: str = "crm-api") -> float | None:
        since = self.policies.waiting.since(namespace, endpoint)
        return None if since is None else self.now - since


@asynccontextmanager
async def running(world: World, *objects: Object) -> AsyncIterator[None]:
    task = asyncio.create_task(world.policies.run())
    world.list(*objects)
    await world.until(lambda: world.policies.settled)
    yield
    assert not task.done(), task.exception()
    task.cancel()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    # Whoever asks meanwhile comes after each step.
    monkeypatch.setattr("bailiwick_policystore.slices.SLICE_SECONDS", 0.0)
    return World(monkeypatch)


async def test_an_endpoint_waits_from_when_its_change_was_heard_and_no_other_does(world: World) -> None:
    async with running(world, world.made("crm", "a", 1), world.made("crm", "b", 1, endpoint="other")):
        assert world.waits("crm") is None
        world.tell(world.made("crm", "a", 2, seconds=5))
        await world.until(lambda: world.now > 3)
        waits = world.waits("crm")
        assert waits is not None
        assert waits > OUTDATED_SECONDS
        assert (world.waits("crm", "other"), world.waits("hr")) == (None, None)
        assert world.policies.waiting.outdated(world.now) == 1
        # What is decided by is still what was before.
        assert world.serves("a", 1)
        await world.until(lambda: world.serves("a", 2))
        await world.until(lambda: world.policies.settled)
        assert world.waits("crm") is None
        assert not world.policies.waiting


async def test_a_policy_that_changes_faster_than_it_compiles_gets_on_and_waits_since_its_first_change(
    world: World,
) -> None:
    async with running(world, world.made("crm", "a", 1)):
        generation, in_force = 1, []
        for _ in range(24):
            generation += 1
            world.tell(world.made("crm", "a", generation, seconds=3))
            ends = world.now + 0.5
            await world.until(lambda: world.now > ends)  # noqa: B023 - awaited at once
            in_force.append(next(one for one in range(generation, 0, -1) if world.serves("a", one)))
            waits = world.waits("crm")
            # Never longer than what is compiled was waiting for, and never as if the first change were the newest.
            assert waits is not None
            assert generation == 2 or 0.5 <= waits <= 6.5
        # Each that was begun came into force, and then the newest that there was.
        assert sorted(set(in_force)) == [1, 2, 8, 14]
        assert [one for _, one in world.compiling[:5]] == [1, 2, 8, 14, 20]


async def test_another_namespaces_change_waits_for_a_turn_and_not_for_what_a_greedy_one_has(world: World) -> None:
    greedy = [world.made("greedy", f"g{number}", 1, endpoint=f"e{number}") for number in range(10)]
    async with running(world, world.made("crm", "a", 1), *greedy):
        for number in range(10):
            world.tell(world.made("greedy", f"g{number}", 2, seconds=10, endpoint=f"e{number}"))
        await world.until(lambda: world.now > 1)
        took = []
        for generation in range(2, 40):
            world.tell(world.made("crm", "a", generation))
            took.append(await world.until(lambda: world.serves("a", generation)))  # noqa: B023 - awaited at once
        # A step of the other's, and what it overran is made up by turns that it misses.
        assert max(took) < 3 * STEP


async def test_a_deletion_ends_the_compiling_of_what_is_gone(world: World) -> None:
    async with running(world, world.made("crm", "a", 1)):
        gone = world.made("crm", "a", 2, seconds=100)
        world.tell(gone)
        await world.until(lambda: world.now > 1)
        world.tell(gone, "DELETED")
        took = await world.until(lambda: world.policies.settled)
        assert took < 5 * STEP
        assert world.policies.snapshot is not None
        assert world.policies.snapshot.endpoints == {}


@pytest.mark.parametrize(
    ("endpoint", "concerned"),
    [("other", [("crm", "crm-api"), ("crm", "other")]), (7, [("crm", "crm-api"), ("crm", "other"), ("crm", "any")])],
    ids=["from one endpoint to another", "to one that cannot be read"],
)
async def test_a_change_concerns_where_it_was_and_where_it_will_be(
    world: World, endpoint: object, concerned: list[tuple[str, str]]
) -> None:
    async with running(world, world.made("crm", "a", 1), world.made("hr", "b", 1)):
        # As only a re-created one can, or one that the schema let in.
        moved = changed(world.made("crm", "a", 1, seconds=5, endpoint=endpoint), "metadata.uid", "another")
        world.tell(moved)
        await world.until(lambda: world.now > 3)
        places = [(space, name) for space in ("crm", "hr") for name in ("crm-api", "other", "any")]
        assert [place for place in places if world.waits(*place) is not None] == concerned
        await world.until(lambda: world.policies.settled)
        assert all(world.waits(*place) is None for place in places)


async def test_before_the_first_list_is_compiled_nobody_is_answered_and_after_it_nobody_waits(world: World) -> None:
    world.policies = PolicyController(Budget(policies=2), clock=world.clock)
    task = asyncio.create_task(world.policies.run())
    # The third is compiled after the list: the namespace asks for more than it may have, and the first is the newest.
    made = [world.made("crm", name, 1, seconds=5) for name in "abc"]
    for raw, created in zip(made, "312", strict=True):
        raw["metadata"]["creationTimestamp"] = created
    world.list(*made)
    world.tell(world.made("hr", "d", 1, seconds=1))
    while world.policies.snapshot is None:
        assert not world.policies.settled
        await asyncio.sleep(0)
    assert world.now > 5
    assert [world.serves(name, 1) for name in "abc"] == [True] * 3
    # What was heard meanwhile counts from the moment in which there is somebody to be answered.
    assert all((world.waits(space) or 0.0) < 0.1 for space in ("crm", "hr"))
    await world.until(lambda: world.policies.settled)
    task.cancel()


async def test_what_a_list_shows_to_have_changed_waits_from_then_on_each_endpoint_by_itself(world: World) -> None:
    first = [world.made(f"team-{number}", "p", 1) for number in range(5)]
    async with running(world, *first):
        world.list(*(world.made(f"team-{number}", "p", 2, seconds=number + 1) for number in range(5)))
        await world.until(lambda: world.now > 5)
        assert world.policies.waiting.outdated(world.now) == 5
        done: list[int] = []
        while not world.policies.settled:
            waiting = [number for number in range(5) if world.waits(f"team-{number}") is not None]
            if not done or done[-1] != len(waiting):
                done.append(len(waiting))
            await asyncio.sleep(0)
        # They come into force one by one, and not all at the end.
        assert len(done) > 2


AUDIT: Final[Object] = {"mode": "Audit", "replaces": "a"}


@pytest.mark.parametrize(
    ("before", "after", "waits"),
    [
        (None, AUDIT, False),
        (AUDIT, AUDIT, False),
        ({}, AUDIT, True),
        (AUDIT, {}, True),
        (None, {"mode": "Audit"}, True),
        (None, {"replaces": "a"}, True),
    ],
    ids=["a new one", "another one", "was enforced", "is enforced now", "in Audit mode alone", "in no Audit mode"],
)
async def test_nobody_is_denied_while_a_candidate_waits(
    world: World, before: Object | None, after: Object, waits: bool
) -> None:
    first = [] if before is None else [world.made("crm", "next", 1, **before)]
    async with running(world, world.made("crm", "a", 1), *first):
        world.tell(world.made("crm", "next", 2, seconds=5, **after))
        await world.until(lambda: world.now > 3)
        assert (world.waits("crm") is not None) is waits
        await world.until(lambda: world.policies.settled)
        assert (world.serves("next", 2), world.waits("crm")) == (True, None)


async def test_nobody_is_denied_while_a_candidate_goes(world: World) -> None:
    made = world.made("crm", "next", 1, **AUDIT)
    async with running(world, world.made("crm", "a", 1), made):
        world.tell(made, "DELETED")
        assert world.waits("crm") is None
        await world.until(lambda: world.policies.settled)
        assert not world.policies.waiting


async def test_what_was_enforced_a_moment_ago_is_waited_for_though_it_is_a_candidate_now(world: World) -> None:
    async with running(world, world.made("crm", "a", 1)):
        world.tell(world.made("crm", "next", 1, seconds=5))
        world.tell(world.made("crm", "next", 2, seconds=5, **AUDIT))
        await world.until(lambda: world.now > 3)
        assert world.waits("crm") is not None
        await world.until(lambda: world.policies.settled)
        assert not world.policies.waiting


places: Final = st.sampled_from([("crm", "a"), ("crm", "b"), ("crm", None), EVERYWHERE])
keys: Final = st.sampled_from([("crm", "p"), ("crm", "q")])
heard: Final = st.tuples(st.sampled_from(["set", "drop"]), keys, st.sets(places, min_size=1))


@given(st.lists(heard, max_size=40))
def test_a_place_waits_since_its_oldest_change(moves: list[tuple[str, Key, set[Place]]]) -> None:
    waiting, known = ChangeAges(), dict[tuple[Place, Key], float]()
    for now, (what, key, at) in enumerate(moves):
        if what == "set":
            waiting.set(key, at, float(now))
            for place in at:
                known.setdefault((place, key), float(now))
        else:
            waiting.drop(key, at)
            for place in at:
                known.pop((place, key), None)
        assert bool(waiting) is bool(known)
        assert waiting.oldest == min(known.values(), default=None)
        for endpoint in ("a", "b", "c"):
            concerned = {("crm", endpoint), ("crm", None), EVERYWHERE}
            found: list[Any] = [since for (place, _), since in known.items() if place in concerned]
            assert waiting.since("crm", endpoint) == min(found, default=None)
