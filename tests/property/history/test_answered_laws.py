"""A limit holds of answers, too: however long processes stand still, no window has more of them than calls may pass.

The oracle is the list of the moments at which calls were answered. An answer may come up to `ANSWERED` seconds after
its call was counted, so a window of answers is that much shorter.
"""

import asyncio
from typing import Final

import pytest
from hypothesis import given, settings, strategies as st

from bailiwick_api.serverclock import ServerClock
from bailiwick_engine.batch import Semantic
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.history import reservations
from support.keptobjects import KeptObjects
from support.virtualtime import virtual_time_of_loop
from unit.webhook.pipeline.countingpoint import EXPORTS, CountingPoint, asked, counting

ANSWERED: Final = 20.0
WINDOW: Final = 60.0
LIMIT: Final = 5
BEGAN: Final = 1_764_439_200.0
FULL: Final = [{"name": "exports", "key": ["agent"], "window": "1m", "counts": EXPORTS["counts"]}]

# How long all stand still behind a request, or not at all; how long after the one before a client sends so many calls.
stops = st.lists(st.sampled_from([0.0, 0.0, 0.0, 5.0, 12.0, 30.0, 90.0]), min_size=1, max_size=12)
waves = st.lists(
    st.tuples(st.sampled_from([0.0, 0.0, 1.0, 15.0, 45.0, 70.0]), st.integers(1, 4), st.booleans()),
    min_size=3,
    max_size=10,
)


async def answers_of(waves: list[tuple[float, int, bool]], stops: list[float], points: int) -> list[float]:
    """Send calls to some decision points of one API server; return when each was let through."""
    time = virtual_time_of_loop()
    api, left = KeptObjects(seconds=0.002), iter(stops * 50)

    def stand_still(_: str, answer: ApiResponse) -> ApiResponse:
        time.now += next(left)
        return answer

    api.changing = stand_still
    replicas = [
        CountingPoint(
            api,
            counting(histories=FULL),
            now=time.monotonic,
            clock=ServerClock(lambda: BEGAN + time.now, time.monotonic),
        )
        for _ in range(points)
    ]
    answered: list[float] = []

    async def send(number: int, after: float, count: int, *, together: bool) -> None:
        await asyncio.sleep(after)
        point = replicas[number % points]
        point.clock.record_answer(BEGAN + time.now, time.now)
        if together:
            items = [asked(item=item) for item in range(count)]
            decisions = await point.pdp.evaluate_all(items, Semantic.EXECUTE_ALL)
            answered.extend(time.now for one in decisions if one is not None and one.allowed)
            return
        for _ in range(count):
            allowed = (await point.ask()).allowed
            answered.extend([time.now] * allowed)

    moment, clients = 0.0, []
    for number, (gap, count, together) in enumerate(waves):
        moment += gap
        clients.append(send(number, moment, count, together=together))
    await asyncio.gather(*clients)
    for point in replicas:
        await point.pdp.histories.close()
    return sorted(answered)


def most_in_a_window(answered: list[float]) -> int:
    """Return how many answers there are at most in a window that is shorter by what an answer may take."""
    return max((sum(0 <= other - one < WINDOW - ANSWERED for other in answered) for one in answered), default=0)


@settings(max_examples=200)
@given(waves=waves, stops=stops, points=st.integers(1, 3))
def test_no_window_has_more_answers_than_its_limit(
    waves: list[tuple[float, int, bool]], stops: list[float], points: int
) -> None:
    assert most_in_a_window(asyncio.run(answers_of(waves, stops, points))) <= LIMIT


def test_the_law_is_broken_without_an_end_of_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservations, "ANSWER_SECONDS", float("inf"))
    late = [(0.0, 4, False), (0.0, 1, False), (1.0, 4, False), (1.0, 4, False)]
    found = [asyncio.run(answers_of(late, [0.0] * stop + [90.0] + [0.0] * 50, 3)) for stop in range(8)]
    assert max(map(most_in_a_window, found)) > LIMIT


def test_calls_are_let_through_where_nothing_stands_still() -> None:
    assert len(asyncio.run(answers_of([(0.0, 4, False), (0.0, 4, True)], [0.0], 2))) == LIMIT
