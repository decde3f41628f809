"""Status server: connections of the status port, the newest few, whatever they ask or do not.

Standing: below `server`, beside `connections`. Holds: a new one is always taken, so that no client that opens
connections, or answers slowly, keeps a probe from being answered; it is the oldest that makes room, and one on which
the operator proved itself only where there is no other.
"""

import asyncio
from typing import Any, Final

from aiohttp import web

from bailiwick_webhook.http.transport.clienterrors import ClientErrorHandler

# Fewer than `bounds` leaves descriptors for; a kubelet, an operator and Prometheus need a few.
MOST: Final = 64


class _Connection(ClientErrorHandler):
    __slots__ = ("_server", "known")

    def __init__(self, server: "StatusServer", **options: Any) -> None:  # noqa: ANN401 - what aiohttp takes
        super().__init__(server, **options)
        self._server = server
        self.known = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        self._server.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._server.closed(self)


def keep(request: web.Request) -> None:
    """Let the connection of a request make room for others last: its sender is authenticated."""
    if isinstance(connection := request.protocol, _Connection):
        connection.known = True


class StatusServer(web.Server):
    """Makes connections, and keeps so many of them, the newest."""

    def __init__(self, like: web.Server, most: int, **options: Any) -> None:  # noqa: ANN401 - what aiohttp takes
        super().__init__(like.request_handler, request_factory=like.request_factory)
        self._most = most
        self._options = {**options, "loop": asyncio.get_running_loop()}
        self._open: dict[_Connection, None] = {}

    def __call__(self) -> _Connection:
        """Return what takes a new connection."""
        return _Connection(self, **self._options)

    def opened(self, connection: _Connection) -> None:
        """Take note of a new one; the oldest makes room for it."""
        self._open[connection] = None
        if len(self._open) > self._most:
            oldest = next((one for one in self._open if not one.known), next(iter(self._open)))
            # At once, since its end is reported only later, and another new one needs another's room.
            del self._open[oldest]
            if isinstance(transport := oldest.transport, asyncio.WriteTransport):
                # Not after what it has not read yet: a client that does not read would stay.
                transport.abort()
            oldest.force_close()

    def closed(self, connection: _Connection) -> None:
        """Take note of one that ended."""
        self._open.pop(connection, None)
