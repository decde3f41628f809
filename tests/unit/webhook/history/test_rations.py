"""How many writes a replica makes, and who has which turn."""

import asyncio

from bailiwick_webhook.history.rations import (
    ALL_WRITES,
    NEW_KEY_BURST,
    NEW_KEYS,
    PATIENCE,
    WRITE_BURST,
    WRITES,
    HistoryRations,
)
from support.virtualtime import VirtualTime, virtual_time

__all__ = ["virtual_time"]


async def test_a_namespace_has_its_burst_and_then_its_rate(virtual_time: VirtualTime) -> None:
    rations = HistoryRations(virtual_time.monotonic)
    results = await asyncio.gather(*(rations.take_write("crm") for _ in range(400)))
    given = sum(results)
    assert WRITE_BURST <= given <= WRITE_BURST + WRITES * PATIENCE + 2


async def test_a_crowd_of_one_namespace_leaves_the_others_their_turns(virtual_time: VirtualTime) -> None:
    rations = HistoryRations(virtual_time.monotonic)
    crowds = [rations.take_write(f"crowd-{number % 8}") for number in range(2_000)]
    waiting = asyncio.gather(*crowds)
    await asyncio.sleep(0.05)
    began = virtual_time.now
    assert await rations.take_write("small")
    assert virtual_time.now - began < 0.1
    assert sum(await waiting) <= ALL_WRITES + ALL_WRITES * 2 * PATIENCE


async def test_new_keys_have_a_ration_of_their_own(virtual_time: VirtualTime) -> None:
    rations = HistoryRations(virtual_time.monotonic)
    given = 0
    for _ in range(1_500):
        given += rations.take_new_key("crm")
        virtual_time.now += 0.01
    assert NEW_KEY_BURST <= given <= NEW_KEY_BURST + 15 * NEW_KEYS + 1


async def test_a_turn_that_is_put_back_is_there_for_the_next(virtual_time: VirtualTime) -> None:
    rations = HistoryRations(virtual_time.monotonic)
    for _ in range(1_000):
        assert await rations.take_write("crm")
        rations.put_back("crm")


async def test_a_turn_that_came_too_late_is_not_taken(virtual_time: VirtualTime) -> None:
    rations = HistoryRations(virtual_time.monotonic)
    await asyncio.gather(*(rations.take_write("crm") for _ in range(400)))
    virtual_time.now += 10
    assert await rations.take_write("crm")
