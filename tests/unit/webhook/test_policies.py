"""The store of policies: what is news, and that no policy keeps another from being served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bailiwick_engine.compile import compile_object
from bailiwick_webhook.store import policies as store
from bailiwick_webhook.store.policies import Policies
from support.objects import ENDPOINT, Object, changed, rule, settings
from unit.engine.cases import NAMESPACE, stored


def named(name: str, generation: int = 1, **spec: object) -> Object:
    raw = stored(name, rule("read"), **spec)
    raw["metadata"] |= {"resourceVersion": "1", "generation": generation}
    return raw


def key(name: str) -> tuple[str, str]:
    return (NAMESPACE, name)


@asynccontextmanager
async def running(policies: Policies) -> AsyncIterator[None]:
    task = asyncio.create_task(policies.run())
    yield
    assert not task.done(), task.exception()
    task.cancel()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def rules(policies: Policies) -> set[str]:
    assert policies.snapshot is not None
    found = policies.snapshot.endpoints.get((NAMESPACE, ENDPOINT))
    return set() if found is None else {made.policy.name for made in found.exact.get("customers.list", ())}


async def test_a_list_is_everything_and_events_change_it() -> None:
    policies = Policies()
    async with running(policies):
        policies.replace({key("a"): named("a"), key("b"): named("b")})
        await settle()
        assert rules(policies) == {"a", "b"}
        policies.apply("DELETED", key("a"), named("a"))
        policies.apply("ADDED", key("c"), named("c"))
        await settle()
        assert rules(policies) == {"b", "c"}
        policies.replace({key("c"): named("c")})
        await settle()
        assert rules(policies) == {"c"}


async def test_a_status_is_no_news_and_a_new_generation_and_a_new_object_are() -> None:
    policies = Policies()
    async with running(policies):
        policies.replace({key("a"): named("a")})
        await settle()
        first = policies.snapshot
        policies.apply("MODIFIED", key("a"), named("a") | {"status": {"digest": "x"}})
        await settle()
        assert policies.snapshot is first
        policies.apply("MODIFIED", key("a"), named("a", 2))
        await settle()
        second = policies.snapshot
        assert second is not first
        policies.apply("MODIFIED", key("a"), changed(named("a", 2), "metadata.uid", "another"))
        await settle()
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
    policies = Policies()
    other = changed(named("other"), "metadata.namespace", "other")
    async with running(policies):
        policies.replace({key("a"): named("a", endpointSettings=settings()), ("other", "other"): other})
        policies.apply("ADDED", key("poison"), poison)
        await settle()
        assert policies.snapshot is not None
        assert set(policies.snapshot.unreadable) == {NAMESPACE}
        assert ("other", ENDPOINT) in policies.snapshot.endpoints
        policies.apply("MODIFIED", key("poison"), poison)
        policies.apply("DELETED", key("poison"), poison)
        await settle()
        assert (set(policies.snapshot.unreadable), rules(policies)) == (set(), {"a"})


async def test_a_defect_of_the_compiler_denies_the_namespace_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def defective(raw: Object) -> Any:  # noqa: ANN401 - as the compiler
        if raw["metadata"]["name"] == "poison":
            raise RecursionError
        return compile_object(raw)

    monkeypatch.setattr(store, "compile_object", defective)
    policies = Policies()
    async with running(policies):
        policies.replace({key("poison"): named("poison"), key("a"): named("a")})
        await settle()
        policies.apply("ADDED", key("b"), named("b"))
        await settle()
        assert policies.snapshot is not None
        assert (set(policies.snapshot.unreadable), rules(policies)) == ({NAMESPACE}, {"a", "b"})
