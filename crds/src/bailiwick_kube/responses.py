"""What the API server answered, and what kind of an answer that is. Pure.

Holds: what is no answer to the question (`unanswered`) differs from a refusal, which is one: after a refusal nothing
has happened, and asking again brings the same.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson

_OK: Final = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)
# Our own token is accepted no longer; or there are too many requests.
_NOT_NOW: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}


def succeeded(status: int) -> bool:
    """Tell whether a status is 2xx."""
    return status in _OK


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What the API server said. `body` is empty where it was no JSON object.

    `date` is its clock, in seconds since the epoch; None where it sent none. `readable` False: the body was no JSON,
    so it is not the word of an API server that serves the kind; something in between may have answered.
    """

    status: int
    body: dict[str, Any]
    date: float | None = None
    readable: bool = True

    @property
    def ok(self) -> bool:
        """Whether it did what was asked (2xx)."""
        return self.status in _OK

    @property
    def missing(self) -> bool:
        """Whether there is no such object, or no such kind (404)."""
        return self.status == HTTPStatus.NOT_FOUND

    @property
    def conflict(self) -> bool:
        """Whether the object is not, or no longer, the one that the call was about (409)."""
        return self.status == HTTPStatus.CONFLICT

    @property
    def gone(self) -> bool:
        """Whether it has forgotten the version that was asked for (410): list again."""
        return self.status == HTTPStatus.GONE

    @property
    def unanswered(self) -> bool:
        """Whether it says nothing of the object: our own 401, 429, 5xx, and a redirection, which is never followed."""
        return (
            self.status in _NOT_NOW
            or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST
        )

    @property
    def message(self) -> str:
        """Its words, for a person."""
        if not self.readable:
            hint = ": make sure that the CRDs in crds/ are applied" if self.missing else ""
            return f"status {self.status}, and the body is not JSON{hint}"
        return str(self.body.get("message") or f"status {self.status}")

    @property
    def reason(self) -> str:
        """Its word for programs, such as `NotFound`; empty where it has none."""
        return str(self.body.get("reason") or "")


def parsed(status: int, raw: bytes, date: float | None = None) -> ApiResponse:
    """Return the response that these bytes are the body of."""
    try:
        body = orjson.loads(raw) if raw else {}
    except ValueError:
        return ApiResponse(status, {}, date, readable=False)
    return ApiResponse(status, body if isinstance(body, dict) else {}, date)
