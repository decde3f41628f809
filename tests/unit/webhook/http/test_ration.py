"""What is rationed: one piece at a time, a rest after each, a few that wait, and one answer for all of them."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterator
from threading import Event
from typing import Final

import pytest

from bailiwick_webhook.http.problems import ProblemError
from bailiwick_webhook.http.status.ration import Ration, SharedResult
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import CallerClass, Overload

REFUSED: Final = "too many concurrent requests of this kind"


class Clock:
    """A time of our own, and what was slept of it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def rationed(self) -> Ration:
        return Ration(8, Counts(), self.monotonic, self.sleep)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


@pytest.mark.parametrize(("took", "rest"), [(0.0, 0.0), (0.01, 0.09), (0.1, 0.9), (40.0, 1.0)])
async def test_after_each_piece_comes_a_rest_nine_times_as_long_and_never_a_long_one(took: float, rest: float) -> None:
    clock = Clock()
    rationed = clock.rationed()
    for _ in range(2):
        async with rationed.turn():
            clock.now += took
    assert clock.slept == [0.0, rest]


async def test_whoever_comes_after_the_rest_waits_for_nothing() -> None:
    clock = Clock()
    rationed = clock.rationed()
    async with rationed.turn():
        clock.now += 0.01
    clock.now += 5
    async with rationed.turn():
        pass
    assert clock.slept == [0.0, 0.0]


async def test_a_piece_that_fails_is_rested_from_too() -> None:
    clock = Clock()
    rationed = clock.rationed()
    with contextlib.suppress(ZeroDivisionError):
        async with rationed.turn():
            clock.now += 0.02
            raise ZeroDivisionError
    async with rationed.turn():
        pass
    assert clock.slept == [0.0, 0.18]


async def test_one_piece_is_done_at_a_time() -> None:
    rationed, at_it = Ration(8, Counts()), 0

    async def work() -> None:
        nonlocal at_it
        async with rationed.turn():
            at_it += 1
            assert at_it == 1
            await asyncio.sleep(0)
            at_it -= 1

    await asyncio.gather(*(work() for _ in range(8)))


def test_those_who_wait_are_few_and_all_others_are_refused_and_counted() -> None:
    counts = Counts()
    rationed = Ration(2, counts)
    for _ in range(3):
        with rationed.place(), rationed.place():
            for _ in range(2):
                with pytest.raises(ProblemError) as refused, rationed.place():
                    pytest.fail("there were three")
                assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
                assert refused.value.detail.lower().startswith(REFUSED)
    assert {why: count for why, count in counts.overloads.items() if count} == {
        (Overload.STATUS, CallerClass.OTHERS): 6
    }


class Made:
    """What is made, numbered; it can be held up."""

    def __init__(self) -> None:
        self.let = Event()
        self.began = asyncio.Event()
        self._numbers: Iterator[int] = itertools.count(1)
        self._loop = asyncio.get_running_loop()

    def make(self) -> bytes:
        self._loop.call_soon_threadsafe(self.began.set)
        assert self.let.wait(30)
        number = next(self._numbers)
        if number == 13:
            raise ZeroDivisionError
        return f"{number}".encode()


async def test_all_who_wait_share_one_answer_and_it_is_never_older_than_their_question() -> None:
    made = Made()
    shared = SharedResult(Ration(64, Counts()), made.make)
    first = [asyncio.create_task(shared.get()) for _ in range(10)]
    await made.began.wait()
    # Too late for that one: it was begun before they asked.
    later = [asyncio.create_task(shared.get()) for _ in range(10)]
    await asyncio.sleep(0)
    made.let.set()
    assert await asyncio.gather(*first) == [b"1"] * 10
    assert await asyncio.gather(*later) == [b"2"] * 10
    assert await shared.get() == b"3"


async def test_that_one_of_them_goes_away_fails_nobody() -> None:
    made = Made()
    shared = SharedResult(Ration(64, Counts()), made.make)
    gone, stays = (asyncio.create_task(shared.get()) for _ in range(2))
    await made.began.wait()
    gone.cancel()
    made.let.set()
    assert await stays == b"1"


async def test_one_that_cannot_be_made_fails_those_who_wait_for_it_and_no_more() -> None:
    made = Made()
    made.let.set()
    shared = SharedResult(Ration(64, Counts()), made.make)
    answers = [await asyncio.gather(shared.get(), return_exceptions=True) for _ in range(14)]
    assert [type(answer) for (answer,) in answers] == [bytes] * 12 + [ZeroDivisionError, bytes]


async def test_more_than_may_wait_for_it_are_refused() -> None:
    made = Made()
    shared = SharedResult(Ration(3, Counts()), made.make)
    waiting = [asyncio.create_task(shared.get()) for _ in range(3)]
    await made.began.wait()
    with pytest.raises(ProblemError):
        await shared.get()
    made.let.set()
    assert await asyncio.gather(*waiting) == [b"1"] * 3
    assert await shared.get() == b"2"
