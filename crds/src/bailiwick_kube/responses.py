"""Responses of the API server, and what kind of answer each one is. Pure.

Holds: a response that does not answer the question (`unanswered`) is kept apart from a refusal, which does: after a
refusal nothing has changed, and the same request is refused again.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson

_OK: Final = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)
# The API server no longer accepts our token, or there are too many requests.
_NOT_NOW: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}


def is_success(status: int) -> bool:
    """Tell whether a status is 2xx."""
    return status in _OK


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response of the API server. `body` is empty if it was not a JSON object.

    `date` is the server's time in seconds since the epoch; None if it sent none. With `readable` False, the body was
    not JSON, so no API server that serves the kind wrote it; a proxy in between may have answered.
    """

    status: int
    body: dict[str, Any]
    date: float | None = None
    readable: bool = True

    @property
    def ok(self) -> bool:
        """Whether the API server carried out the request (2xx)."""
        return self.status in _OK

    @property
    def missing(self) -> bool:
        """Whether the object or its kind does not exist (404)."""
        return self.status == HTTPStatus.NOT_FOUND

    @property
    def conflict(self) -> bool:
        """Whether the object is not, or is no longer, the one that the call expected (409)."""
        return self.status == HTTPStatus.CONFLICT

    @property
    def gone(self) -> bool:
        """Whether the API server no longer has the requested version (410): list again."""
        return self.status == HTTPStatus.GONE

    @property
    def unanswered(self) -> bool:
        """Whether it says nothing about the object: our own 401, 429, 5xx, or a redirect, which is never followed."""
        return (
            self.status in _NOT_NOW
            or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST
        )

    @property
    def message(self) -> str:
        """The message for a person."""
        if not self.readable:
            hint = ": make sure that the CRDs in crds/ are applied" if self.missing else ""
            return f"status {self.status}, and the body is not JSON{hint}"
        return str(self.body.get("message") or f"status {self.status}")

    @property
    def reason(self) -> str:
        """The reason for programs, such as `NotFound`; empty if it has none."""
        return str(self.body.get("reason") or "")


def parse_response(status: int, raw: bytes, date: float | None = None) -> ApiResponse:
    """Return the response with these bytes as its body."""
    try:
        body = orjson.loads(raw) if raw else {}
    except ValueError:
        return ApiResponse(status, {}, date, readable=False)
    return ApiResponse(status, body if isinstance(body, dict) else {}, date)
