"""Time that passes only while everybody waits for it: a sleep of an hour takes no time, and nothing is late.

Import `virtual_time`, then take the fixture or `pytest.mark.usefixtures("virtual_time")`. For tests whose loop waits
for nothing outside: no sockets, no processes, no threads.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from selectors import SelectorKey
from typing import Any, Final, cast

import pytest

_THREAD_SECONDS: Final = 5.0
Select = Callable[[float | None], list[tuple[SelectorKey, int]]]

__all__ = ["VirtualTime", "virtual_time", "virtual_time_of_loop"]


class VirtualTime:
    """The clock of a loop, in seconds. Stands in for the module `time` where `monotonic` is all that is called.

    `monotonic` never says the same twice, as the real one hardly does.
    """

    def __init__(self, now: float) -> None:
        self.now = now

    def monotonic(self) -> float:
        self.now += 1e-9
        return self.now

    def passing(self, select: Select) -> Select:
        """Return a selector's `select` that lets the time pass instead of waiting."""

        def passed(seconds: float | None) -> list[tuple[SelectorKey, int]]:
            found = select(0)
            if not found and seconds is None:
                # A thread that has just done its work may be about to say so.
                found = select(_THREAD_SECONDS)
                assert found, "nothing will ever wake this loop"
            elif not found:
                self.now += seconds or 0.0
            return found

        return passed


def virtual_time_of_loop() -> VirtualTime:
    """Return the clock of the running loop, which is virtual from now on: for a loop that the caller made for it."""
    loop = cast("Any", asyncio.get_running_loop())
    clock = VirtualTime(loop.time())
    loop.time, loop._selector.select = lambda: clock.now, clock.passing(loop._selector.select)
    return clock


@pytest.fixture
async def virtual_time() -> AsyncIterator[VirtualTime]:
    """The clock of this test's loop."""
    yield virtual_time_of_loop()
    loop = cast("Any", asyncio.get_running_loop())
    del loop.time, loop._selector.select
