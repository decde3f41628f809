"""Offloading: what takes long for one call is done beside the loop, in one thread, in turn by tenant.

Standing: under the pipeline and the request authenticator, which ask for it for large bodies and for explanations;
`pdp` hands it to `history` too. Holds: one piece of work is done at a time, so that others wait for the interpreter
lock for moments only; each tenant has its turn, so that a crowd of one waits behind itself alone.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from bailiwick_engine.fairqueue import FairQueue
from bailiwick_webhook.threadturns import TurnTakingPool

LARGE: Final = 8 * 1024
"""Bytes of a body from which on it is read and decided beside the loop: what is smaller takes a few milliseconds."""

_Result = TypeVar("_Result")


class Offload:
    """One thread, started by the first piece of work. Lives in one loop."""

    def __init__(self) -> None:
        self._thread = _one_thread()
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()
        self._busy = False

    async def run(self, tenant: str, work: Callable[[], _Result], *, large: bool = True) -> _Result:
        """Do this piece of work in its turn, and return what it returns. Raises what it raises.

        What is not `large` is done at once, in the loop.
        """
        if not large:
            return work()
        await self._turn(tenant)
        try:
            running = asyncio.get_running_loop().run_in_executor(self._thread, work)
        except BaseException:
            # No thread could be started. The pool kept the work, for no one; the next caller may try.
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = _one_thread()
            self._next(None)
            raise
        running.add_done_callback(self._next)
        # Shielded: the caller may go away, and the thread works on, for which the next one has to wait all the same.
        return await asyncio.shield(running)

    async def _turn(self, tenant: str) -> None:
        if not self._busy:
            self._busy = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(tenant, turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._queue.drop(tenant, turn)
            if turn.done() and not turn.cancelled():
                # It was given its turn at the very moment when it went away.
                self._next(None)
            raise

    def _next(self, done: asyncio.Future[Any] | None) -> None:
        if done is not None and not done.cancelled():
            # The caller may be gone: then nothing else looks at it.
            done.exception()
        while self._queue.count:
            turn = self._queue.pop()
            # One that has gone away may not have come to take itself out.
            if not turn.done():
                turn.set_result(None)
                return
        self._busy = False

    def close(self) -> None:
        """Start nothing more. What is under way ends by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _one_thread() -> TurnTakingPool:
    return TurnTakingPool(max_workers=1, thread_name_prefix="offload")
