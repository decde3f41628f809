"""Turns for threads: while a thread has work, a busy loop releases the interpreter lock for long enough.

Standing: the writer of records uses them, and so does every pool of threads to which the loop hands work. Holds: while
there is work, a thread gets the lock every few milliseconds, even if the loop is busy, and the loop pauses no more
often for many threads than for one; without work it does not pause.

CPython forces a handover of the lock only to a thread that has waited for a whole switch interval in which no thread
released it (`take_gil`, in 3.11 as in 3.13). A busy uvloop releases it before each callback, for a moment that is
shorter than the thread takes to wake up: the thread finds it taken, and begins to wait again. With a decision every 100
to 250 us, and an idle core, a write of records did not return for more than a second, and decisions were denied.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

# A sixteenth of the loop's time, plus the time to get the lock back from a thread that computes: a switch interval. A
# thread takes 0.05 ms to wake up.
_EVERY: Final = 0.003
_PAUSE: Final = 0.0002

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")


class ThreadTurns:
    """Releases the lock regularly while there is work. Lives in one loop; only `end` may be called in a thread."""

    def __init__(self, pause: Callable[[float], object] = time.sleep) -> None:
        self._pause = pause
        # A set, because a single operation on it is atomic across threads.
        self._working: set[object] = set()
        self._timed = False

    def begin(self, work: object) -> None:
        """Note that a thread has been given this work."""
        self._working.add(work)
        if not self._timed:
            asyncio.get_running_loop().call_later(_EVERY, self._turn)
            self._timed = True

    def end(self, work: object) -> None:
        """Note that this work is done."""
        self._working.discard(work)

    def _turn(self) -> None:
        if not self._working:
            self._timed = False
            return
        self._pause(_PAUSE)
        asyncio.get_running_loop().call_later(_EVERY, self._turn)


# One for each loop: each further one would add pauses.
_TURNS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, ThreadTurns]] = WeakKeyDictionary()


def turns_of(loop: asyncio.AbstractEventLoop) -> ThreadTurns:
    """Return the turns of a loop."""
    turns = _TURNS.get(loop)
    if turns is None:
        turns = _TURNS[loop] = ThreadTurns()
    return turns


class TurnTakingPool(ThreadPoolExecutor):
    """A pool of threads in which work from a loop makes progress while the loop is busy."""

    def submit(
        self, work: Callable[_Arguments, _Result], /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> "Future[_Result]":
        """Submit work; work from outside a loop takes no turns. Raises `RuntimeError` after the end of the pool."""
        future = super().submit(work, *args, **kwargs)
        try:
            turns = turns_of(asyncio.get_running_loop())
        except RuntimeError:
            return future
        turns.begin(future)
        future.add_done_callback(turns.end)
        return future
