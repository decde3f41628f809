"""Connections of one port: how they are made, and those that are aiohttp's (see `decisionprotocol` for the others).

Standing: below `server`. Holds: of aiohttp it is only what aiohttp documents that is used here; a connection is closed
by us only after an answer that said so (`Connection: close`), or while nothing is under way on it; what comes from many
connections at once is taken in a fair order, so much in each turn of the loop (see `pace`).
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from aiohttp import web

from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.shares.connectionshare import ConnectionShare, SharedConnection
from bailiwick_webhook.http.shares.conntable import ConnectionTable, TableEntry
from bailiwick_webhook.http.transport.clienterrors import ClientErrorHandler
from bailiwick_webhook.http.transport.decisionprotocol import DecisionPort, DecisionProtocol
from bailiwick_webhook.http.transport.decisionshortcut import DecisionShortcut, Origin
from bailiwick_webhook.http.transport.pace import PortPace
from bailiwick_webhook.http.transport.pacedtransport import PacedTransport
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import Port


class Connection(SharedConnection, ClientErrorHandler):
    """One connection that is aiohttp's."""

    __slots__ = ("_held", "_paced", "_server", "_waits_as", "share")

    def __init__(
        self,
        server: "Connections",
        share: ConnectionShare,
        paced: PacedTransport,
        **options: Any,  # noqa: ANN401 - what aiohttp takes
    ) -> None:
        super().__init__(server, **options)
        self._server = server
        self._paced = paced
        self.share = share
        # What came and was not looked at yet, since it is not its turn, and under whose name that waits.
        self._held = b""
        self._waits_as = ""

    async def start(self) -> None:
        """Process requests, until the connection ends."""
        try:
            await super().start()
        except Exception as error:
            # Where it is lost in the moment in which a request has come, aiohttp goes on without what makes requests.
            if self.transport is not None:
                raise
            self.malformed(error)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        super().connection_lost(exc)
        if self._held:
            self._held = b""
            self._server.shared.pace.drop(self, self._waits_as)
        self.share.leave()

    def data_received(self, data: bytes) -> None:
        """Take what came, in its turn."""
        shared, entry = self._server.shared, self.share.entry
        if self._held:
            self._held += data
        elif not data or shared.pace.free(entry):
            self.feed(data)
        else:
            self._held = data
            self._paced.hold()
            self._waits_as = shared.pace.wait(self, entry)

    def feed(self, data: bytes) -> None:
        """Take what came: it is its turn."""
        super().data_received(data)

    def turn(self) -> None:
        """Take what waited."""
        held, self._held = self._held, b""
        self.feed(held)
        self._paced.release()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer what was asked."""
        # Before it is sent: a client that does not read its answers makes room.
        self.share.rests()
        return await super().finish_response(request, resp, start_time)

    def malformed(self, error: object) -> None:
        """Count client error."""
        self._server.shared.counts.malformed[self._server.port] += 1
        super().malformed(error)


class ConnectionBounds(NamedTuple):
    """What an application keeps under `BOUNDED` whose connections are bounded and counted.

    With a `shortcut`, plain requests are its, see `decisionprotocol`, and answers are counted. `draining`: every answer
    ends its connection.
    """

    port: Port
    bounds: Bounds
    counts: Counts
    draining: Callable[[], bool]
    shortcut: DecisionShortcut | None = None


_LOOK_AGAIN: Final = 0.01

BOUNDED: Final[web.AppKey[ConnectionBounds]] = web.AppKey("bounded")


class Connections(web.Server):
    """Makes the connections of one port."""

    def __init__(self, like: web.Server, bounded: ConnectionBounds, **options: Any) -> None:  # noqa: ANN401 - what aiohttp takes
        handler = like.request_handler if bounded.shortcut is None else _counted(like.request_handler, bounded.counts)
        super().__init__(handler, request_factory=like.request_factory)
        self.port, bounds, counts, draining, shortcut = bounded
        table = ConnectionTable(self.port, bounds.connections_of(self.port), bounds.first, counts)
        self.shared = DecisionPort(bounds, counts, table, PortPace(table), shortcut, draining, self._leave)
        self._options = {**options, "loop": asyncio.get_running_loop(), "keepalive_timeout": bounds.idle}

    def accept(self, entry: TableEntry | None = None) -> DecisionProtocol:
        """Return what takes a new connection, which may be in the table already."""
        return DecisionProtocol(self.shared, entry)

    def _leave(self, share: ConnectionShare, transport: asyncio.Transport, data: bytes) -> Connection:
        paced = PacedTransport(transport)
        connection = Connection(self, share, paced, **self._options)
        transport.set_protocol(connection)
        connection.connection_made(paced)
        if data:
            connection.feed(data)
        return connection

    def pre_shutdown(self) -> None:
        """Begin nothing more on any connection."""
        for connection in tuple(self.shared.open):
            connection.close_idle()
        super().pre_shutdown()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's
        """Wait for so many seconds for what is under way or has come, and end every connection.

        What is under way for a client that is gone is waited for, too: a use of a grant must be recorded.
        """
        now, shared = asyncio.get_running_loop().time, self.shared
        ends = float("inf") if timeout is None else now() + timeout
        while (shared.tasks or any(connection.waits for connection in shared.open)) and now() < ends:
            # What waits is begun, or left to aiohttp, within moments.
            pause = None if shared.tasks and timeout is None else min(_LOOK_AGAIN, max(0.0, ends - now()))
            if shared.tasks:
                await asyncio.wait(tuple(shared.tasks), timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.sleep(pause or 0.0)
        shared.stopped.set()
        for connection in tuple(shared.open):
            connection.end()
        for task in tuple(shared.tasks):
            task.cancel()
        # aiohttp's requests went on meanwhile, and it may have got connections after it was closed. To one
        # that it got just now it listens in the next turn.
        await asyncio.sleep(0)
        super().pre_shutdown()
        await super().shutdown(None if timeout is None else max(0.0, ends - now()))


def _counted(behind: Callable[[web.BaseRequest], Any], counts: Counts) -> Callable[[web.BaseRequest], Any]:
    """Return a handler of requests that counts them on their connection, and their answers by status."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        note_request(request)
        try:
            response: web.StreamResponse = await behind(request)
        except web.HTTPException as answer:
            counts.count_response(answer.status)
            raise
        counts.count_response(response.status)
        return response

    return handle


def note_request(request: web.BaseRequest) -> None:
    """Count a request on its connection."""
    connection = request.protocol
    if isinstance(connection, SharedConnection):
        connection.share.begins()
        connection.share.count(asyncio.get_running_loop().time())


def note_caller(origin: Origin, account: str, *, enforces: bool) -> None:
    """Take note of who sent this, and whether they enforce what they ask about."""
    connection = origin.protocol
    if isinstance(connection, SharedConnection):
        connection.share.note_caller(account, enforces=enforces)


def is_last(request: web.BaseRequest) -> bool:
    """Tell whether the connection of a request is to be closed after the answer."""
    connection = request.protocol
    return isinstance(connection, SharedConnection) and connection.share.last
