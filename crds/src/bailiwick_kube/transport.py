"""What a client of the API server stands on: a call and a stream. Pure; `connections` is the one that opens sockets.

Holds: a call has a deadline and is made once: whether to make it again is for the caller, which knows what it does, and
after `UnreachableError` it is unknown whether it happened.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from bailiwick_api.serverclock import ServerClock
from bailiwick_kube.responses import ApiResponse

JSON: Final = "application/json"
JSON_PATCH: Final = "application/json-patch+json"
"""RFC 6902."""
MERGE_PATCH: Final = "application/merge-patch+json"
"""RFC 7386."""
APPLY: Final = "application/apply-patch+yaml"
"""Server-side apply."""

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class UnreachableError(Exception):
    """The API server did not respond, or we have no token to ask with."""


class SilentStreamError(UnreachableError):
    """A stream that stood said nothing for as long as it may be silent."""


class TooLongError(Exception):
    """An answer has more bytes than are read at once."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One call. `media` is the type of the body, `accept` that of the answer."""

    method: Method
    path: str
    query: Mapping[str, str] | None = None
    body: object = None
    media: str = JSON
    accept: str = JSON


@dataclass(frozen=True, slots=True)
class ApiStream:
    """An answer that goes on. `lines` raises `SilentStreamError` and `UnreachableError`."""

    status: int
    lines: AsyncIterator[bytes]


class Transport(Protocol):
    """Takes requests to one API server, as somebody. Close it when done."""

    @property
    def clock(self) -> ServerClock:
        """Ours beside the API server's; every answer tells it the time."""

    async def call(self, request: ApiRequest, *, most: int | None = None) -> ApiResponse:
        """Make a call, once. Raises `UnreachableError`, and `TooLongError` for an answer of more than `most` bytes."""

    def stream(self, request: ApiRequest, *, silence: float) -> AbstractAsyncContextManager[ApiStream]:
        """Open a stream that may be silent for so many seconds. Raises `UnreachableError`."""

    async def close(self) -> None:
        """Close the connections."""
