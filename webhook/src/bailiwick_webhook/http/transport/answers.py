"""Answers: what is true of every one of them, as aiohttp sends them and as whole bytes.

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
from aiohttp.http import SERVER_SOFTWARE

from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.http.problems import CONTENT_TYPE, ProblemError, unavailable
from bailiwick_webhook.http.tracing import REQUEST_ID, request_id
from bailiwick_webhook.loglimit import LogLimit

JSON: Final = "application/json"
# Members of an enumeration are looked up slowly.
_OK: Final = int(HTTPStatus.OK)

_limited: Final = LogLimit()


def json(status: int, body: Mapping[str, Any], **headers: str) -> web.Response:
    """Return a JSON answer."""
    return json_response(orjson.dumps(body), status, **headers)


def json_response(body: bytes, status: int = 200, **headers: str) -> web.Response:
    """Return an answer of JSON that is written out already."""
    return web.Response(status=status, body=body, content_type=JSON, headers=headers)


class WholeAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer in bytes, with its status. `closing`: it says that the connection ends with it."""

    raw: bytes
    status: int
    closing: bool = False

    def ending(self) -> "WholeAnswer":
        """Return the same answer, which ends its connection."""
        if self.closing:
            return self
        return WholeAnswer(self.raw.replace(b"\r\n", b"\r\nConnection: close\r\n", 1), self.status, closing=True)


def whole(body: bytes, echoed: str | None) -> WholeAnswer:
    """Return the 200 with this body of JSON. `echoed` is the request's id."""
    told = "" if echoed is None else f"{REQUEST_ID}: {echoed}\r\n"
    return WholeAnswer(b"".join((_head.now(), f"{told}Content-Length: {len(body)}\r\n\r\n".encode(), body)), _OK)


def refused(problem: ProblemError, echoed: str | None) -> WholeAnswer:
    """Return the answer that is a problem. `echoed` is the request's id."""
    body = problem.body()
    headers = {"Content-Type": CONTENT_TYPE, **problem.headers, "Cache-Control": "no-store"}
    if echoed is not None:
        headers[REQUEST_ID] = echoed
    headers |= {"Content-Length": str(len(body)), "Date": formatdate(usegmt=True), "Server": SERVER_SOFTWARE}
    lines = (
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}",
        *(f"{name}: {value}" for name, value in headers.items()),
    )
    return WholeAnswer("\r\n".join((*lines, "", "")).encode() + body, problem.status)


def broken(path: str, error: Exception, echoed: str | None) -> WholeAnswer:
    """Return the answer to a request that met a defect, which ends its connection."""
    return refused(_defect(path, error), echoed).ending()


def unanswered(path: str, error: Exception, echoed: str | None) -> WholeAnswer:
    """Return the answer to a request that came to this instead of an answer."""
    problem = _problem(path, error)
    return broken(path, error, echoed) if problem is None else refused(problem, echoed)


def failed(request: web.BaseRequest, error: Exception) -> web.StreamResponse:
    """Return the answer to a request that came to this instead of an answer."""
    if isinstance(error, web.HTTPException):
        response = ProblemError(
            error.status, "http", error.reason, "Nothing exists at this path for this method."
        ).response()
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    return (_problem(request.path, error) or _defect(request.path, error)).response()


def _problem(path: str, error: Exception) -> ProblemError | None:
    """Return the answer to the client for an error; None where that is a defect."""
    match error:
        case ProblemError():
            return error
        case ClusterUnavailableError():
            _limited.warning("API server did not respond", path=path, error=str(error))
            return unavailable("The API server does not respond at the moment. Try again.")
        case _:
            return None


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
