"""Answers: what is true of every one of them, and the decision's own, which is written in one piece.

Holds: the request id is echoed; nothing may be kept by a cache unless it says so; whatever is not foreseen is a 500
that says nothing; an answer while we drain ends its connection, so that none is cut later.
"""

import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final

import msgspec
import orjson
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE, HttpVersion11

from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.http.problems import CONTENT_TYPE, ProblemError, unavailable
from bailiwick_webhook.http.tracing import REQUEST_ID, request_id
from bailiwick_webhook.loglimit import LogLimit

JSON: Final = "application/json"

_limited: Final = LogLimit()


def json(status: int, body: Mapping[str, Any], **headers: str) -> web.Response:
    """Return a JSON answer."""
    return said(orjson.dumps(body), status, **headers)


def said(body: bytes, status: int = 200, **headers: str) -> web.Response:
    """Return an answer of JSON that is written out already."""
    return web.Response(status=status, body=body, content_type=JSON, headers=headers)


def decided(request: web.BaseRequest, body: bytes, *, closing: bool) -> web.StreamResponse:
    """Return the answer that carries a decision, finished; in one piece where nothing asks for more than that."""
    if request.version == HttpVersion11 and request.keep_alive and not closing:
        return WholeResponse(body, request_id(request))
    return finished(request, said(body), closing=closing)


class WholeAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer in bytes, with its status. `closing`: it says that the connection ends with it."""

    raw: bytes
    status: int
    closing: bool


def broken(path: str, error: Exception, echoed: str | None) -> WholeAnswer:
    """Return the answer to a request that met a defect, which ends its connection."""
    body = _defect(path, error).body()
    told = "" if echoed is None else f"{REQUEST_ID}: {echoed}\r\n"
    head = (
        f"HTTP/1.1 500 Internal Server Error\r\nContent-Type: {CONTENT_TYPE}\r\nCache-Control: no-store\r\n{told}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return WholeAnswer(head.encode() + body, HTTPStatus.INTERNAL_SERVER_ERROR, closing=True)


def failed(request: web.BaseRequest, error: Exception) -> web.StreamResponse:
    """Return the answer to a request that came to this instead of an answer."""
    match error:
        case ProblemError():
            return error.response()
        case ClusterUnavailableError():
            _limited.warning("API server did not respond", path=request.path, error=str(error))
            return unavailable("The API server does not respond at the moment. Try again.").response()
        case web.HTTPException():
            response = ProblemError(
                error.status, "http", error.reason, "Nothing exists at this path for this method."
            ).response()
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
            return response
        case _:
            return _defect(request.path, error).response()


def _defect(path: str, error: Exception) -> ProblemError:
    _limited.error("unexpected failure", path=path, exc_info=error)
    return ProblemError(500, "internal", "Internal error", "The decision point failed. Treat this as a denial.")


def finished(request: web.BaseRequest, response: web.StreamResponse, *, closing: bool) -> web.StreamResponse:
    """Give an answer what every answer has."""
    if closing:
        response.force_close()
    response.headers.setdefault("Cache-Control", "no-store")
    if (echoed := request_id(request)) is not None:
        response.headers[REQUEST_ID] = echoed
    return response


class WholeResponse(web.StreamResponse):
    """200 on a connection of HTTP/1.1 that stays open, head and body in one write.

    It has the headers that `said` and `finished` and aiohttp give together, and none of aiohttp's way to them, which
    takes longer than to decide. Of aiohttp it needs what `RequestHandler.finish_response` asks of an answer.
    """

    # What the superclass would set for each one anew; it is not called for that.
    _status = 200
    _reason = "OK"
    _keep_alive = True

    def __init__(self, body: bytes, echoed: str | None) -> None:
        self._whole = body
        self._echoed = echoed
        self._request: web.BaseRequest | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Only remember whom to answer: head and body go out together."""
        self._request = request
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - the superclass has it
        """Write. Raises `ConnectionError` where nobody is there any more."""
        request = self._request
        transport = None if request is None else request.transport
        if request is None or transport is None or transport.is_closing():
            raise ConnectionResetError("the connection was closed before the answer")
        transport.write(whole(self._whole, self._echoed))
        if request.protocol.writing_paused:
            # Whoever does not read its answers is not read from either.
            await request.writer.drain()


def whole(body: bytes, echoed: str | None) -> bytes:
    """Return the bytes of a 200 with this body. `echoed` is the request's id."""
    told = "" if echoed is None else f"{REQUEST_ID}: {echoed}\r\n"
    return b"".join((_head.now(), f"{told}Content-Length: {len(body)}\r\n\r\n".encode(), body))


class _Head:
    """The lines that are the same in every decision's answer for as long as a second lasts."""

    def __init__(self) -> None:
        self._second = -1
        self._lines = b""

    def now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            date = formatdate(second, usegmt=True)
            lines = (
                "HTTP/1.1 200 OK",
                f"Content-Type: {JSON}",
                "Cache-Control: no-store",
                f"Date: {date}",
                f"Server: {SERVER_SOFTWARE}",
                "",
            )
            self._lines, self._second = "\r\n".join(lines).encode("ascii"), second
        return self._lines


_head: Final = _Head()
