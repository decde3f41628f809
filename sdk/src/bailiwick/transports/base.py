"""What a transport is: one request out, one bounded answer back, within the time it is given.

Holds: a transport never retries, follows no redirect, sends no cookie and reads no environment, and uses a connection
once where a request says so. A request waits for no connection that requests of another lane use. `NotSentError`
means that not one byte of the request left, and only then may it be sent again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

# Of an answer. A batch of a hundred denials with all that ARAP adds to each is a tenth of it.
MAX_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What goes out. `body` None: a GET. `lane`: requests of one lane share connections, and no others."""

    url: str
    headers: Mapping[str, str]
    body: bytes | None
    lane: str = ""

    @property
    def method(self) -> str:
        """The method."""
        return "GET" if self.body is None else "POST"

    @property
    def once(self) -> bool:
        """Whether the connection is used for this request alone: what is left on it must answer no other."""
        return self.headers.get("Connection") == "close"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What came back, whole. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TransportError(Exception):
    """No answer, or none that can be used. The decision point may have read the request."""


class NotSentError(TransportError):
    """No server can have read the request."""


class SyncTransport(Protocol):
    """How `Bailiwick` reaches the decision point."""

    def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        """Send a request and return the answer, all within these seconds. Raises `TransportError`."""

    def close(self) -> None:
        """End the connections."""


class AsyncTransport(Protocol):
    """How `AsyncBailiwick` reaches the decision point."""

    async def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        """Send a request and return the answer, all within these seconds. Raises `TransportError`."""

    async def close(self) -> None:
        """End the connections."""
