"""Real servers of web applications, in threads of the test's process, and requests to them that no library tidies up.

Holds: a server serves whatever application is `current` when a request comes, so that a property can draw one for each
example; nothing but raw sockets asks it.
"""

import asyncio
import base64
import importlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import uvicorn
from aiohttp import web  # noqa: TID251 - the application that is guarded

from bailiwick.asgi import Application, Deliver, Receive, Scope

_SECONDS: Final = 20.0
_T = TypeVar("_T")


@dataclass
class WebServer:
    """A server that runs. `root` is its `root_path`."""

    port: int
    root: str = ""
    current: Application | None = field(default=None, repr=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Deliver) -> None:
        """Serve with the application of now."""
        if scope["type"] != "lifespan" and self.current is not None:
            await self.current(scope, receive, send)

    def status_of(
        self,
        target: bytes,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: list[bytes] | None = None,
    ) -> int:
        """Send a request with this very target (see `status_of`)."""
        return status_of(self.port, target, method, headers, body)


def status_of(
    port: int,
    target: bytes,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: list[bytes] | None = None,
    sent: bytes = b"",
) -> int:
    """Send a request with this very target, and return the status of its answer; 0 without one.

    `sent` is the body of the request; what follows the head of the answer is added to `body`.
    """
    named = {"Host": "test", "Authorization": "Bearer t", "Connection": "close", **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
        connection.sendall(method.encode() + b" " + target + b" HTTP/1.1\r\n" + lines.encode() + b"\r\n" + sent)
        came = b""
        while b"\r\n\r\n" not in came and (piece := connection.recv(65536)):
            came += piece
        # To the end: what the application did is then done.
        while not came.startswith(b"HTTP/1.1 101") and (piece := connection.recv(65536)):
            came += piece
    if body is not None:
        body.append(came.partition(b"\r\n\r\n")[2])
    return int(came.split(b" ", 2)[1]) if came.startswith(b"HTTP/1.") else 0


UPGRADE: Final[Mapping[str, str]] = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
}


@contextmanager
def by_uvicorn(http: str, root: str = "") -> Iterator[WebServer]:
    """Serve with uvicorn over one of its two parsers."""
    if http != "h11":
        importlib.import_module(http)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        served = WebServer(listening.getsockname()[1], root)
        config = uvicorn.Config(
            served, http=http, root_path=root, lifespan="off", log_level="critical", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.should_exit = True
            thread.join(_SECONDS)


@contextmanager
def by_hypercorn(root: str = "") -> Iterator[WebServer]:
    """Serve with Hypercorn, which leaves its `root_path` out of paths."""
    serve = importlib.import_module("hypercorn.asyncio").serve
    config = importlib.import_module("hypercorn.config").Config()
    listening = socket.create_server(("127.0.0.1", 0))
    served = WebServer(listening.getsockname()[1], root)
    # Hypercorn closes it.
    config.bind = [f"fd://{listening.detach()}"]
    config.root_path, config.accesslog, config.errorlog = root, None, None
    with _loop() as loop:
        stop = asyncio.Event()
        serving = loop.start(serve(served, config, shutdown_trigger=stop.wait))
        try:
            yield served
        finally:
            loop.loop.call_soon_threadsafe(stop.set)
            serving.result(_SECONDS)


@contextmanager
def by_aiohttp() -> Iterator[Callable[[web.Application], Any]]:
    """Yield what serves an application of aiohttp: a context with its port."""
    with _loop() as loop:

        @contextmanager
        def serving(app: web.Application) -> Iterator[int]:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            loop.run(runner.setup())
            try:
                site = web.TCPSite(runner, "127.0.0.1", 0)
                loop.run(site.start())
                yield runner.addresses[0][1]
            finally:
                loop.run(runner.cleanup())

        yield serving


@dataclass(frozen=True)
class _Loop:
    """An event loop in a thread of its own."""

    loop: asyncio.AbstractEventLoop

    def start(self, of: Coroutine[Any, Any, _T]) -> "Future[_T]":
        return asyncio.run_coroutine_threadsafe(of, self.loop)

    def run(self, of: Coroutine[Any, Any, _T]) -> _T:
        return self.start(of).result(_SECONDS)


@contextmanager
def _loop() -> Iterator[_Loop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield _Loop(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_SECONDS)
        loop.close()
