"""Denied calls are counted in a moment: which wait, what is written, and what becomes of them in the end."""

import asyncio
from typing import Final

import pytest

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
from bailiwick_webhook.metrics.table import HistoryDenials
from support.histories import history, need
from support.keptobjects import KeptObjects, lost
from support.virtualtime import VirtualTime, virtual_time
from unit.webhook.history.world import EXPORTS, CountingReplica

__all__ = ["virtual_time"]

STRAYS: Final = history("strays")


def named(number: int) -> ObjectNeed:
    return ObjectNeed(f"h-{number:040x}", f"sha256:{number:064x}", (STRAYS,), need(STRAYS).adds)


def denied(*needs: ObjectNeed, namespace: str = "crm") -> DeniedCall:
    return DeniedCall(namespace, "crm-api", HistoryNeeds(needs or (need(STRAYS),)), (STRAYS,))


def total(api: KeptObjects) -> int:
    states = [parse_state(stored["spec"]) for stored in api.objects.values()]
    return sum(slot.count for state in states if state for line in state.lines.values() for slot in line.slots)


def told(replica: CountingReplica) -> tuple[int, int]:
    found = replica.tally.denied
    return found[HistoryDenials.COUNTED], found[HistoryDenials.DROPPED]


@pytest.fixture
def api() -> KeptObjects:
    return KeptObjects()


@pytest.fixture
def replica(api: KeptObjects, virtual_time: VirtualTime) -> CountingReplica:
    return CountingReplica(api, virtual_time)


async def test_many_of_one_object_share_a_write_each_second(replica: CountingReplica, api: KeptObjects) -> None:
    for _ in range(30):
        replica.keeper.count_denied(denied())
        await asyncio.sleep(0.1)
    await asyncio.sleep(2)
    assert total(api) == 30
    assert api.requests.count("POST") + api.requests.count("PUT") <= 5
    assert told(replica) == (30, 0)


async def test_each_write_has_a_line_with_the_numbers_after_it(replica: CountingReplica, api: KeptObjects) -> None:
    for _ in range(2):
        replica.keeper.count_denied(denied())
        replica.keeper.count_denied(denied())
        await asyncio.sleep(2)
    assert [(one.event, one.calls, one.counts[0].seq, one.counts[0].numbers.count) for one in replica.events] == [
        ("denied", 2, 1, 2),
        ("denied", 2, 2, 4),
    ]


async def test_a_flood_of_keys_takes_a_bounded_room_and_leaves_some_to_others(
    replica: CountingReplica, api: KeptObjects
) -> None:
    for number in range(MOST_OF_NAMESPACE + 10):
        replica.keeper.count_denied(denied(named(number)))
    replica.keeper.count_denied(denied(namespace="other"))
    assert told(replica) == (0, 10)
    await asyncio.sleep(1)
    assert ("other", need(STRAYS).name) in api.objects


async def test_calls_of_a_key_that_waits_need_no_room(replica: CountingReplica, api: KeptObjects) -> None:
    for _ in range(2 * MOST_WAITING):
        replica.keeper.count_denied(denied())
    await asyncio.sleep(1)
    assert total(api) == 2 * MOST_WAITING
    assert told(replica) == (2 * MOST_WAITING, 0)


async def test_where_all_is_full_the_namespace_with_the_most_makes_room(
    replica: CountingReplica, api: KeptObjects
) -> None:
    for namespace in range(10):
        for number in range(MOST_OF_NAMESPACE):
            replica.keeper.count_denied(denied(named(number), namespace=f"n{namespace}"))
    assert told(replica)[1] == 10 * MOST_OF_NAMESPACE - MOST_WAITING
    replica.keeper.count_denied(denied(namespace="small"))
    await asyncio.sleep(1)
    assert ("small", need(STRAYS).name) in api.objects


@pytest.mark.parametrize("unseen", [0, 1, MOST_OF_NAMESPACE])
async def test_a_key_that_is_there_takes_the_room_of_one_that_may_not_be(
    replica: CountingReplica, api: KeptObjects, unseen: int
) -> None:
    there = MOST_OF_NAMESPACE - unseen + 1
    for number in range(there):
        replica.keeper.count_denied(denied(named(number)))
    await asyncio.sleep(60)
    assert len(api.objects) == min(there, MOST_OF_NAMESPACE)
    dropped = told(replica)[1]
    for number in range(1_000, 1_000 + unseen):
        replica.keeper.count_denied(denied(named(number)))
    for number in range(min(there, MOST_OF_NAMESPACE)):
        replica.keeper.count_denied(denied(named(number)))
    assert told(replica)[1] - dropped == (1 if unseen else 0)
    await asyncio.sleep(60)
    assert total(api) == 2 * min(there, MOST_OF_NAMESPACE) + max(0, unseen - 1)


@pytest.mark.parametrize(
    ("method", "status", "ends"),
    [
        ("POST", 403, True),
        ("POST", 404, True),
        ("POST", 409, False),
        ("PUT", 403, True),
        ("PUT", 404, False),
        ("PUT", 409, False),
        ("GET", 403, True),
    ],
)
async def test_what_the_api_server_refuses_is_dropped_and_what_may_be_written_later_waits(
    replica: CountingReplica, api: KeptObjects, method: str, status: int, ends: bool
) -> None:
    if method == "PUT":
        replica.keeper.count_denied(denied())
        await asyncio.sleep(2)
    before, api.requests[:] = total(api), []
    stored = dict(api.objects)

    def refused(asked: str, answer: ApiResponse) -> ApiResponse:
        if asked == method:
            # It was not written.
            api.objects.clear()
            api.objects.update(stored)
        return ApiResponse(status, {"message": "no"}) if asked == method else answer

    api.changing = refused
    for _ in range(3):
        replica.keeper.count_denied(denied())
    await asyncio.sleep(10)
    assert told(replica)[1] == (3 if ends else 0)
    if ends:
        assert api.count(method) == 1
    api.changing = lambda _, answer: answer
    await asyncio.sleep(5)
    assert total(api) == before + (0 if ends else 3)


async def test_what_cannot_be_read_back_is_dropped(replica: CountingReplica, api: KeptObjects) -> None:
    replica.keeper.count_denied(denied())
    await asyncio.sleep(2)
    key = ("crm", need(STRAYS).name)
    api.objects[key]["spec"]["recent"] = 7
    replica.store.held.drop(key)
    replica.keeper.count_denied(denied())
    await asyncio.sleep(2)
    assert told(replica) == (1, 1)


async def test_what_no_policy_counts_any_more_is_left_out_of_what_waits(
    replica: CountingReplica, api: KeptObjects
) -> None:
    def away(_: str) -> None:
        lost()

    api.before = away
    marks = history("marks")
    replica.keeper.count_denied(denied(need(STRAYS)))
    replica.keeper.count_denied(DeniedCall("crm", "crm-api", HistoryNeeds((need(marks),)), (marks,)))
    api.before = lambda _: None
    await asyncio.sleep(3)
    (stored,) = api.objects.values()
    assert parse_state(stored["spec"]).lines.keys() == {marks.digest}  # type: ignore[union-attr]


async def test_what_could_not_be_written_is_written_later(replica: CountingReplica, api: KeptObjects) -> None:
    def away(_: str) -> None:
        lost()

    api.before = away
    for _ in range(5):
        replica.keeper.count_denied(denied())
        await asyncio.sleep(1)
    assert total(api) == 0
    api.before = lambda _: None
    await asyncio.sleep(2)
    assert total(api) == 5
    assert told(replica) == (5, 0)


async def test_new_keys_wait_for_their_ration_and_take_none_of_calls(
    replica: CountingReplica, api: KeptObjects
) -> None:
    for number in range(1, 201):
        replica.keeper.count_denied(denied(named(number)))
    await asyncio.sleep(0.5)
    assert 50 <= len(api.objects) <= 55
    assert (await replica.reserve(1)).stands
    await asyncio.sleep(20)
    assert len(api.objects) == 201


async def test_no_namespace_waits_for_one_whose_objects_are_slow(replica: CountingReplica, api: KeptObjects) -> None:
    api.seconds = 2.0
    for number in range(40):
        replica.keeper.count_denied(denied(named(number)))
    replica.keeper.count_denied(denied(namespace="small"))
    await asyncio.sleep(2 * api.seconds + 0.5)
    assert ("small", need(STRAYS).name) in api.objects


async def test_a_key_that_is_there_waits_for_none_that_may_not_be(replica: CountingReplica, api: KeptObjects) -> None:
    replica.keeper.count_denied(denied())
    await asyncio.sleep(2)
    api.seconds = 2.0
    for number in range(1, 41):
        replica.keeper.count_denied(denied(named(number)))
    await asyncio.sleep(0.5)
    replica.keeper.count_denied(denied())
    await asyncio.sleep(api.seconds + 0.2)
    assert [parse_state(stored["spec"]).seq for stored in api.objects.values()] == [2]  # type: ignore[union-attr]


def test_each_line_has_every_third_turn_while_all_wait() -> None:
    queue = DenialQueue()
    for line in DenialLine:
        for number in range(4):
            queue.add(("crm", f"{line.name} {number}"), WaitingDenials.of_one("crm-api", named(1), (STRAYS,)), line)
    taken = [queue.take("crm", 0.0, list(DenialLine), lambda: True) for _ in range(12)]
    assert [one and one[1] for one in taken] == [f"{line.name} {number}" for number in range(4) for line in DenialLine]


async def test_what_waits_is_written_on_a_clean_stop(replica: CountingReplica, api: KeptObjects) -> None:
    replica.keeper.count_denied(denied())
    await asyncio.sleep(0.5)
    replica.keeper.count_denied(denied())
    await replica.keeper.close()
    assert total(api) == 2
    replica.keeper.count_denied(denied())
    assert told(replica) == (2, 1)
    assert [one.counts[0].seq for one in replica.events] == [1, 2]


async def test_a_stop_ends_though_the_api_server_never_answers(replica: CountingReplica, api: KeptObjects) -> None:
    api.seconds = 3_600
    replica.keeper.count_denied(denied())
    await replica.keeper.close()
    assert told(replica) == (0, 1)


async def test_new_keys_of_denied_calls_leave_half_of_the_ration_to_others(
    replica: CountingReplica, api: KeptObjects
) -> None:
    refused = 0
    for number in range(1_500):
        replica.keeper.count_denied(denied(named(2 * number)))
        own = ObjectNeed(f"h-{2 * number + 1:040x}", f"sha256:{2 * number + 1:064x}", (EXPORTS,), need(EXPORTS).adds)
        refused += not (await replica.reserve(number, None, own)).stands
        await asyncio.sleep(0.09)
    assert refused == 0
    assert replica.tally.denied[HistoryDenials.COUNTED] >= 500
