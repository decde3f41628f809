"""Servers: the decision port, the admission port and the status port, started, drained and stopped.

Holds: a connection is closed by us only after its answer; the access log stays off, the decision record says more.
"""

import ssl
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.transport.connections import BOUNDED, Connections
from bailiwick_webhook.http.transport.fastpath import FRONT
from bailiwick_webhook.http.transport.listener import TlsSite
from bailiwick_webhook.http.transport.statusserver import MOST, StatusServer

# For so many seconds after its answer we read on what a client still sends, so that it comes to read the answer. A task
# waits for that, also of a client that went away.
_LINGERING_SECONDS: Final = 2.0
# A body is taken as it was sent: we accept no compressed one, and to unpack it, before anybody has said who they are,
# would keep the loop busy for seconds with one megabyte.
_OPTIONS: Final[dict[str, Any]] = {
    "access_log": None,
    "auto_decompress": False,
    "lingering_time": _LINGERING_SECONDS,
}


class _Runner(web.AppRunner):
    """Runs an application: one that is bounded over a table of connections, and any other over the newest few.

    One that has a front is behind that.
    """

    def __init__(self, app: web.Application) -> None:
        bounded = app.get(BOUNDED)
        self._idle = (Bounds() if bounded is None else bounded.bounds).idle
        super().__init__(app, **_OPTIONS, handle_signals=False, shutdown_timeout=10.0, keepalive_timeout=self._idle)

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        bounded, front = self.app.get(BOUNDED), self.app.get(FRONT)
        if bounded is None:
            return StatusServer(server, MOST, **_OPTIONS, keepalive_timeout=self._idle)
        if front is not None:
            # Before the first connection, each of which keeps the handler that it finds.
            server.request_handler = front.before(server.request_handler)
        return Connections(server, bounded, front, **_OPTIONS)


@dataclass(frozen=True, slots=True)
class Server:
    """A listening application."""

    runner: _Runner
    port: int

    async def stop(self) -> None:
        """Stop listening, answer what is under way, close."""
        await self.runner.cleanup()


async def serve(app: web.Application, host: str, port: int, tls: ssl.SSLContext | None = None) -> Server:
    """Listen; port 0 takes a free one. Raises `OSError` where it is taken."""
    runner = _Runner(app)
    await runner.setup()
    site = web.TCPSite(runner, host, port) if tls is None else TlsSite(runner, host, port, tls)
    await site.start()
    return Server(runner, runner.addresses[0][1])
