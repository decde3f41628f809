"""Bodies that come in pieces: how long one may take, and how many bytes of all of them are kept at a time.

Standing: under `body` and `admission`. Holds: a client that sends slowly holds what a request holds for moments only: a
body keeps up with a rate, on average and after a short grace, or is not waited for; the bytes that are kept are divided
as slots are, and what is refused was not decided.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Final, Self, TypeVar

from aiohttp import web

from bailiwick_webhook.http.problems import ProblemError, bad_request, overloaded
from bailiwick_webhook.http.shares.bounds import Bounds, Pace
from bailiwick_webhook.http.shares.quota import Quota
from bailiwick_webhook.http.shares.slots import Sender
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import CallerClass, Overload, Port

_Read = TypeVar("_Read")

_ENFORCERS: Final = CallerClass.ENFORCERS
# What reading a body raises where its client went away, or sent less than it said, or nonsense between its chunks.
# TLS's own errors are an OSError, too.
TORN: Final = (web.RequestPayloadError, OSError)


class Bodies:
    """The bodies of one port that are being read. Lives in one loop."""

    def __init__(self, port: Port, bounds: Bounds, counts: Counts) -> None:
        self.port = port
        self.pace = bounds.pace
        self.counts = counts
        self.log = LogLimit()
        parts = bounds.divided(bounds.body_bytes)
        self._enforcers, self._others = Quota(parts.enforcers), Quota(parts.others)

    def body(self, sender: Sender) -> "Body":
        """Return what reads one body of this sender."""
        return Body(self, sender, self._enforcers if sender.who is _ENFORCERS else self._others)


class Body:
    """One body, as a context manager: its bytes are counted until the block is left."""

    __slots__ = ("_bodies", "_kept", "_quota", "_sender")

    def __init__(self, bodies: Bodies, sender: Sender, quota: Quota) -> None:
        self._bodies = bodies
        self._sender = sender
        self._quota = quota
        self._kept = 0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Keep nothing any more."""
        kept, self._kept = self._kept, 0
        if kept:
            who, name, group = self._sender
            self._quota.give_back(name, group, kept)
            self._bodies.counts.body_bytes[who] -= kept

    async def read(self, request: web.BaseRequest, most: int) -> bytes | None:
        """Return the body, and no more of it than fits; None where it is larger than that.

        Raises `ProblemError` (400, 429).
        """
        return await self._read(paced(request, most, self._bodies.pace, self._keep))

    async def beginning(self, request: web.BaseRequest, most: int) -> bytes:
        """Return the first bytes of the body, `most` or fewer, and read no more. Raises `ProblemError` (400, 429)."""
        return await self._read(begun(request, most, self._bodies.pace, self._keep))

    async def _read(self, reading: Coroutine[object, object, _Read]) -> _Read:
        counts, port, (who, name, _) = self._bodies.counts, self._bodies.port, self._sender
        try:
            return await reading
        except TimeoutError:
            counts.bodies_slow[port, who] += 1
            self._bodies.log.warning("request body too slow", port=port.value, sender=name, bytes=self._kept)
            raise slow(self._bodies.pace) from None
        except TORN as error:
            # The stream keeps it: by the frames of its traceback, the request would wait for the collector.
            error.__traceback__ = None
            counts.malformed[port] += 1
            self._bodies.log.debug("request body incomplete", port=port.value, sender=name, bytes=self._kept)
            raise torn() from None

    def _keep(self, size: int) -> None:
        counts, (who, name, group) = self._bodies.counts, self._sender
        if (why := self._quota.take(name, group, size)) is not None:
            counts.overloads[Overload.BYTES, who] += 1
            self._bodies.log.warning(
                "too many bytes of request bodies are being read",
                why=why.value,
                sender=name,
                all=counts.body_bytes[who],
            )
            raise overloaded(Overload.BYTES)
        self._kept += size
        counts.body_bytes[who] += size


async def paced(request: web.BaseRequest, most: int, pace: Pace, keep: Callable[[int], None]) -> bytes | None:
    """Return a body, and no more of it than fits; None where it is larger than that. `keep` is called with each piece.

    Raises `TimeoutError` where it comes too slowly, `TORN` where it breaks off, and what `keep` raises.
    """
    if request.content_length is not None and request.content_length > most:
        return None
    raw = bytearray()
    async for chunk in _pieces(request, pace, keep):
        raw += chunk
        if len(raw) > most:
            return None
    return bytes(raw)


async def begun(request: web.BaseRequest, most: int, pace: Pace, keep: Callable[[int], None]) -> bytes:
    """Return the beginning of a body, as `paced` does the whole: so many bytes, or fewer where there are no more."""
    raw = bytearray()
    async for chunk in _pieces(request, pace, keep):
        raw += chunk
        if len(raw) >= most:
            break
    return bytes(raw[:most])


async def _pieces(request: web.BaseRequest, pace: Pace, keep: Callable[[int], None]) -> AsyncIterator[bytes]:
    content, size = request.content, 0
    began = asyncio.get_running_loop().time()
    while True:
        if request.transport is None and not content.is_eof():
            # It went away before this looked, and aiohttp does not report that again.
            raise ConnectionResetError
        try:
            async with asyncio.timeout_at(began + pace.seconds_for(size)):
                chunk = await content.readany()
        except TimeoutError:
            if content.total_bytes > size:
                # It is there: it was us who came too late to look.
                continue
            raise
        if not chunk:
            return
        keep(len(chunk))
        size += len(chunk)
        yield chunk


def slow(pace: Pace) -> ProblemError:
    """400: request body too slow."""
    return bad_request(
        f"the body arrived too slowly: after {pace.grace:g} s it must arrive at {pace.rate} bytes per second or more,"
        f" and after {pace.seconds:g} s it must be complete",
        "",
    )


def torn() -> ProblemError:
    """400: there is less of the body than was promised."""
    return bad_request("the body is incomplete", "")
