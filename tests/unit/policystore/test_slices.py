"""Long work on the loop: how much of it is left to others."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import pytest

from bailiwick_policystore.slices import SLICE_SECONDS, Slices

WORKED: Final = 4 * SLICE_SECONDS


class Clock:
    """Seconds that go on by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def turns(clock: Clock, work: Coroutine[Any, Any, None], each: float) -> int:
    """Return how many turns the loop has until the work goes on, where each takes so many seconds."""
    count = 0
    try:
        while True:
            work.send(None)
            count += 1
            clock.now += each
    except StopIteration:
        return count


@pytest.mark.parametrize(
    ("patient", "each", "count"),
    [
        pytest.param(True, 0.001, 24, id="that can wait leaves a busy loop three times as long as it worked"),
        pytest.param(True, 0.0, 1, id="that can wait goes on at once where nobody else has anything to do"),
        pytest.param(True, 0.1, 1, id="that can wait goes on after one turn that took long"),
        pytest.param(False, 0.001, 1, id="that a caller waits for leaves the loop a turn"),
    ],
)
def test_work(patient: bool, each: float, count: int) -> None:
    clock = Clock()
    slices = Slices(clock, patient=patient)
    clock.now += WORKED
    assert turns(clock, slices.turn(), each) == count
    # The next slice begins when it goes on.
    clock.now += SLICE_SECONDS / 2
    assert turns(clock, slices.turn(), each) == 0


def test_work_that_rests_leaves_four_times_as_long_as_it_worked_whoever_wants_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, rests = Clock(), []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        clock.now += seconds

    monkeypatch.setattr(asyncio, "sleep", sleep)
    slices = Slices(clock, patient=True)
    slices.resting = True
    clock.now += WORKED
    assert turns(clock, slices.turn(), 0.0) == 0
    assert rests == [pytest.approx(4 * WORKED)]
    # The next slice begins when it goes on.
    clock.now += SLICE_SECONDS / 2
    assert turns(clock, slices.turn(), 0.0) == 0
    assert len(rests) == 1
