"""How the gateway is served: one port, its certificate, its bounds, its health, its end.

Holds: a certificate that changes on disk is served to the next connection; one that cannot be read leaves the last good
one in place. A signal lets calls finish, and then ends the process with 0.
"""

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastmcp import FastMCP
from sse_starlette.sse import AppStatus
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bailiwick.credentials import Stamp, stamp_of
from bailiwick.mcp.calls import bearer
from bailiwick.mcp.gateway.bounds import PATH, BodyLimit, CallLimit, GatewayBounds
from bailiwick.mcp.gateway.connections import bounded

_LOG: Final = logging.getLogger("bailiwick.mcp.gateway")
_LOOK_SECONDS: Final = 5.0
_BACKLOG: Final = 256


class ListenError(Exception):
    """The gateway cannot listen; the message says why."""


class BearerDemand:
    """Answers 401 to a call without a bearer token, so that its client knows what is missing (RFC 6750, section 3).

    If a token is there, the decision point says whose it is.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http" and scope["path"] == PATH:
            shown = Headers(scope=scope).getlist("authorization")
            if bearer(shown) is None:
                missing = JSONResponse(
                    {"error": "send a token: Authorization: Bearer"},
                    HTTPStatus.UNAUTHORIZED,
                    {"WWW-Authenticate": "Bearer"},
                )
                await missing(scope, receive, send)
                return
        await self._app(scope, receive, send)


class CertificateFiles:
    """A TLS context over two files. Raises `ListenError` where the first look fails."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the files."""
        self._files = (certificate, key)
        self.context: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            self._stamps = self._load()
        except (OSError, ssl.SSLError) as error:
            raise ListenError(f"{certificate} and {key} are no certificate and its key: {error}") from error

    def look(self) -> None:
        """Serve what the files hold now. What cannot be read changes nothing."""
        try:
            if self._now() != self._stamps:
                self._stamps = self._load()
                _LOG.info("serving the new certificate of %s", self._files[0])
        except (OSError, ssl.SSLError) as error:
            _LOG.warning("the certificate cannot be read, so the last one is served on: %s", error)

    def _load(self) -> tuple[Stamp, ...]:
        stamps = self._now()
        # A key that does not fit its certificate is refused here, and the context stays as it was.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self._files)
        self.context.load_cert_chain(*self._files)
        return stamps

    def _now(self) -> tuple[Stamp, ...]:
        return tuple(stamp_of(file) for file in self._files)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises `ListenError`."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ListenError(f"cannot listen on {host} port {port}: {error}") from error


def add_health(server: FastMCP[Any], needs: Mapping[str, Callable[[], object]]) -> None:
    """Add /healthz and /readyz. `needs` are files without which every call would be denied: each is read."""

    @server.custom_route("/healthz", methods=["GET"])
    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @server.custom_route("/readyz", methods=["GET"])
    async def readyz(_: Request) -> Response:
        missing = sorted(name for name, read in needs.items() if not _reads(read))
        status = HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK
        return JSONResponse({"status": "unready" if missing else "ok", "unreadable": missing}, status)


def _reads(read: Callable[[], object]) -> bool:
    try:
        read()
    except (OSError, ValueError) as error:
        _LOG.warning("not ready: %s", error)
        return False
    return True


async def serve(
    server: FastMCP[Any],
    listening: socket.socket,
    *,
    allowed_hosts: Sequence[str] | None = None,
    certificate: CertificateFiles | None = None,
    bounds: GatewayBounds,
    ending: Callable[[], None],
) -> None:
    """Serve until a signal. Keeps no sessions, so that any number of replicas can share the callers.

    `ending` is called when no new call is taken any more, before those under way are awaited.
    """
    app = server.http_app(
        path=PATH,
        stateless_http=True,
        host_origin_protection="auto",
        allowed_hosts=None if allowed_hosts is None else list(allowed_hosts),
        middleware=[
            Middleware(BearerDemand),
            # First the body, then a place: one that does not come holds nothing but its connection.
            Middleware(BodyLimit, bounds=bounds),
            Middleware(CallLimit, most=bounds.calls),
        ],
    )
    config = uvicorn.Config(
        app,
        http=bounded(bounds.connections, bounds.head_seconds),
        ssl_context_factory=None if certificate is None else lambda *_: certificate.context,
        timeout_graceful_shutdown=max(1, round(bounds.drain_seconds)),
        lifespan="on",
        ws="none",
        access_log=False,
        log_config=None,
        # X-Forwarded-For and its like are a caller's word.
        proxy_headers=False,
        server_header=False,
    )
    # Else it cuts each answer that is a stream half a second after a signal, though its call has not ended.
    AppStatus.enable_automatic_graceful_drain = False
    async with _looking(certificate):
        await _EndingServer(config, ending).serve([listening])


class _EndingServer(uvicorn.Server):
    """Says that it ends before it waits for the calls under way."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending()
        await super().shutdown(sockets)


def end_well() -> None:
    """Let a signal end the process with 0: uvicorn raises it again after the last answer."""

    def end(*_: object) -> None:
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


@asynccontextmanager
async def _looking(certificate: CertificateFiles | None) -> AsyncIterator[None]:
    if certificate is None:
        yield
        return

    async def look() -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await asyncio.to_thread(certificate.look)

    task = asyncio.create_task(look())
    try:
        yield
    finally:
        task.cancel()
