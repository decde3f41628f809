"""Connections: how long one may be idle, how long it may live and how much it may ask, and how many there may be.

Standing: below `server`, in the place of aiohttp's own protocol. Holds: a connection is closed by us only after an
answer that said so (`Connection: close`), or while nothing is under way on it; whoever opens connections and proves
nothing takes them from strangers, not from those who have proven who they are.
"""

import asyncio
import random
import time
from typing import Any, Final

import structlog
from aiohttp import web

from bailiwick_webhook.http.bounds import Bounds

_COMPLAIN_SECONDS: Final = 10.0

_log = structlog.get_logger()


class Connection(web.RequestHandler):
    """One connection of a client. `last`: what is asked now is the last that it may. `counted`: among those open.

    `busy`: something is under way.
    """

    __slots__ = ("_left", "_server", "_shaking", "_until", "busy", "counted", "last")

    def __init__(self, server: "Connections", **options: Any) -> None:  # noqa: ANN401 - what aiohttp takes
        super().__init__(server, **options)
        self._server = server
        self._left = 0
        self._until = 0.0
        self._shaking: asyncio.Task[None] | None = None
        self.last = False
        self.busy = False
        self.counted = False

    def shakes(self, task: asyncio.Task[None]) -> None:
        """Begin before hands are shaken, which `task` does."""
        self._shaking = task
        self._server.opened(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        share = random.uniform(0.8, 1.0)  # noqa: S311 - jitter, not a secret
        self._left = max(1, int(self._server.bounds.requests * share))
        self._until = time.monotonic() + self._server.bounds.seconds * share
        super().connection_made(transport)
        if not self.counted:
            self._server.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._server.closed(self)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer what was asked."""
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self.busy = False

    def force_close(self) -> None:
        """Close it, whatever is under way."""
        if self.transport is None and self._shaking is not None:
            self._shaking.cancel()
        super().force_close()

    def asked(self) -> None:
        """Count a request whose head is there."""
        self._server.spoke(self)
        self.busy = True
        self._left -= 1
        self.last = self._left <= 0 or time.monotonic() > self._until

    def proven(self) -> None:
        """Take note that whoever asks on it has shown who they are."""
        self._server.known(self)


class Connections(web.Server):
    """Makes connections, and keeps their number within bounds.

    `silent`: those that never asked; `strangers`: those on which nobody was proven yet, the oldest first.
    """

    def __init__(self, like: web.Server, bounds: Bounds, **options: Any) -> None:  # noqa: ANN401 - what aiohttp takes
        super().__init__(like.request_handler, request_factory=like.request_factory)
        self.bounds = bounds
        self.silent: dict[Connection, asyncio.TimerHandle] = {}
        self.strangers: dict[Connection, None] = {}
        self._options = {**options, "loop": asyncio.get_running_loop(), "keepalive_timeout": bounds.idle}
        self._most = bounds.at_once
        self._open = 0
        self._turned_away = 0
        self._complained = float("-inf")

    def __call__(self) -> Connection:
        """Return what takes a new connection."""
        return Connection(self, **self._options)

    def opened(self, connection: Connection) -> None:
        """Take note of a new one; a stranger that waits for nothing makes room for it, or it is turned away itself."""
        self._open += 1
        connection.counted = True
        loop = asyncio.get_running_loop()
        self.silent[connection] = loop.call_later(self.bounds.first, self._give_up_silent, connection)
        self.strangers[connection] = None
        if self._open > self._most:
            self._complain()
            # The new one is among them, and the last.
            self._give_up(next(stranger for stranger in self.strangers if not stranger.busy))

    def closed(self, connection: Connection) -> None:
        """Take note of one that ended."""
        self._open -= connection.counted
        connection.counted = False
        self.spoke(connection)
        self.known(connection)

    def spoke(self, connection: Connection) -> None:
        """Take note of one that need not be given up any more: it asked, or is gone."""
        # The timer goes too, or a flood of connections would be kept for as long as it runs.
        if (timer := self.silent.pop(connection, None)) is not None:
            timer.cancel()

    def known(self, connection: Connection) -> None:
        """Take note of one that makes room for nobody: who asks on it is proven, or it is gone."""
        self.strangers.pop(connection, None)

    def _give_up_silent(self, connection: Connection) -> None:
        if connection in self.silent:
            self._give_up(connection)

    def _give_up(self, connection: Connection) -> None:
        # Its end is told a moment later, and until then others may come for which others have to go.
        self.spoke(connection)
        self.known(connection)
        connection.force_close()

    def _complain(self) -> None:
        self._turned_away += 1
        now = time.monotonic()
        if now - self._complained >= _COMPLAIN_SECONDS:
            self._complained = now
            _log.warning("too many connections: strangers' are closed", most=self._most, closed=self._turned_away)


def asked(request: web.BaseRequest) -> None:
    """Count a request on its connection."""
    connection = request.protocol
    if isinstance(connection, Connection):
        connection.asked()


def proven(request: web.BaseRequest) -> None:
    """Take note that whoever sent this is proven: their connection makes room for nobody."""
    connection = request.protocol
    if isinstance(connection, Connection):
        connection.proven()


def is_last(request: web.BaseRequest) -> bool:
    """Tell whether the connection of a request is to be closed after the answer."""
    connection = request.protocol
    return isinstance(connection, Connection) and connection.last
