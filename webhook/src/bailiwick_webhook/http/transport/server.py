"""Servers: the decision port, the admission port and the status port, started, drained and stopped.

Holds: a connection is closed by us only after its answer; the access log stays off, the decision record says more.
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.transport.connections import BOUNDED, Connections
from bailiwick_webhook.http.transport.listener import Listener, bound
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
_STOP_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """A listening application, and its connections."""

    connections: web.Server
    port: int
    _runner: web.AppRunner
    _listening: Listener | asyncio.Server

    async def stop(self) -> None:
        """Stop listening, answer what is under way, close."""
        self._listening.close()
        # What has come is begun before connections on which nothing is under way are closed.
        await asyncio.sleep(0)
        self.connections.pre_shutdown()
        await self.connections.shutdown(_STOP_SECONDS)
        await self._runner.cleanup()


async def serve(app: web.Application, host: str, port: int, tls: ssl.SSLContext | None = None) -> Server:
    """Listen; port 0 takes a free one. Raises `OSError` where it is taken.

    The connections of an application that is bounded share a table; any other has the newest few. Those of the latter
    are never served over TLS.
    """
    # It makes what handles requests, and none of the connections.
    runner = web.AppRunner(app, handle_signals=False)
    await runner.setup()
    made = runner.server
    assert made is not None  # noqa: S101 - it was set up
    bounded = app.get(BOUNDED)
    connections: web.Server
    listening: Listener | asyncio.Server
    if bounded is None:
        connections = StatusServer(made, MOST, **_OPTIONS, keepalive_timeout=Bounds().idle)
        listening = await asyncio.get_running_loop().create_server(connections, host, port)
    else:
        connections = shared = Connections(made, bounded, **_OPTIONS)
        if tls is None:
            listening = await asyncio.get_running_loop().create_server(shared.accept, host, port)
        else:
            listening = Listener(await bound(host, port), shared, tls)
    return Server(connections, listening.sockets[0].getsockname()[1], runner, listening)
