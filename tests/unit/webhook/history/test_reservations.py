"""A call that is counted in several objects: in all of them or in none."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.history.changes import settle
from bailiwick_engine.history.commit import ClockBounds
from bailiwick_engine.history.needs import Addition, ObjectNeed
from bailiwick_engine.history.state import MAX_TOTAL, KeyState, parse_state
from bailiwick_engine.historynumbers import HistoryReadings
from bailiwick_engine.policy.histories import Amount, CompiledHistory
from bailiwick_webhook.metrics.table import HistoryCause
from support.histories import entry_id, history, need
from support.keptobjects import KeptObjects, lost
from support.virtualtime import VirtualTime, virtual_time
from unit.webhook.history.world import CountingReplica, at_most

__all__ = ["virtual_time"]


def of_key(digit: str, *names: str, counts: bool = True) -> ObjectNeed:
    """Return the need of another key."""
    histories = tuple(history(name) for name in names)
    found = need(*histories) if counts else need(reads=histories)
    return replace(found, name="h-" + digit * 40, key="sha256:" + digit * 64)


AGENT: Final = of_key("a", "agents")
ALL: Final = of_key("b", "totals")
BOTH: Final = (AGENT, ALL)


@pytest.fixture
def api() -> KeptObjects:
    return KeptObjects()


def counts(api: KeptObjects) -> Mapping[str, int]:
    """Return how much stands in each object."""
    found = {}
    for (_, name), stored in api.objects.items():
        state = parse_state(stored["spec"])
        assert state is not None
        found[name] = sum(slot.count for line in state.lines.values() for slot in line.slots)
    return found


async def test_a_call_is_counted_in_all_of_its_objects(api: KeptObjects, virtual_time: VirtualTime) -> None:
    replica = CountingReplica(api, virtual_time)
    answer = await replica.reserve(1, at_most(5, "agents", "totals"), *BOTH)
    assert answer.stands
    assert answer.counted == {AGENT.name, ALL.name}
    assert {name: one.count for name, one in answer.readings.numbers.items()} == {"agents": 1, "totals": 1}
    assert counts(api) == {AGENT.name: 1, ALL.name: 1}


async def test_what_the_second_object_denies_is_taken_out_of_the_first(
    api: KeptObjects, virtual_time: VirtualTime
) -> None:
    here, there = (CountingReplica(api, virtual_time) for _ in range(2))
    await here.reserve(1, at_most(5, "agents", "totals"), *BOTH)
    # Here it is not known yet that the other object is full.
    await asyncio.gather(*(there.reserve(number, at_most(5, "totals"), ALL) for number in range(2, 6)))
    denied = await here.reserve(9, at_most(5, "agents", "totals"), *BOTH)
    assert not denied.stands
    assert denied.cause is None
    assert counts(api) == {AGENT.name: 1, ALL.name: 5}


@pytest.mark.parametrize("replicas", [1, 3])
async def test_two_limits_hold_together_over_replicas(
    api: KeptObjects, virtual_time: VirtualTime, replicas: int
) -> None:
    points = [CountingReplica(api, virtual_time) for _ in range(replicas)]
    calls = [
        points[number % replicas].reserve(number, at_most(5, "agents", "totals"), of_key(agent, "agents"), ALL)
        for number, agent in enumerate("acd" * 20)
    ]
    answers = await asyncio.gather(*calls)
    allowed = sum(answer.stands for answer in answers)
    assert allowed <= 5
    assert counts(api)[ALL.name] == allowed
    assert sum(count for name, count in counts(api).items() if name != ALL.name) == allowed


async def test_calls_that_read_what_the_other_adds_never_both_pass(api: KeptObjects, virtual_time: VirtualTime) -> None:
    def none_of(other: str) -> object:
        return lambda readings: other in readings.numbers and readings.numbers[other].count == 0

    here, there = (CountingReplica(api, virtual_time) for _ in range(2))
    reading_all, reading_agents = of_key("b", "totals", counts=False), of_key("a", "agents", counts=False)
    first, second = await asyncio.gather(
        here.reserve(1, none_of("totals"), AGENT, reading_all),  # type: ignore[arg-type]
        there.reserve(2, none_of("agents"), reading_agents, ALL),  # type: ignore[arg-type]
    )
    assert not (first.stands and second.stands)


def success_of(entry: str, counted: CompiledHistory, state: KeyState, moment: ClockBounds) -> KeyState:
    """Return a state with the success of a call."""
    return settle(state, entry, "succeeded", (counted,), moment)[0]


@pytest.mark.parametrize("digit", ["0", "b"], ids=["before the object that counts", "behind it"])
async def test_a_sum_that_became_unknown_lets_nothing_through_by_what_it_was(
    api: KeptObjects, virtual_time: VirtualTime, digit: str
) -> None:
    def at_most_ten(readings: HistoryReadings) -> bool:
        paid = readings.numbers.get("paid")
        return paid is not None and paid.total is not None and paid.total <= 10

    here, there = (CountingReplica(api, virtual_time) for _ in range(2))
    paid = history("paid", amount=Amount(("context", "amount"), 0), what="Succeeded")
    reading = replace(of_key(digit), reads=(paid,))
    awaiting = replace(reading, adds=(Addition(paid, MAX_TOTAL),), outcome_within=paid.outcome_within)
    for number in range(2):
        assert (await there.reserve(number, at_most(9, "agents"), AGENT, awaiting)).stands
    assert (await here.reserve(9, at_most_ten, AGENT, reading)).stands
    for number in range(2):
        await there.commits.change(
            ("crm", reading.name),
            KeyState("crm-api", reading.key),
            partial(success_of, entry_id(number), paid),
            (paid,),
        )
    # Here it is not known yet how much was paid, and there is no number for as much as that.
    assert not (await here.reserve(10, at_most_ten, AGENT, reading)).stands
    assert counts(api)[AGENT.name] == 3


async def test_a_lost_answer_of_the_second_object_takes_the_call_out_of_the_first(
    api: KeptObjects, virtual_time: VirtualTime
) -> None:
    replica = CountingReplica(api, virtual_time)
    await replica.reserve(1, at_most(9, "agents"), AGENT)
    api.after = lambda method: lost() if method == "POST" else None
    denied = await replica.reserve(2, at_most(9, "agents", "totals"), *BOTH)
    assert denied.cause is HistoryCause.API_SERVER
    api.after = lambda _: None
    await asyncio.sleep(1)
    assert counts(api)[AGENT.name] == 1


async def test_only_reading_several_objects_writes_nothing(api: KeptObjects, virtual_time: VirtualTime) -> None:
    replica = CountingReplica(api, virtual_time)
    reads = (of_key("a", "agents", counts=False), of_key("b", "totals", counts=False))
    answer = await replica.reserve(1, at_most(0, "agents", "totals"), *reads)
    assert {name: one.count for name, one in answer.readings.numbers.items()} == {"agents": 0, "totals": 0}
    assert api.requests == ["GET", "GET"]


async def test_an_api_server_that_hangs_denies_in_time(api: KeptObjects, virtual_time: VirtualTime) -> None:
    replica = CountingReplica(api, virtual_time)
    api.seconds = 60.0
    began = virtual_time.now
    denied = await replica.reserve(1)
    assert denied.cause is HistoryCause.LATE
    assert virtual_time.now - began < 5
