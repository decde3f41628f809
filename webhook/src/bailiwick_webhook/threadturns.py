"""Turns for threads: while one has work, a busy loop lets go of the interpreter lock for long enough to be had.

Standing: the writer of records has one, and so has every pool of threads that the loop hands work to. Holds: as long as
work is under way, a thread gets the lock every few milliseconds, however busy the loop is; without work, nothing.

CPython hands the lock over by force only to a thread that has waited for a whole switch interval in which nobody let go
of it (`take_gil` in ceval_gil.h). A busy uvloop lets go of it before each callback, for a moment that is shorter than
the thread takes to wake up: the thread finds it taken, and begins to wait anew. With a decision every 100 to 250 us,
and a core that nobody used, a write of records did not return for more than a second, and decisions were denied for it.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

# So that the loop gives away a fifteenth of its time at most. A thread takes 0.05 ms to wake up.
_EVERY: Final = 0.003
_PAUSE: Final = 0.0002

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")


class ThreadTurns:
    """Lets go of the lock while anything is under way. Lives in one loop; `ended` alone may be called in a thread."""

    def __init__(self, pause: Callable[[float], object] = time.sleep) -> None:
        self._pause = pause
        # A set, since one operation on it is done as a whole, in whichever thread.
        self._working: set[object] = set()
        self._timed = False

    def begun(self, work: object) -> None:
        """Take note that a thread has been given this work."""
        self._working.add(work)
        if not self._timed:
            self._timed = True
            asyncio.get_running_loop().call_later(_EVERY, self._turn)

    def ended(self, work: object) -> None:
        """Take note that this work is done."""
        self._working.discard(work)

    def _turn(self) -> None:
        if not self._working:
            self._timed = False
            return
        self._pause(_PAUSE)
        asyncio.get_running_loop().call_later(_EVERY, self._turn)


class TurnTakingPool(ThreadPoolExecutor):
    """A pool of threads for work that the loop hands over, which gets done beside a busy loop. Lives in one loop."""

    def __init__(
        self, max_workers: int | None = None, thread_name_prefix: str = "", *, turns: ThreadTurns | None = None
    ) -> None:
        super().__init__(max_workers, thread_name_prefix)
        self._turns = turns or ThreadTurns()

    def submit(
        self, work: Callable[_Arguments, _Result], /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> "Future[_Result]":
        """Have it done. To be called on the loop; raises `RuntimeError` after the end of the pool."""
        future = super().submit(work, *args, **kwargs)
        self._turns.begun(future)
        future.add_done_callback(self._turns.ended)
        return future
