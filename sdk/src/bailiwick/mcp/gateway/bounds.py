"""What one caller of the gateway can cost others: bodies, and calls under way.

Holds: a body is read before a call takes a place, within a time and within bytes that all bodies share; no address has
more of those bytes, and no caller more of the places, than are free. The decision point says whose a token is: a call
with one that it does not accept ends as soon as that is known, so that it holds its place for moments.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bailiwick.mcp.calls import bearer
from bailiwick.mcp.gate import WAITING_CALLS
from bailiwick.mcp.places import RUNNING_PLACE, GatewayQuota, RunningPlace, caller_of

PATH: Final = "/mcp"
_ALL_BODIES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayBounds:
    """What one process takes at a time, and how long it takes to end. Durations are in seconds, `body_rate` a second.

    A body has `body_grace` seconds, and then must keep up with `body_rate`; after `body_seconds` it must be complete.
    """

    body_bytes: int = 512 * 1024
    body_rate: int = 8 * 1024
    body_grace: float = 2.0
    body_seconds: float = 10.0
    calls: int = 256
    waiting: int = WAITING_CALLS
    connections: int = 512
    head_seconds: float = 20.0
    drain_seconds: float = 10.0


class BodyLimit:
    """Reads the body of a call before anything else is done for it, and answers 408, 413 or 503 where it cannot."""

    def __init__(self, app: ASGIApp, bounds: GatewayBounds) -> None:
        """Stand before an application."""
        self._app = app
        self._bounds = bounds
        # A call that waits for an approval keeps its body, and leaves the others theirs.
        self._bytes = GatewayQuota((_ALL_BODIES + bounds.waiting) * bounds.body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        address = str((scope.get("client") or ("",))[0])
        with self._kept(address) as keep:
            body = await self._read(Headers(scope=scope), receive, keep)
            if isinstance(body, JSONResponse):
                await body(scope, receive, send)
                return
            if body is None:
                return
            waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

            async def replay() -> Message:
                return waiting.pop() if waiting else await receive()

            await self._app(scope, replay, send)

    @contextmanager
    def _kept(self, address: str) -> "Iterator[_Keep]":
        keep = _Keep(self._bytes, address)
        try:
            yield keep
        finally:
            keep.end()

    async def _read(self, headers: Headers, receive: Receive, keep: "_Keep") -> bytes | JSONResponse | None:
        """Return the body, what is answered in its place, or None where the caller went away."""
        bounds, raw = self._bounds, bytearray()
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > bounds.body_bytes:
            return _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._too_large)
        began = asyncio.get_running_loop().time()
        while True:
            allowed = min(bounds.body_seconds, bounds.body_grace + len(raw) / bounds.body_rate)
            try:
                async with asyncio.timeout_at(began + allowed):
                    message = await receive()
            except TimeoutError:
                return _refused(
                    HTTPStatus.REQUEST_TIMEOUT,
                    f"the body arrived too slowly: after {bounds.body_grace:g} s it must arrive at {bounds.body_rate}"
                    f" bytes per second or more, and after {bounds.body_seconds:g} s it must be complete",
                )
            if message["type"] != "http.request":
                return None
            piece = message.get("body", b"")
            if len(raw) + len(piece) > bounds.body_bytes:
                return _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._too_large)
            if not keep.more(len(piece)):
                return _refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many bytes of request bodies at a time")
            raw += piece
            if not message.get("more_body", False):
                return bytes(raw)

    @property
    def _too_large(self) -> str:
        return f"the request body must have at most {self._bounds.body_bytes} bytes"


class _Keep:
    """The bytes of one body."""

    def __init__(self, share: GatewayQuota, address: str) -> None:
        self._share, self._address, self._size = share, address, 0

    def more(self, size: int) -> bool:
        if size and not self._share.take(self._address, size):
            return False
        self._size += size
        return True

    def end(self) -> None:
        if self._size:
            self._share.give_back(self._address, self._size)


class CallLimit:
    """Answers 503 to a call that is one too many, and 429 to one of a caller who has as many places as are free.

    A call that waits for an approval gives its place back.

    Health is always answered, or a probe would end a busy process.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        """Stand before an application."""
        self._app = app
        self._places = GatewayQuota(most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        name = caller_of(bearer(Headers(scope=scope).getlist("authorization")) or "")
        if not self._places.take(name):
            full = self._places.free < 1
            status = HTTPStatus.SERVICE_UNAVAILABLE if full else HTTPStatus.TOO_MANY_REQUESTS
            said = "too many calls at a time" if full else "too many calls of this caller at a time"
            await JSONResponse({"error": said}, status, {"Retry-After": "1"})(scope, receive, send)
            return
        place = RunningPlace(self._places, name)
        token = RUNNING_PLACE.set(place)
        try:
            await self._app(scope, receive, send)
        finally:
            RUNNING_PLACE.reset(token)
            place.give_back()


def _refused(status: HTTPStatus, why: str) -> JSONResponse:
    # The rest of the body is not read, so that nothing can follow it.
    headers = {"Connection": "close"} | ({"Retry-After": "1"} if status is HTTPStatus.SERVICE_UNAVAILABLE else {})
    return JSONResponse({"error": why}, status, headers)
