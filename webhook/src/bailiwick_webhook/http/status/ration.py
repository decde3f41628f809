"""Rations: what may be done for those who ask on the status port, for the operator and for all strangers together.

Standing: under `health`. Holds: of one kind of work one piece is done at a time for each of the two, and after each
comes a rest that is nine times as long, so that a flood gets a tenth of the loop and decisions have the others;
a few wait for their turn, and all others are refused. A place is taken when the body is there, never before.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from aiohttp import web

from bailiwick_webhook.http.problems import overloaded
from bailiwick_webhook.http.status.senders import StatusBody, StatusSenders
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


class Rations:
    """Of one kind of work, one for the operator and one that strangers share, so that neither waits for the other."""

    def __init__(self, most: int, counts: Counts) -> None:
        self._operator, self._strangers = Ration(most, counts), Ration(most, counts)

    def ration_for(self, body: StatusBody) -> Ration:
        """Return the one of the sender."""
        return self._operator if body.operator else self._strangers

    @property
    def strangers(self) -> Ration:
        """Return the one of a request without a body, which authenticates no one."""
        return self._strangers


async def answered(
    request: web.Request, senders: StatusSenders, rations: Rations, most: int, answer: Callable[[bytes], web.Response]
) -> web.Response:
    """Answer a question of at most so many bytes, in its turn. Raises `ProblemError` (400, 429)."""
    body = await senders.body(request, most)
    if body is None:
        return web.Response(status=413, text=f"the request body must have at most {most} bytes\n")
    ration = rations.ration_for(body)
    with ration.place():
        async with ration.turn():
            return answer(body.raw)


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
                self._next = asyncio.create_task(self._produce())
            # Shielded: that one of them goes away must not fail the others.
            return await asyncio.shield(self._next)

    async def _produce(self) -> bytes:
        async with self._ration.turn():
            # Those who ask from now on may want to know of what happens while it is made.
            self._next = None
            return await asyncio.to_thread(self._make)
