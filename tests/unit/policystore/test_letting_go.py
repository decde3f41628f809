"""What no snapshot holds any longer is freed in steps: all of it at once would keep the loop from everybody else."""

import asyncio
import weakref
from typing import Any, Final

from bailiwick_engine.cel.data import DataObject
from bailiwick_engine.steps import whole
from bailiwick_policystore.controller import PolicyController
from bailiwick_policystore.endpoints import PolicyIndex

COUNT: Final = 20


class Value(dict[str, object]):
    """What an object holds, which can be watched going."""


def test_of_data_that_is_replaced_one_object_goes_a_step() -> None:
    index = PolicyIndex()
    watched = []
    for number in range(COUNT):
        value = Value()
        watched.append(weakref.ref(value))
        index.put_data(("crm", f"d{number}"), DataObject(f"d{number}", f"u{number}", 1, value))
        del value
    index.publish("1")
    assert not index.lets_go
    for number in range(COUNT):
        index.put_data(("crm", f"d{number}"), DataObject(f"d{number}", f"u{number}", 2, Value()))
    index.publish("2")
    left = [sum(one() is not None for one in watched) for _ in index.let_go()]
    assert left == [*reversed(range(COUNT))]
    assert not index.lets_go


def test_what_is_taken_out_is_let_go_too() -> None:
    index = PolicyIndex()
    index.put_data(("crm", "d"), DataObject("d", "u", 1, Value()))
    index.publish("1")
    assert index.serves("u", 1)
    index.put_data(("crm", "d"), None)
    index.publish("2")
    assert index.lets_go
    whole(index.let_go())
    assert not index.serves("u", 1)


def _stored(generation: int) -> dict[str, Any]:
    metadata = {"namespace": "crm", "name": "d", "uid": "u", "generation": generation, "resourceVersion": "1"}
    return {"metadata": metadata, "spec": {"data": {f"k{number}": [f"v{number}"] for number in range(3_000)}}}


async def test_what_waits_to_be_freed_counts_as_data_until_it_is() -> None:
    noted: list[int] = []

    def tend() -> None:
        if policies._index.lets_go:
            noted.append(policies.data.blocks)

    async def served(generation: int) -> None:
        policies.data.apply("MODIFIED", ("crm", "d"), _stored(generation))
        async with asyncio.timeout(30):
            # It is told a step after the last of it is freed.
            while not policies.serves("u", generation) or policies._index.lets_go or policies.data._leaving:  # noqa: ASYNC110 - as `main` waits
                await asyncio.sleep(0)

    policies = PolicyController(tend=tend)
    working = asyncio.create_task(policies.run())
    whole(policies.listing().finish())
    await served(1)
    one = policies.data.blocks
    assert not noted
    await served(2)
    working.cancel()
    # Else the collector takes it for what everything else has grown by, and walks over everything for that.
    assert min(noted) > 1.5 * one
    assert policies.data.blocks < 1.5 * one
