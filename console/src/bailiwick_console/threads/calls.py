"""Calls of the API server from threads: the command line's client waits for its answers, the event loop must not.

Holds: at most a few calls at once and a few that wait for their turn; the threads are daemons, so that an API server
that hangs keeps no terminal.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from bailiwick_governance.errors import UserError

Found = TypeVar("Found")

_AT_ONCE: Final = 4
_WAITING: Final = 32


class UnsentError(UserError):
    """Nothing was sent to the API server, for a reason of our own."""


class FullConsoleError(UnsentError):
    """Too many calls wait already, so this one was never begun."""

    def __init__(self) -> None:
        super().__init__("the console waits for too many answers of the API server: try again in a moment")


class ClusterThreads:
    """Runs what waits for the API server."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    @property
    def full(self) -> bool:
        """Whether a call would have to wait for its turn."""
        return self._slots.locked()

    async def run(self, call: Callable[[], Found]) -> Found:
        """Return what the call returns, or raise what it raises. Raises `FullConsoleError` where too many wait."""
        if self._waiting >= _WAITING:
            raise FullConsoleError
        self._waiting += 1
        try:
            async with self._slots:
                return await _in_thread(call)
        finally:
            self._waiting -= 1


async def _in_thread(call: Callable[[], Found]) -> Found:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Found] = loop.create_future()

    def work() -> None:
        try:
            found = call()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where it is awaited
            tell_loop(loop, _raise, answer, error)
        else:
            tell_loop(loop, _answer, answer, found)

    threading.Thread(target=work, name="console-call", daemon=True).start()
    return await answer


def tell_loop(loop: asyncio.AbstractEventLoop, tell: Callable[..., object], *given: object) -> None:
    """Have a loop call this, from another thread; where it has ended, nothing is called."""
    with contextlib.suppress(RuntimeError):
        # The loop has ended.
        loop.call_soon_threadsafe(tell, *given)


def _answer(answer: asyncio.Future[Found], found: Found) -> None:
    if not answer.done():
        answer.set_result(found)


def _raise(answer: asyncio.Future[Found], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
