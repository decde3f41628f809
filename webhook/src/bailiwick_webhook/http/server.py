"""Servers: the decision port and the status port, started, drained and stopped.

Holds: a connection is closed by us only after its answer; the access log stays off, the decision record says more.
"""

import ssl
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from bailiwick_webhook.http.bounds import Bounds
from bailiwick_webhook.http.connections import Connections
from bailiwick_webhook.http.front import FRONT
from bailiwick_webhook.http.listening import TlsSite
from bailiwick_webhook.http.newest import MOST, Newest

# A body is taken as it was sent: we accept no compressed one, and to unpack it, before anybody has said who they are,
# would keep the loop busy for seconds with one megabyte.
_OPTIONS: Final[dict[str, Any]] = {"access_log": None, "auto_decompress": False}


class _Runner(web.AppRunner):
    """Runs an application; one that has a front behind that, and over connections within bounds.

    One that has none is the status port's, and has the newest few.
    """

    def __init__(self, app: web.Application, bounds: Bounds) -> None:
        super().__init__(app, **_OPTIONS, handle_signals=False, shutdown_timeout=10.0, keepalive_timeout=bounds.idle)
        self._bounds = bounds

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        front = self.app.get(FRONT)
        if front is None:
            return Newest(server, MOST, **_OPTIONS, keepalive_timeout=self._bounds.idle)
        # Before the first connection, each of which keeps the handler that it finds.
        server.request_handler = front.before(server.request_handler)
        return Connections(server, self._bounds, **_OPTIONS)


@dataclass(frozen=True, slots=True)
class Server:
    """A listening application."""

    runner: _Runner
    port: int

    async def stop(self) -> None:
        """Stop listening, answer what is under way, close."""
        await self.runner.cleanup()


async def serve(
    app: web.Application,
    host: str,
    port: int,
    tls: ssl.SSLContext | None = None,
    *,
    shared: bool = False,
    bounds: Bounds | None = None,
) -> Server:
    """Listen; port 0 takes a free one, `shared` one that others listen on too. Raises `OSError` where it is taken."""
    runner = _Runner(app, bounds or Bounds())
    await runner.setup()
    site = (
        web.TCPSite(runner, host, port, reuse_port=shared or None)
        if tls is None
        else TlsSite(runner, host, port, tls, shared=shared)
    )
    await site.start()
    return Server(runner, runner.addresses[0][1])
