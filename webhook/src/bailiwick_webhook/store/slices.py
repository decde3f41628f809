"""Slices: long work on the event loop in short pieces, so that whoever asks meanwhile is answered.

Holds: between two turns no more is done than what one step takes; what is half done is seen by nobody.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

from bailiwick_engine.steps import Steps

_Result = TypeVar("_Result")

SECONDS: Final = 0.002


class Slices:
    """Lets the loop go on every few milliseconds. One for each piece of work, from its beginning."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = clock() + SECONDS

    async def turn(self) -> None:
        """Come here after each step."""
        if self._clock() >= self._until:
            await asyncio.sleep(0)
            self._until = self._clock() + SECONDS

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
                await asyncio.sleep(0)
                self._until = clock() + SECONDS
