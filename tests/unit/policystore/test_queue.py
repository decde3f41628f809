"""The queue of namespaces: when its work leaves most of the time to others."""

import asyncio
from typing import Final

import pytest

from bailiwick_engine.steps import Steps
from bailiwick_policystore import queue
from bailiwick_policystore.queue import NamespaceQueue

STEPS: Final = 3


class Pauses:
    """Stands in for the slices, and keeps whether each pause was a rest."""

    seen: list[bool]

    def __init__(self, *, patient: bool) -> None:
        assert patient
        self.resting = False

    async def turn(self) -> None:
        type(self).seen.append(self.resting)
        await asyncio.sleep(0)


class Clock:
    """Seconds that go on with each look."""

    def __init__(self, each: float) -> None:
        self._each = each
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self._each
        return self._now


def work(_namespace: str) -> Steps[None]:
    for _ in range(STEPS):
        yield


async def rests(made: NamespaceQueue) -> list[list[bool]]:
    """Have one namespace do its work twice; return for each time which pauses were rests."""
    running = asyncio.create_task(made.run(lambda _: None))
    found = []
    for _ in range(2):
        Pauses.seen = []
        made.rouse("crm")
        while made.busy or not Pauses.seen:  # noqa: ASYNC110 - nothing tells of the end of work
            await asyncio.sleep(0)
        found.append(Pauses.seen)
    running.cancel()
    return found


@pytest.mark.parametrize(
    ("resting", "each", "first", "later"),
    [
        pytest.param(True, 0.0, {False}, {True}, id="rests once what was there at the start is done"),
        pytest.param(True, 100.0, {True}, {True}, id="rests a minute after the start, done or not"),
        pytest.param(False, 100.0, {False}, {False}, id="never rests where calls wait for it"),
    ],
)
def test_work(monkeypatch: pytest.MonkeyPatch, resting: bool, each: float, first: set[bool], later: set[bool]) -> None:
    monkeypatch.setattr(queue, "Slices", Pauses)
    made = NamespaceQueue(work, lambda: None, Clock(each), resting=resting)
    assert [set(pauses) for pauses in asyncio.run(rests(made))] == [first, later]
