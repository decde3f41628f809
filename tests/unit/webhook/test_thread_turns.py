"""A busy loop lets a thread have the interpreter lock while it has work, and only then."""

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise

import pytest

from bailiwick_webhook.threadturns import ThreadTurns, TurnTakingPool, turns_of


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
    turns.begin("a record")
    turns.begin("a large call")
    await busy(lambda: len(pauses) == 3)
    turns.end("a record")
    await busy(lambda: len(pauses) == 6)
    turns.end("a large call")
    await busy_for(0.01)
    assert (len(pauses), {*pauses}) == (6, {0.0002})
    turns.begin("another record")
    await busy(lambda: len(pauses) == 7)


async def test_the_loop_pauses_as_rarely_for_many_pieces_of_work_as_for_one() -> None:
    loop, pauses = asyncio.get_running_loop(), [0.0]
    turns = ThreadTurns(lambda _: pauses.append(loop.time()))
    pauses[:] = [loop.time()]
    for work in range(100):
        turns.begin(work)
    await busy(lambda: len(pauses) == 5)
    apart = [later - earlier for earlier, later in pairwise(pauses)]
    assert min(apart) > 0.002


async def test_all_pools_of_a_loop_take_turns_together_until_their_work_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, pauses = asyncio.get_running_loop(), list[float]()
    turns = turns_of(loop)
    assert turns_of(loop) is turns
    monkeypatch.setattr(turns, "_pause", lambda _: pauses.append(loop.time()))
    may_end = threading.Event()
    pools = [TurnTakingPool(1), TurnTakingPool(1), TurnTakingPool(1)]
    work = [loop.run_in_executor(pool, may_end.wait, 10) for pool in pools]
    await busy(lambda: len(pauses) == 5)
    assert min(later - earlier for earlier, later in pairwise(pauses)) > 0.002
    may_end.set()
    assert all([await one for one in work])
    await busy_for(0.01)
    before = len(pauses)
    await busy_for(0.01)
    assert len(pauses) == before
    for pool in pools:
        pool.shutdown()


async def test_work_that_comes_from_a_thread_is_done_and_changes_nothing_for_the_loop() -> None:
    with TurnTakingPool(1) as pool:
        future = await asyncio.to_thread(pool.submit, int, "7")
        assert future.result(5) == 7
    pauses: list[float] = []
    turns = ThreadTurns(pauses.append)
    with pytest.raises(RuntimeError):
        await asyncio.to_thread(turns.begin, "work")
    turns.begin("more")
    await busy(lambda: len(pauses) == 2)


def test_each_loop_has_turns_of_its_own() -> None:
    async def found() -> ThreadTurns:
        return turns_of(asyncio.get_running_loop())

    assert asyncio.run(found()) is not asyncio.run(found())
