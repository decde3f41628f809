"""Turns for threads: while one has work, a busy loop lets go of the interpreter lock for long enough.

Standing: the writer of records asks for them, and so does every pool of threads that the loop hands work to. Holds: as
long as work is under way, a thread gets the lock every few milliseconds, however busy the loop is, and the loop pauses
no more often for many threads than for one; without work it does not pause.

CPython hands the lock over by force only to a thread that has waited for a whole switch interval in which no thread let
go of it (`take_gil`, in 3.11 as in 3.13). A busy uvloop lets go of it before each callback, for a moment that is
shorter than the thread takes to wake up: the thread finds it taken, and begins to wait again. With a decision every 100
to 250 us, and an idle core, a write of records did not return for more than a second, and decisions were denied.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

# A sixteenth of the loop's time, and what it waits to get the lock back from a thread that computes: a switch interval.
# A thread takes 0.05 ms to wake up.
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
            asyncio.get_running_loop().call_later(_EVERY, self._turn)
            self._timed = True

    def ended(self, work: object) -> None:
        """Take note that this work is done."""
        self._working.discard(work)

    def _turn(self) -> None:
        if not self._working:
            self._timed = False
            return
        self._pause(_PAUSE)
        asyncio.get_running_loop().call_later(_EVERY, self._turn)


# One for each loop: several would each make it pause.
_TURNS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, ThreadTurns]] = WeakKeyDictionary()


def turns_of(loop: asyncio.AbstractEventLoop) -> ThreadTurns:
    """Return the turns of a loop."""
    turns = _TURNS.get(loop)
    if turns is None:
        turns = _TURNS[loop] = ThreadTurns()
    return turns


class TurnTakingPool(ThreadPoolExecutor):
    """A pool of threads, in which work that a loop hands over gets done while the loop is busy."""

    def submit(
        self, work: Callable[_Arguments, _Result], /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> "Future[_Result]":
        """Have it done; what comes from no loop takes no turns. Raises `RuntimeError` after the end of the pool."""
        future = super().submit(work, *args, **kwargs)
        try:
            turns = turns_of(asyncio.get_running_loop())
        except RuntimeError:
            return future
        turns.begun(future)
        future.add_done_callback(turns.ended)
        return future
