"""The transport of an API server client: calls and streams. Pure; only `connections` opens sockets.

Holds: a call has a deadline and is made once. The caller, which knows what the call does, decides whether to repeat it:
after `UnreachableError` it is unknown whether the call happened.
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
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""A list of which the API server answers only the metadata of each object."""
METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""An object, or each object of a watch, of which the API server answers only the metadata."""
APPLY: Final = "application/apply-patch+yaml"
"""Server-side apply."""

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class UnreachableError(Exception):
    """The API server did not respond, or there is no token for the call."""


class SilentStreamError(UnreachableError):
    """An open stream sent nothing for longer than it may be silent."""


class TooLongError(Exception):
    """An answer has more bytes than the caller accepts."""


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
    """An answer that continues. `lines` raises `SilentStreamError` and `UnreachableError`."""

    status: int
    lines: AsyncIterator[bytes]


class Transport(Protocol):
    """Sends requests to one API server, as one account. Close it when done."""

    @property
    def clock(self) -> ServerClock:
        """Our clock and the API server's; every answer updates it."""

    async def call(self, request: ApiRequest, *, most: int | None = None) -> ApiResponse:
        """Make a call, once. Raises `UnreachableError`, and `TooLongError` for an answer of more than `most` bytes."""

    def stream(self, request: ApiRequest, *, silence: float) -> AbstractAsyncContextManager[ApiStream]:
        """Open a stream that may be silent for so many seconds. Raises `UnreachableError`."""

    async def close(self) -> None:
        """Close the connections."""
