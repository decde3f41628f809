"""Those who want the same thing go a few at a time, and none waits for ever."""

import asyncio

import pytest

from bailiwick_webhook.keyedturns import KeyedTurns
from support.virtualtime import VirtualTime, virtual_time

__all__ = ["virtual_time"]

GRANT, OTHER = ("crm", "agr-one"), ("crm", "agr-other")
PATIENCE = 2.0


def turns(at_once: int = 1) -> KeyedTurns[tuple[str, str]]:
    return KeyedTurns(at_once, PATIENCE)


async def test_one_goes_after_the_other() -> None:
    order: list[str] = []
    ours = turns()

    async def use(name: str) -> None:
        async with ours.hold(GRANT):
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            order.append(f"{name} ends")

    await asyncio.gather(*(use(name) for name in "abc"))
    assert order == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]
    assert not ours


async def test_other_grants_are_not_waited_for() -> None:
    ours = turns()
    async with ours.hold(GRANT), ours.hold(OTHER):
        pass


async def test_who_waited_for_long_enough_gets_no_turn(virtual_time: VirtualTime) -> None:
    began = virtual_time.now
    ours = turns()
    async with ours.hold(GRANT):
        async with ours.hold(GRANT) as taken:
            assert (taken, round(virtual_time.now - began)) == (False, PATIENCE)
        # And takes nobody's turn away.
        assert ours._turns[GRANT].locked()


async def test_who_is_cancelled_while_waiting_leaves_the_turn_to_the_next() -> None:
    ours = turns()

    async def use() -> str:
        async with ours.hold(GRANT):
            return "used"

    async with ours.hold(GRANT):
        first, second = asyncio.create_task(use()), asyncio.create_task(use())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
    assert await second == "used"
    assert first.cancelled()


async def test_a_turn_that_breaks_off_is_over() -> None:
    ours = turns()
    with pytest.raises(ValueError, match="broken"):
        async with ours.hold(GRANT):
            raise ValueError("broken")
    async with ours.hold(GRANT):
        pass


async def test_of_a_crowd_a_few_have_turns_and_another_key_waits_for_none(virtual_time: VirtualTime) -> None:
    ours, busy, most = turns(4), 0, 0

    async def work() -> bool:
        nonlocal busy, most
        async with ours.hold(GRANT) as taken:
            if taken:
                busy += 1
                most = max(most, busy)
                await asyncio.sleep(1.0)
                busy -= 1
            return taken

    crowd = [asyncio.create_task(work()) for _ in range(100)]
    await asyncio.sleep(0)
    began = virtual_time.now
    async with ours.hold(OTHER) as taken:
        assert (taken, round(virtual_time.now - began, 3)) == (True, 0.0)
    # Those at the beginning, and those whose turn came within their patience.
    assert 8 <= sum(await asyncio.gather(*crowd)) <= 12
    assert most == 4
    assert not ours


async def test_a_turn_that_is_given_as_its_caller_goes_away_is_the_next_ones(virtual_time: VirtualTime) -> None:
    ours = turns()

    async def wait() -> bool:
        async with ours.hold(GRANT) as taken:
            return taken

    async with ours.hold(GRANT):
        leaving, waiting = (asyncio.create_task(wait()) for _ in range(2))
        await asyncio.sleep(0)
    leaving.cancel()
    began = virtual_time.now
    assert await waiting
    assert virtual_time.now - began < 0.01
