"""The store of policies: what is news, and that no policy keeps another from being served."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bailiwick_engine.compile.policies import compile_object, compile_steps
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.steps import Steps, whole
from bailiwick_policystore import compiler as store
from bailiwick_policystore.controller import PolicyController
from bailiwick_policystore.endpoints import Policy, PolicyIndex
from bailiwick_policystore.rotation import FairRotation
from support.objects import ENDPOINT, Object, changed, rule, settings
from unit.engine.cases import NAMESPACE, stored


def named(name: str, generation: int = 1, **spec: object) -> Object:
    raw = stored(name, rule("read"), **spec)
    raw["metadata"] |= {"resourceVersion": "1", "generation": generation}
    return raw


def key(name: str) -> tuple[str, str]:
    return (NAMESPACE, name)


@asynccontextmanager
async def running(policies: PolicyController) -> AsyncIterator[None]:
    task = asyncio.create_task(policies.run())
    yield
    assert not task.done(), task.exception()
    task.cancel()


def listed(policies: PolicyController, objects: dict[tuple[str, str], Object]) -> None:
    listing = policies.listing()
    for key, found in objects.items():
        listing.take(key, found)
    whole(listing.finish())


async def settle(policies: PolicyController) -> None:
    """Wait until all that was heard of is in force, however often the work was interrupted, and a few turns more."""
    while not policies.settled:  # noqa: ASYNC110 - as `main` waits
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)


def rules(policies: PolicyController) -> set[str]:
    assert policies.snapshot is not None
    found = policies.snapshot.endpoints.get((NAMESPACE, ENDPOINT))
    return set() if found is None else {made.policy.name for made in found.exact.get("customers.list", ())}


async def test_a_list_is_everything_and_events_change_it() -> None:
    policies = PolicyController()
    async with running(policies):
        listed(policies, {key("a"): named("a"), key("b"): named("b")})
        await settle(policies)
        assert rules(policies) == {"a", "b"}
        policies.apply("DELETED", key("a"), named("a"))
        policies.apply("ADDED", key("c"), named("c"))
        await settle(policies)
        assert rules(policies) == {"b", "c"}
        listed(policies, {key("c"): named("c")})
        await settle(policies)
        assert rules(policies) == {"c"}


async def test_a_status_is_no_news_and_a_new_generation_and_a_new_object_are() -> None:
    policies = PolicyController()
    async with running(policies):
        listed(policies, {key("a"): named("a")})
        await settle(policies)
        first = policies.snapshot
        policies.apply("MODIFIED", key("a"), named("a") | {"status": {"digest": "x"}})
        await settle(policies)
        assert policies.snapshot is first
        policies.apply("MODIFIED", key("a"), named("a", 2))
        await settle(policies)
        second = policies.snapshot
        assert second is not first
        policies.apply("MODIFIED", key("a"), changed(named("a", 2), "metadata.uid", "another"))
        await settle(policies)
        assert policies.snapshot is not second


@pytest.mark.parametrize(
    "poison",
    [
        {"metadata": {"name": "poison", "namespace": NAMESPACE}},
        {"metadata": {"name": "poison", "namespace": NAMESPACE, "uid": None, "generation": "many"}},
        {"metadata": {"name": "poison", "namespace": NAMESPACE, "uid": "u", "generation": 1}, "spec": []},
        {"metadata": {"name": "poison", "namespace": NAMESPACE, "uid": "u", "generation": 1}, "spec": {"endpoint": 7}},
    ],
    ids=["no uid", "no generation", "no spec", "no endpoint"],
)
async def test_an_object_that_nobody_foresaw_denies_its_namespace_and_no_other(poison: dict[str, Any]) -> None:
    policies = PolicyController()
    other = changed(named("other"), "metadata.namespace", "other")
    async with running(policies):
        listed(policies, {key("a"): named("a", endpointSettings=settings()), ("other", "other"): other})
        policies.apply("ADDED", key("poison"), poison)
        await settle(policies)
        assert policies.snapshot is not None
        assert set(policies.snapshot.unreadable) == {NAMESPACE}
        assert ("other", ENDPOINT) in policies.snapshot.endpoints
        policies.apply("MODIFIED", key("poison"), poison)
        policies.apply("DELETED", key("poison"), poison)
        await settle(policies)
        assert (set(policies.snapshot.unreadable), rules(policies)) == (set(), {"a"})


@pytest.mark.parametrize("carries", [False, True], ids=["rules alone", "carries the settings"])
async def test_a_defect_of_the_compiler_denies_the_policys_subjects_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, carries: bool
) -> None:
    def defective(raw: Object) -> Any:  # noqa: ANN401 - as the compiler
        if raw["metadata"]["name"] == "poison":
            raise RecursionError
        return compile_steps(raw)

    monkeypatch.setattr(store, "compile_steps", defective)
    policies = PolicyController()
    names = ("poison", "a") if carries else ("a", "poison")
    async with running(policies):
        carrier = named(names[0], endpointSettings=settings())
        listed(policies, {key(names[0]): carrier, key(names[1]): named(names[1])})
        await settle(policies)
        policies.apply("ADDED", key("b"), named("b"))
        await settle(policies)
        assert policies.snapshot is not None
        endpoint = policies.snapshot.endpoints[NAMESPACE, ENDPOINT]
        assert (policies.snapshot.unreadable, endpoint.denied_whole, rules(policies)) == ({}, None, {"a", "b"})
        assert {ref.name for ref in endpoint.broken.values()} == {"poison"}
        assert endpoint.settings is not None


@pytest.mark.parametrize(
    ("spec", "whole", "namespace"),
    [
        ({"endpoint": ENDPOINT}, True, False),
        ({"endpoint": 7}, False, True),
        (None, False, True),
        ({"endpoint": ENDPOINT, "mode": "Audit", "replaces": "a"}, False, False),
    ],
    ids=["the endpoint can be read", "it cannot", "nothing can", "a candidate, which denies nobody"],
)
async def test_where_even_reading_what_is_denied_fails_the_endpoint_or_the_namespace_is(
    monkeypatch: pytest.MonkeyPatch, spec: object, whole: bool, namespace: bool
) -> None:
    def defective(*_: object) -> Any:  # noqa: ANN401 - as both
        raise RecursionError

    policies = PolicyController()
    async with running(policies):
        listed(policies, {key("a"): named("a")})
        await settle(policies)
        monkeypatch.setattr(store, "compile_steps", defective)
        monkeypatch.setattr(store, "salvage", defective)
        policies.apply("ADDED", key("poison"), named("poison") | {"spec": spec})
        await settle(policies)
        assert policies.snapshot is not None
        assert (policies.snapshot.endpoints[NAMESPACE, ENDPOINT].denied_whole is not None) is whole
        assert bool(policies.snapshot.unreadable) is namespace


async def test_an_endpoint_that_cannot_be_built_is_denied_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    build = CompiledEndpoint.steps

    def defective(policies: Any, broken: Any) -> Steps[CompiledEndpoint]:  # noqa: ANN401 - as the original
        if any(policy.ref.name == "poison" for policy in policies):
            raise RecursionError
        return build(policies, broken)

    monkeypatch.setattr(CompiledEndpoint, "steps", defective)
    policies = PolicyController()
    async with running(policies):
        listed(policies, {key("a"): named("a"), key("poison"): named("poison", endpoint="other")})
        await settle(policies)
        assert policies.snapshot is not None
        found = policies.snapshot.endpoints
        assert (found[NAMESPACE, ENDPOINT].denied_whole, rules(policies)) == (None, {"a"})
        assert found[NAMESPACE, "other"].denied_whole is not None


async def test_what_is_served_is_what_the_snapshot_holds_sound_or_broken() -> None:
    policies = PolicyController()
    broken = named("b", rules=[rule("read", conditions=[{"name": "x", "expression": "((("}])])
    async with running(policies):
        listed(policies, {key("a"): named("a", 3), key("b"): broken})
        assert not policies.serves("a-uid", 3)
        assert not policies.settled
        await settle(policies)
        assert policies.settled
        assert policies.serves("a-uid", 3)
        assert policies.serves("b-uid", 1)
        assert not policies.serves("a-uid", 2)
        policies.apply("MODIFIED", key("a"), named("a", 4))
        policies.apply("DELETED", key("b"), broken)
        assert policies.serves("a-uid", 3)
        await settle(policies)
        assert [policies.serves("a-uid", generation) for generation in (3, 4)] == [False, True]
        assert not policies.serves("b-uid", 1)


def test_a_policy_that_came_and_went_between_two_snapshots_is_not_served() -> None:
    index = PolicyIndex()
    made = compile_object(named("a"))

    def put(*policies: Policy | None) -> Snapshot:
        for policy in policies:
            index.put(key("a"), policy)
        whole(index.build((NAMESPACE, ENDPOINT)))
        return index.publish("")

    assert put(made, None).endpoints == {}
    assert not index.serves("a-uid", 1)
    put(made, compile_object(named("a", 2)), made)
    assert index.serves("a-uid", 1)


async def test_a_change_builds_its_own_endpoint_anew_and_shares_every_other() -> None:
    policies = PolicyController()
    async with running(policies):
        listed(policies, {key(name): named(name, endpoint=f"api-{name}") for name in "abc"})
        await settle(policies)
        assert policies.snapshot is not None
        before = policies.snapshot
        kept = dict(before.endpoints)
        # It moves to another endpoint, as only a re-created one can.
        policies.apply("MODIFIED", key("a"), changed(named("a", endpoint="api-b"), "metadata.uid", "another"))
        await settle(policies)
        after = policies.snapshot
        assert (dict(before.endpoints), before.revision) == (kept, "1")
        assert set(after.endpoints) == {(NAMESPACE, "api-b"), (NAMESPACE, "api-c")}
        assert after.endpoints[NAMESPACE, "api-c"] is kept[NAMESPACE, "api-c"]
        assert len(after.endpoints[NAMESPACE, "api-b"].rules) == 2


async def test_a_policy_that_is_being_deleted_is_news_and_gives_nothing_any_more() -> None:
    policies = PolicyController()
    async with running(policies):
        listed(policies, {key("a"): named("a")})
        await settle(policies)
        # The API server counts the generation up when it marks an object that a finalizer holds.
        marked = changed(named("a", generation=2), "metadata.deletionTimestamp", "2026-11-25T12:00:00Z")
        policies.apply("MODIFIED", key("a"), marked)
        await settle(policies)
        assert policies.snapshot is not None
        endpoint = policies.snapshot.endpoints[NAMESPACE, ENDPOINT]
        assert [rule.suspended for rule in endpoint.rules] == [True]


async def test_whoever_asks_is_answered_between_two_expressions_of_one_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if every step took the whole of a turn.
    monkeypatch.setattr("bailiwick_policystore.slices.SLICE_SECONDS", 0.0)
    conditions = [{"name": f"c{number}", "expression": f"context.a == {number}"} for number in range(16)]
    policies, turns = PolicyController(), 0
    policies._queue._rotation = FairRotation(time.monotonic, 1e-9)
    async with running(policies):
        listed(policies, {})
        await settle(policies)
        policies.apply("ADDED", key("a"), _with(conditions))
        while not policies.settled:
            turns += 1
            await asyncio.sleep(0)
    assert turns > 16 * 8


def _with(conditions: list[dict[str, str]]) -> Object:
    raw = stored("a", *(rule(f"r{number}", conditions=conditions) for number in range(8)), endpointSettings=settings())
    raw["metadata"] |= {"resourceVersion": "1", "generation": 1}
    return raw


@pytest.mark.parametrize("first", [ENDPOINT, "other"])
def test_a_policy_that_moved_is_served_whichever_of_its_places_is_built_first(first: str) -> None:
    index = PolicyIndex()
    older, newer = compile_object(named("a")), compile_object(named("a", 2, endpoint="other"))
    index.put(key("a"), older)
    index.put(key("a"), newer)
    for place in sorted(((NAMESPACE, ENDPOINT), (NAMESPACE, "other")), key=lambda place: place[1] != first):
        whole(index.build(place))
        index.publish(place[1])
    assert [index.serves(older.ref.uid, generation) for generation in (1, 2)] == [False, True]


@pytest.mark.parametrize("builds_too", [False, True], ids=["builds nothing", "builds it too"])
def test_a_policy_that_leaves_a_place_while_that_is_built_allows_nothing_there(builds_too: bool) -> None:
    index = PolicyIndex()
    older, newer = compile_object(named("a")), compile_object(named("a", 2, endpoint="other"))
    stays = compile_object(named("b"))
    for made in (older, stays):
        index.put(key(made.ref.name), made)
    building = index.build((NAMESPACE, ENDPOINT))
    next(building)
    index.put(key("a"), newer)
    if builds_too:
        whole(index.build((NAMESPACE, ENDPOINT)))
    whole(building)
    whole(index.build((NAMESPACE, "other")))
    endpoints = index.publish("1").endpoints
    assert {
        name: [found.policy.name for found in endpoints[NAMESPACE, name].rules] for name in (ENDPOINT, "other")
    } == {
        ENDPOINT: ["b"],
        "other": ["a"],
    }
    assert [index.serves(older.ref.uid, generation) for generation in (1, 2)] == [False, True]
