"""The default transports, for threads and for asyncio, over httpcore2 (extra `[http]`).

Standing: httpcore2 is httpx2's own lower half. It follows no redirects, keeps no cookies and reads no environment, all
of which httpx2 adds, and it lets a deadline reach the socket.
Holds: in a thread, every read and write is given what is left of the deadline, so that a server that sends a byte now
and then returns; under asyncio the whole request is under one timeout.
"""

import ssl
import threading
import time
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import httpcore2

from bailiwick.credentials import TrustFile
from bailiwick.transports.base import MAX_BYTES, HttpRequest, HttpResponse, NotSentError, TransportError

_CONNECTIONS: Final = 100
_IDLE_SECONDS: Final = 5.0
# Raised before a byte of the request has left: no connection, none free, no handshake.
_NOT_SENT: Final = (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.PoolTimeout)
_FAILED: Final = (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError, httpcore2.ProxyError)

_local: Final = threading.local()


class _Stream(httpcore2.NetworkStream):
    """A connection whose reads and writes end with the deadline of the thread that uses it."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as httpcore2 has it
        return self._inner.get_extra_info(info)


class _Backend(httpcore2.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, left, local_address, socket_options))


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    ends: float | None = getattr(_local, "ends", None)
    if ends is None:
        return timeout
    left = ends - time.monotonic()
    if left <= 0:
        raise late("no answer within the deadline")
    return left


_Pool = TypeVar("_Pool", httpcore2.ConnectionPool, httpcore2.AsyncConnectionPool)


class _Pools(Generic[_Pool]):
    """The pools of now, one for each lane: other ones once the authority's file has changed."""

    def __init__(self, make: Callable[[ssl.SSLContext | None], _Pool], ca: Path | str | None, name: str | None) -> None:
        self._make: Callable[[ssl.SSLContext | None], _Pool] = make
        self._authority = None if ca is None else TrustFile(ca)
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._held: dict[str, _Pool] = {}
        self.extensions: Mapping[str, Any] = {} if name is None else {"sni_hostname": name}

    def pool(self, lane: str) -> _Pool:
        """Return the pool of a lane. A pool that is no longer of use is left to end with its last request."""
        try:
            context = None if self._authority is None else self._authority()
        except (OSError, ssl.SSLError) as error:
            raise NotSentError(f"the authority cannot be read: {error}") from error
        with self._lock:
            if self._context is not context:
                self._context, self._held = context, {}
            if lane not in self._held:
                self._held[lane] = self._make(context)
            return self._held[lane]

    def taken(self) -> Sequence[_Pool]:
        """Return them to be closed."""
        with self._lock:
            held, self._held = self._held, {}
        return list(held.values())


class SyncHttpTransport:
    """For threads (see `base.SyncTransport`)."""

    def __init__(self, *, ca: Path | str | None = None, tls_name: str | None = None) -> None:
        """Prepare: `ca` is a file of certificates (default: the system's), `tls_name` the name in the certificate."""
        self._pools = _Pools(_pool, ca, tls_name)

    def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        """Send a request. Raises `TransportError`."""
        with _errors(), _deadline(seconds):
            pool = self._pools.pool(request.lane)
            extensions = {"timeout": _timeouts(seconds), **self._pools.extensions}
            with pool.stream(
                request.method, request.url, headers=_headers(request), content=request.body, extensions=extensions
            ) as response:
                body = bytearray()
                for part in response.iter_stream():
                    _add(body, part)
                return _response(response.status, response.headers, body)

    def close(self) -> None:
        """End the connections."""
        for pool in self._pools.taken():
            pool.close()


class AsyncHttpTransport:
    """For asyncio (see `base.AsyncTransport`)."""

    def __init__(self, *, ca: Path | str | None = None, tls_name: str | None = None) -> None:
        """Prepare, as `SyncHttpTransport` does."""
        self._pools = _Pools(_async_pool, ca, tls_name)

    async def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        """Send a request; the client keeps the deadline. Raises `TransportError`."""
        with _errors():
            pool = self._pools.pool(request.lane)
            extensions = {"timeout": _timeouts(seconds), **self._pools.extensions}
            async with pool.stream(
                request.method, request.url, headers=_headers(request), content=request.body, extensions=extensions
            ) as response:
                body = bytearray()
                parts: AsyncIterable[bytes] = response.aiter_stream()
                async for part in parts:
                    _add(body, part)
                return _response(response.status, response.headers, body)

    async def close(self) -> None:
        """End the connections."""
        for pool in self._pools.taken():
            await pool.aclose()


def _pool(context: ssl.SSLContext | None) -> httpcore2.ConnectionPool:
    return httpcore2.ConnectionPool(
        ssl_context=context,
        max_connections=_CONNECTIONS,
        keepalive_expiry=_IDLE_SECONDS,
        network_backend=_Backend(),
    )


def _async_pool(context: ssl.SSLContext | None) -> httpcore2.AsyncConnectionPool:
    return httpcore2.AsyncConnectionPool(
        ssl_context=context, max_connections=_CONNECTIONS, keepalive_expiry=_IDLE_SECONDS
    )


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except _NOT_SENT as error:
        raise NotSentError(f"not connected: {error}") from error
    except (*_FAILED, OSError) as error:
        raise TransportError(f"no answer: {str(error) or type(error).__name__}") from error


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    _local.ends = time.monotonic() + seconds
    try:
        yield
    finally:
        _local.ends = None


def _timeouts(seconds: float) -> Mapping[str, float]:
    return dict.fromkeys(("connect", "read", "write", "pool"), seconds)


def _headers(request: HttpRequest) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode()) for name, value in request.headers.items()]


def _add(body: bytearray, part: bytes) -> None:
    if len(body) + len(part) > MAX_BYTES:
        raise TransportError(f"the answer is larger than {MAX_BYTES} bytes")
    body += part


def _response(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytearray) -> HttpResponse:
    named: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("ascii").lower(), value.decode("latin-1")
        named[key] = f"{named[key]}, {text}" if key in named else text
    if named.get("content-encoding", "identity") != "identity":
        raise TransportError("the answer is compressed, and the request did not allow that")
    return HttpResponse(status, named, bytes(body))
