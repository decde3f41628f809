"""A denied call is counted soon after its answer, whatever becomes of those of other objects.

The oracle is the API server's own store, looked at after the time that is promised. The time passes only while all
wait.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeVar

from hypothesis import example, given, settings, strategies as st

from bailiwick_engine.history.needs import HistoryNeeds, ObjectNeed
from bailiwick_engine.history.state import parse_state
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.history.denialqueue import (
    MOST_OF_NAMESPACE,
    MOST_WAITING,
    DenialLine,
    DenialQueue,
    WaitingDenials,
)
from bailiwick_webhook.history.ports import DeniedCall
from support.histories import history, need
from support.keptobjects import KeptObjects
from support.virtualtime import virtual_time_of_loop
from unit.webhook.history.world import CountingReplica

STRAYS: Final = history("strays")
SOON: Final = 2.0
FLOODED: Final = ("crm", "n1", "n2", "n3", "n4")
KEPT, CALM = 0, "calm"
"""An object of the first flooded namespace that is there, and a namespace that nothing is refused of."""
_Result = TypeVar("_Result")


def object_need(number: int) -> ObjectNeed:
    return ObjectNeed(f"h-{number:040x}", f"sha256:{number:064x}", (STRAYS,), need(STRAYS).adds)


def denied(namespace: str, number: int) -> DeniedCall:
    return DeniedCall(namespace, "crm-api", HistoryNeeds((object_need(number),)), (STRAYS,))


def count_of(api: KeptObjects, namespace: str, number: int) -> int:
    stored = api.objects.get((namespace, object_need(number).name))
    state = None if stored is None else parse_state(stored["spec"])
    return 0 if state is None else sum(slot.count for line in state.lines.values() for slot in line.slots)


def outcome(run: Coroutine[Any, Any, _Result]) -> _Result:
    return asyncio.run(run)


@settings(max_examples=60, deadline=None)
@given(objects=st.integers(1, 60), later=st.floats(0, 30), seconds=st.floats(0.01, 2))
def test_no_namespace_waits_for_the_slow_objects_of_another(objects: int, later: float, seconds: float) -> None:
    async def run() -> int:
        api = KeptObjects(seconds=seconds)
        replica = CountingReplica(api, virtual_time_of_loop())
        for number in range(objects):
            replica.keeper.count_denied(denied("crm", number))
        await asyncio.sleep(later)
        replica.keeper.count_denied(denied("small", 0))
        # It is read, then written.
        await asyncio.sleep(2 * seconds + 0.1)
        return count_of(api, "small", 0)

    assert outcome(run()) == 1


@settings(max_examples=60, deadline=None)
@given(
    objects=st.integers(1, 60),
    later=st.floats(0, 3),
    seconds=st.floats(0.001, 0.04),
    more=st.booleans(),
)
def test_what_was_denied_before_a_clean_stop_is_counted_once(
    objects: int, later: float, seconds: float, more: bool
) -> None:
    async def run() -> tuple[list[int], int]:
        api = KeptObjects(seconds=seconds)
        replica = CountingReplica(api, virtual_time_of_loop())
        for number in range(objects):
            replica.keeper.count_denied(denied("crm", number))
        await asyncio.sleep(later)
        if more:
            replica.keeper.count_denied(denied("crm", 0))
        await replica.keeper.close()
        return [count_of(api, "crm", number) for number in range(objects)], sum(one.calls for one in replica.events)

    counts, recorded = outcome(run())
    assert counts == [1 + more] + [1] * (objects - 1)
    assert recorded == objects + more


@dataclass(frozen=True)
class Flood:
    """Denied calls of so many keys of a namespace, again and again, of which the API server has this to say.

    `quota`, `gone`, `conflict`: where they are created. `unreadable`: what stands there is no state. `changed`: what is
    replaced is refused. `ration`: nothing, but there are no new keys for denied calls.
    """

    namespace: str
    kind: str
    keys: int
    interval: float


KEYS: Final = {need.name: need.key for need in map(object_need, range(2 * MOST_OF_NAMESPACE))}


class RefusingObjects(KeptObjects):
    """`kinds`: by namespace, what becomes of all objects but the one that is kept."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        super().__init__()
        self.kinds = kinds

    def _kind(self, namespace: str, name: str) -> str:
        return "" if name == object_need(KEPT).name else self.kinds.get(namespace, "")

    async def read_history(self, namespace: str, name: str) -> ApiResponse:
        kind = self._kind(namespace, name)
        if kind in {"unreadable", "changed"} and (namespace, name) not in self.objects:
            key = KEYS[name]
            labels = {"bailiwick.dev/endpoint": "crm-api", "bailiwick.dev/keep-until": "2026-11-30T16"}
            spec = {"endpoint": "crm-api", "key": key, "seq": 1, "clock": 1, "lines": {}, "recent": ""}
            metadata = {"namespace": namespace, "name": name, "labels": labels}
            self._put(
                (namespace, name),
                {"metadata": metadata, "spec": spec | ({"recent": 7} if kind == "unreadable" else {})},
            )
        return await super().read_history(namespace, name)

    async def create_history(self, manifest: Mapping[str, Any]) -> ApiResponse:
        return await self._refused("POST", manifest) or await super().create_history(manifest)

    async def replace_history(self, manifest: Mapping[str, Any]) -> ApiResponse:
        return await self._refused("PUT", manifest) or await super().replace_history(manifest)

    async def _refused(self, method: str, manifest: Mapping[str, Any]) -> ApiResponse | None:
        kind = self._kind(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        refusals = {"POST": {"quota": 403, "gone": 404, "conflict": 409}, "PUT": {"changed": 403}}
        status = refusals[method].get(kind)
        if status is None:
            return None
        await self._begin(method)
        return await self._end(method, ApiResponse(status, {"message": f"no: {kind}"}))


def floods() -> st.SearchStrategy[Sequence[Flood]]:
    flood = st.builds(
        Flood,
        st.sampled_from(FLOODED),
        st.sampled_from(["quota", "gone", "conflict", "unreadable", "changed", "ration"]),
        st.integers(1, 2 * MOST_OF_NAMESPACE - 1),
        st.sampled_from([1.0, 100.0]),
    )
    return st.lists(flood, max_size=5, unique_by=lambda one: one.namespace)


def all_of(kind: str, namespaces: Sequence[str] = FLOODED) -> Sequence[Flood]:
    return [Flood(namespace, kind, 300, 3.0) for namespace in namespaces]


@settings(max_examples=8, deadline=None)
@given(flooding=floods(), later=st.floats(0, 5))
@example(flooding=all_of("quota"), later=5.0)
@example(flooding=all_of("ration"), later=5.0)
@example(flooding=all_of("unreadable", ("crm",)), later=5.0)
@example(flooding=all_of("gone", ("crm",)), later=5.0)
@example(flooding=all_of("conflict", ("crm",)), later=5.0)
def test_whatever_is_refused_of_some_keys_those_of_others_are_counted_soon(
    flooding: Sequence[Flood], later: float
) -> None:
    async def run() -> tuple[int, int]:
        api = RefusingObjects({flood.namespace: flood.kind for flood in flooding})
        replica = CountingReplica(api, virtual_time_of_loop())
        replica.keeper.count_denied(denied("crm", KEPT))
        await asyncio.sleep(SOON)

        async def flow(flood: Flood) -> None:
            calls = [denied(flood.namespace, number) for number in range(1, flood.keys + 1)]
            while True:
                for call in calls:
                    replica.keeper.count_denied(call)
                await asyncio.sleep(flood.interval)

        async def drain(namespace: str) -> None:
            while True:
                while replica.store.rations.take_new_key(namespace):
                    pass
                await asyncio.sleep(0.05)

        flows = [asyncio.create_task(flow(flood)) for flood in flooding]
        flows += [asyncio.create_task(drain(flood.namespace)) for flood in flooding if flood.kind == "ration"]
        await asyncio.sleep(later)
        replica.keeper.count_denied(denied("crm", KEPT))
        replica.keeper.count_denied(denied(CALM, 1))
        await asyncio.sleep(SOON)
        return count_of(api, "crm", KEPT), count_of(api, CALM, 1)

    assert outcome(run()) == (2, 1)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), namespaces=st.integers(1, 30), keys=st.integers(1, 600))
def test_each_denied_call_waits_or_is_taken_or_is_dropped(seed: int, namespaces: int, keys: int) -> None:
    rng, queue, now = Random(seed), DenialQueue(), 0.0  # noqa: S311 - it hides nothing
    objects = [(f"n{one}", f"{two}") for one in range(namespaces) for two in range(keys)]
    made = gone = 0
    for step in range(4_000):
        now += rng.random() / 10
        key = rng.choice(objects[: rng.choice([1, 50, len(objects)])])
        made += 1
        waiting = WaitingDenials.of_one("crm-api", object_need(1), (STRAYS,))
        gone += queue.add(key, waiting, rng.choice(list(DenialLine)))
        if rng.random() < 0.3:
            found = queue.take(key[0], now, list(DenialLine), lambda: True)
            if found is not None:
                taken = key[0], found[1]
                queue.rest(taken, now + rng.random())
                if rng.random() < 0.5:
                    queue.put_back(taken, found[2], rng.choice(list(DenialLine)))
                else:
                    gone += found[2].calls
        assert len(queue) <= MOST_WAITING + 1
        if step % 500 == 0:
            assert queue.calls + gone == made
    assert queue.calls + gone == made
