"""A denied call is counted soon after its answer, whatever becomes of those of other objects.

The oracle is the API server's own store, looked at after the time that is promised. The time passes only while all
wait.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from hypothesis import given, settings, strategies as st

from bailiwick_engine.history.needs import HistoryNeeds, ObjectNeed
from bailiwick_engine.history.state import parse_state
from bailiwick_webhook.history.ports import DeniedCall
from support.histories import history, need
from support.keptobjects import KeptObjects
from support.virtualtime import virtual_time_of_loop
from unit.webhook.history.world import CountingReplica

STRAYS: Final = history("strays")
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
