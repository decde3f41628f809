"""The work queue and the one clock: every key gets its look, one at a time, in time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bailiwick_operator.loop.expiry import Expiries
from bailiwick_operator.loop.workqueue import RetryError, WorkQueue
from support.virtualtime import VirtualTime, virtual_time

__all__ = ["virtual_time"]

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@asynccontextmanager
async def working(
    queue: WorkQueue[str], look: Callable[[str], Awaitable[None]], workers: int = 2
) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(queue.work(look)) for _ in range(workers)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


@pytest.mark.usefixtures("virtual_time")
class TestTheQueue:
    async def test_looks_once_however_often_it_is_asked(self) -> None:
        queue: WorkQueue[str] = WorkQueue()
        looked: Counter[str] = Counter()

        async def look(key: str) -> None:
            looked[key] += 1

        for _ in range(5):
            queue.add("a")
        async with working(queue, look):
            await asyncio.sleep(600)
        assert looked == {"a": 1}

    async def test_shares_have_their_turns_one_after_the_other(self) -> None:
        queue: WorkQueue[str] = WorkQueue(lambda key: key[0])
        looked: list[str] = []
        done = asyncio.Event()

        async def look(key: str) -> None:
            looked.append(key)
            if len(looked) == 7:
                done.set()

        for key in ("a1", "a2", "a3", "a4", "b1", "b2", "c1"):
            queue.add(key)
        async with working(queue, look, workers=1):
            await done.wait()
        assert looked == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]

    async def test_looks_again_at_what_was_added_meanwhile_and_never_twice_at_once(self) -> None:
        queue: WorkQueue[str] = WorkQueue()
        at_once, most, looks = 0, 0, 0

        async def look(_key: str) -> None:
            nonlocal at_once, most, looks
            at_once, looks = at_once + 1, looks + 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1

        queue.add("a")
        async with working(queue, look, workers=4):
            await asyncio.sleep(0.005)
            queue.add("a")
            queue.add("a")
            await asyncio.sleep(0.05)
        assert (looks, most) == (2, 1)

    @pytest.mark.parametrize("error", [RetryError("not now"), KeyError("nobody thought of it")], ids=["retry", "error"])
    async def test_comes_back_to_what_failed_and_does_not_hold_up_the_others(self, error: Exception) -> None:
        queue: WorkQueue[str] = WorkQueue()
        looked: Counter[str] = Counter()
        done = asyncio.Event()

        async def look(key: str) -> None:
            looked[key] += 1
            if key == "bad" and looked[key] < 3:
                raise error
            if looked == {"bad": 3, "good": 1}:
                done.set()

        queue.add("bad")
        queue.add("good")
        async with working(queue, look, workers=1):
            await done.wait()
            await asyncio.sleep(600)
        assert looked == {"bad": 3, "good": 1}


class TestExpiries:
    def test_call_what_is_due_and_nothing_else(self) -> None:
        due: list[str] = []
        expiries: Expiries[str] = Expiries(due.append, lambda: NOW)
        for name, minutes in (("late", 9), ("soon", 1), ("now", 0)):
            expiries.set(name, NOW + timedelta(minutes=minutes))
        expiries.call_due(NOW + timedelta(minutes=1))
        assert due == ["now", "soon"]
        expiries.call_due(NOW + timedelta(minutes=1))
        assert due == ["now", "soon"]

    def test_go_by_what_was_set_last(self) -> None:
        due: list[str] = []
        expiries: Expiries[str] = Expiries(due.append, lambda: NOW)
        expiries.set("later", NOW)
        expiries.set("later", NOW + timedelta(minutes=5))
        expiries.set("never", NOW)
        expiries.set("never", None)
        expiries.set("never", None)
        expiries.call_due(NOW + timedelta(minutes=1))
        assert due == []
        expiries.call_due(NOW + timedelta(minutes=5))
        assert due == ["later"]

    def test_may_be_set_again_after_they_came(self) -> None:
        due: list[str] = []
        expiries: Expiries[str] = Expiries(due.append, lambda: NOW)
        for _ in range(2):
            expiries.set("a", NOW)
            expiries.call_due(NOW)
        assert due == ["a", "a"]

    async def test_wake_for_one_that_comes_earlier_than_those_that_are_waited_for(
        self, virtual_time: VirtualTime
    ) -> None:
        came: list[tuple[str, float]] = []
        began = virtual_time.now

        def passed() -> float:
            return virtual_time.now - began

        expiries: Expiries[str] = Expiries(
            lambda key: came.append((key, passed())), lambda: NOW + timedelta(seconds=passed())
        )
        expiries.set("late", NOW + timedelta(hours=1))
        task = asyncio.create_task(expiries.run())
        await asyncio.sleep(1)
        expiries.set("soon", NOW + timedelta(seconds=9))
        await asyncio.sleep(2 * 3600)
        task.cancel()
        assert [key for key, _ in came] == ["soon", "late"]
        assert [at for _, at in came] == pytest.approx([9, 3600])
