"""Servers: the decision port and the status port, started, drained and stopped.

Holds: a connection is closed by us only after its answer; the access log stays off, the decision record says more.
"""

import ssl
from dataclasses import dataclass

from aiohttp import web

from bailiwick_webhook.http.front import FRONT


class _Runner(web.AppRunner):
    """Runs an application behind its front, where it has one."""

    async def setup(self) -> None:
        """Get ready to listen."""
        await super().setup()
        front = self.app.get(FRONT)
        if front is not None and self.server is not None:
            # Before the first connection, each of which keeps the handler that it finds.
            self.server.request_handler = front.before(self.server.request_handler)


@dataclass(frozen=True, slots=True)
class Server:
    """A listening application."""

    runner: _Runner
    port: int

    async def stop(self) -> None:
        """Stop listening, answer what is under way, close."""
        await self.runner.cleanup()


async def serve(
    app: web.Application, host: str, port: int, tls: ssl.SSLContext | None = None, *, shared: bool = False
) -> Server:
    """Listen; port 0 takes a free one, `shared` one that others listen on too. Raises `OSError` where it is taken."""
    # A body is taken as it was sent: we accept no compressed one, and to unpack it, before anybody has said who they
    # are, would keep the loop busy for seconds with one megabyte.
    runner = _Runner(app, access_log=None, auto_decompress=False, handle_signals=False, shutdown_timeout=10.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port, ssl_context=tls, reuse_port=shared or None)
    await site.start()
    return Server(runner, runner.addresses[0][1])
