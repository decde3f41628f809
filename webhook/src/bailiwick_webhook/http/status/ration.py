"""Rations: what may be done for those who ask on the status port, where nobody says who they are.

Standing: under `health`. Holds: of one kind of work one piece is done at a time, and after each comes a rest that is
nine times as long, so that whoever floods gets a tenth of the loop and decisions have the others; a few wait for their
turn, and whoever else comes is refused before its body is read.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from aiohttp import web

from bailiwick_webhook.http.problems import overloaded
from bailiwick_webhook.http.shares.bounds import PACE
from bailiwick_webhook.http.transport.bodies import TORN, paced, torn
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import CallerClass, Overload

_REST: Final = 9.0
# However long a piece took: a process that was stopped meanwhile would rest for minutes.
_LONGEST: Final = 1.0


class Ration:
    """Of one kind of work. `most` wait for their turn, the one whose turn it is among them. Lives in one loop.

    `clock` is monotonic, in seconds, and `sleep` takes them.
    """

    def __init__(
        self,
        most: int,
        counts: Counts,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._most = most
        self._counts = counts
        self._clock = clock
        self._sleep = sleep
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._rested = 0.0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Wait with the others. Raises `ProblemError` (429) where those are too many."""
        if self._waiting >= self._most:
            self._counts.overloads[Overload.STATUS, CallerClass.OTHERS] += 1
            raise overloaded(Overload.STATUS)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Work: alone, and rested."""
        async with self._turn:
            await self._sleep(max(0.0, self._rested - self._clock()))
            began = self._clock()
            try:
                yield
            finally:
                now = self._clock()
                self._rested = now + min(_REST * (now - began), _LONGEST)


async def body_of(request: web.Request, most: int) -> bytes | None:
    """Return a small body; None: it has more bytes than `most`. Raises `ProblemError` (400)."""
    try:
        return await paced(request, most, PACE, lambda _: None)
    except TORN:
        # One that comes too slowly is one of them.
        raise torn() from None


async def answered(
    request: web.Request, ration: Ration, most: int, answer: Callable[[bytes], web.Response]
) -> web.Response:
    """Answer a question of at most so many bytes, in its turn. Raises `ProblemError` (400, 429)."""
    with ration.place():
        raw = await body_of(request, most)
        if raw is None:
            return web.Response(status=413, text=f"the request body must have at most {most} bytes\n")
        async with ration.turn():
            return answer(raw)


class SharedResult:
    """What is made for all at once who wait for it, in a thread: never older than the question that it answers."""

    def __init__(self, ration: Ration, make: Callable[[], bytes]) -> None:
        self._ration = ration
        self._make = make
        self._next: asyncio.Task[bytes] | None = None

    async def get(self) -> bytes:
        """Return it. Raises `ProblemError` (429)."""
        with self._ration.place():
            if self._next is None:
                self._next = asyncio.create_task(self._made())
            # Shielded: that one of them goes away must not fail the others.
            return await asyncio.shield(self._next)

    async def _made(self) -> bytes:
        async with self._ration.turn():
            # Whoever asks from now on may want to know of what happens while it is made.
            self._next = None
            return await asyncio.to_thread(self._make)
