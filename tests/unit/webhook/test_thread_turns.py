"""A busy loop lets a thread have the interpreter lock while it has work, and only then."""

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise

from bailiwick_webhook.threadturns import ThreadTurns, TurnTakingPool


async def busy(until: Callable[[], bool]) -> None:
    """Keep the loop from ever waiting, until this is so."""
    async with asyncio.timeout(10):
        for _ in iter(until, True):
            await asyncio.sleep(0)


async def busy_for(seconds: float) -> None:
    ends = asyncio.get_running_loop().time() + seconds
    await busy(lambda: asyncio.get_running_loop().time() >= ends)


async def test_the_loop_pauses_again_and_again_while_any_work_is_under_way() -> None:
    pauses: list[float] = []
    turns = ThreadTurns(pauses.append)
    await busy_for(0.01)
    assert pauses == []
    turns.begun("a record")
    turns.begun("a large call")
    await busy(lambda: len(pauses) == 3)
    turns.ended("a record")
    await busy(lambda: len(pauses) == 6)
    turns.ended("a large call")
    await busy_for(0.01)
    assert (len(pauses), {*pauses}) == (6, {0.0002})
    turns.begun("another record")
    await busy(lambda: len(pauses) == 7)


async def test_the_loop_pauses_as_rarely_for_many_pieces_of_work_as_for_one() -> None:
    loop, pauses = asyncio.get_running_loop(), [0.0]
    turns = ThreadTurns(lambda _: pauses.append(loop.time()))
    pauses[:] = [loop.time()]
    for work in range(100):
        turns.begun(work)
    await busy(lambda: len(pauses) == 5)
    apart = [later - earlier for earlier, later in pairwise(pauses)]
    assert min(apart) > 0.002


async def test_a_pool_takes_turns_until_its_work_is_done() -> None:
    pauses: list[float] = []
    may_end = threading.Event()
    pool = TurnTakingPool(1, turns=ThreadTurns(pauses.append))
    work = asyncio.get_running_loop().run_in_executor(pool, may_end.wait, 10)
    await busy(lambda: len(pauses) == 3)
    may_end.set()
    assert await work
    await busy_for(0.01)
    before = len(pauses)
    await busy_for(0.01)
    assert len(pauses) == before
    pool.shutdown()
