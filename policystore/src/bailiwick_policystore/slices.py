"""Slices: long work on the event loop in short pieces, so that calls are answered meanwhile.

Standing: under the queue, and under what else works for long on the loop: stores, shadows. Holds: between two turns no
more is done than what one step takes; no reader sees what is half done. Work that can wait leaves others most of the
loop while they have anything to do, and has all of it otherwise.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

from bailiwick_engine.steps import Steps

_Result = TypeVar("_Result")

SLICE_SECONDS: Final = 0.002
"""So long work goes on before it lets others go on. One step may take longer."""
# Patient work yields the loop for this multiple of the time that it worked.
_OTHERS: Final = 3
# So many times as long as it worked, work that rests leaves the processor to others.
_RESTS: Final = 4
# Within these seconds a turn of the loop has done no work.
_NOTHING: Final = 0.000_05


class Slices:
    """Lets the loop go on every few milliseconds. One for each piece of work, from its beginning.

    `patient`: no caller waits for this work; it may take longer where others are busy. `resting`, which may change: it
    may always take longer, since what others wait for is under way in other processes as well.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, patient: bool = False) -> None:
        self._clock = clock
        self.resting = False
        self._others = _OTHERS if patient else 0
        self._until = clock() + SLICE_SECONDS

    @property
    def over(self) -> bool:
        """It is time for a `turn`: to ask first spares small steps the way there."""
        return self._clock() >= self._until

    async def turn(self) -> None:
        """Come here after each step."""
        if self.over:
            await self._rest()

    async def _rest(self) -> None:
        """Let others go on: for a turn, or as long as they are due and busy."""
        clock = self._clock
        last = clock()
        # A step may have taken longer than a slice.
        worked = last - self._until + SLICE_SECONDS
        if self.resting:
            await asyncio.sleep(_RESTS * worked)
            self._until = clock() + SLICE_SECONDS
            return
        until = last + self._others * worked
        while True:
            # One call takes several turns of the loop, from its handshake to its answer.
            await asyncio.sleep(0)
            now = clock()
            if now >= until or now - last < _NOTHING:
                break
            last = now
        self._until = now + SLICE_SECONDS

    async def all(self, steps: Steps[None] | None) -> None:
        """Take these steps likewise, if there are any."""
        if steps is not None:
            await self.through(steps)

    async def through(self, steps: Steps[_Result]) -> _Result:
        """Take these steps, and come here after each."""
        clock = self._clock
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: _Result = end.value
                return result
            # As in `turn`, which takes longer to call than most steps.
            if clock() >= self._until:
                await self._rest()
