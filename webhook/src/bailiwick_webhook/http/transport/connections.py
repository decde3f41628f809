"""Connections as aiohttp has them: how long one may live and how much it may ask; whose it is, `conntable` keeps.

Standing: below `server`, in the place of aiohttp's own protocol. Holds: a connection is closed by us only after an
answer that said so (`Connection: close`), or while nothing is under way on it; what comes from many connections at once
is taken in a fair order, so much in each turn of the loop (see `pacer`), and what enforcers send does not wait for
what others send.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, NoReturn, Protocol

from aiohttp import web

from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.shares.conntable import ConnectionTable, TableEntry
from bailiwick_webhook.http.transport.answers import WholeAnswer
from bailiwick_webhook.http.transport.clienterrors import ClientErrorHandler
from bailiwick_webhook.http.transport.pacer import Pacer
from bailiwick_webhook.http.transport.plainrequest import PlainRequest, head_of
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import Port

# How often in a turn of the loop something is taken that came from an enforcer, or from anybody else; what is to be
# done about each takes about a tenth of a millisecond. So few connections of enforcers need no pace.
_FROM_ENFORCERS: Final = 16
_FROM_OTHERS: Final = 8
_FEW: Final = 64
# What of a body may be missing, and for so many seconds: whatever is large or late is aiohttp's, which has bounds.
_SMALL: Final = 8 * 1024
_PATIENCE: Final = 0.05
# Found once: it is on the way of every request.
_take: Final = web.RequestHandler.data_received


class Connection(ClientErrorHandler):
    """One connection of a client. `last`: what is asked now is the last that it may."""

    __slots__ = ("_begun", "_held", "_left", "_patience", "_rest", "_server", "_until", "_waits_as", "entry", "last")

    def __init__(self, server: "Connections", entry: TableEntry | None, **options: Any) -> None:  # noqa: ANN401 - aiohttp's
        super().__init__(server, **options)
        self._server = server
        self._left = 0
        self._until = 0.0
        self.entry = entry
        self.last = False
        # How many bytes of a plain request are still to come; None: where one begins is not known any more.
        self._rest: int | None = None if server.front is None else 0
        # A plain head whose body was not there yet, and until when it is waited for before aiohttp waits.
        self._begun = b""
        self._patience: asyncio.TimerHandle | None = None
        # What came and was not looked at yet, since it is not its turn, and under whose name that waits.
        self._held = b""
        self._waits_as = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        bounds = self._server.bounds
        share = random.uniform(0.8, 1.0)  # noqa: S311 - jitter, not a secret
        self._left = max(1, int(bounds.requests * share))
        self._until = time.monotonic() + bounds.seconds * share
        super().connection_made(transport)
        if self.entry is not None:
            self.entry.end = self.end
        else:
            address = transport.get_extra_info("peername")
            self.entry = self._server.table.admit(address[0] if address else "", self.end)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        super().connection_lost(exc)
        # Where it is lost in the moment in which a request has come, aiohttp goes on to make that request.
        self._request_factory = _given_up
        self._begun = b""
        self._hurry()
        if self._held:
            self._held = b""
            for pacer in (self._server.enforcers, self._server.others):
                pacer.drop(self, self._waits_as)
        # They refer to each other, and only the collector would free them.
        entry, self.entry = self.entry, None
        if entry is not None:
            self._server.table.leave(entry)

    def never_made(self) -> None:
        """End before it began: aiohttp's parser and it refer to each other, and no end of it will be told."""
        self._parser = self.entry = None

    def data_received(self, data: bytes) -> None:
        """Take what came, in its turn."""
        entry, server = self.entry, self._server
        if self._held:
            self._held += data
        elif (
            not data
            or entry is None
            or (entry.enforcer and server.table.enforcers <= _FEW)
            or (pacer := server.enforcers if entry.enforcer else server.others).free()
        ):
            self._looked_at(data)
        else:
            self._held, self._waits_as = data, entry.holder
            if self.transport is not None:
                self.transport.pause_reading()
            pacer.wait(self, entry.holder, entry.address)

    def turn(self) -> None:
        """Take what waited."""
        held, self._held = self._held, b""
        transport = self.transport
        if transport is None:
            return
        self._looked_at(held)
        # Unless aiohttp itself wants no more for now.
        if not (self._reading_paused or self._buffer_paused or transport.is_closing()):
            transport.resume_reading()

    def _looked_at(self, data: bytes) -> None:
        """Answer what came where it can be answered at once; anything else is aiohttp's, as it came."""
        if self._begun:
            data, self._begun = self._begun + data, b""
            self._hurry()
        rest = self._rest
        if rest is not None and data:
            if rest:
                self._rest = rest - len(data) if rest >= len(data) else None
            elif self._answered(data):
                return
        _take(self, data)

    def _give_up(self) -> None:
        """Leave a head to aiohttp whose body does not come."""
        begun, self._begun, self._patience = self._begun, b"", None
        if begun and self.transport is not None:
            self._rest = None
            _take(self, begun)

    def _hurry(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _answered(self, data: bytes) -> bool:
        """Tell whether this was a plain request, and is answered; or the head of one, and is kept."""
        head = head_of(data)
        missing = -1 if head is None else head.missing(data)
        # Behind what is not plain nobody but aiohttp knows where the next one begins.
        self._rest = missing if missing >= 0 else None
        entry, transport, server = self.entry, self.transport, self._server
        waiter = self._waiter
        if (
            missing < 0
            or head is None
            or server.front is None
            or not server.front.answers_at_once
            or server.front.draining()
            or entry is None
            or not entry.enforcer
            or transport is None
            or transport.is_closing()
            # aiohttp is done with all that came before, and its answers are written.
            or waiter is None
            or waiter.done()
            or self._messages
            or self._close
            or self._force_close
            or self._upgraded
            or self._paused
            or self._buffer_paused
            or self._reading_paused
            or self._left <= 1
            or time.monotonic() > self._until
        ):
            return False
        if missing:
            # Many clients send the body by itself, a moment later.
            if missing > _SMALL:
                return False
            self._begun, self._rest = data, 0
            self._patience = self._loop.call_later(_PATIENCE, self._give_up)
            return True
        answer = server.front.answered(head.request(data), self)
        if answer is None:
            return False
        self._left -= 1
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        transport.write(answer.raw)
        if answer.closing:
            # After what was written.
            transport.close()
        return True

    def end(self) -> None:
        """Close it at once: who does not read what was sent, or does not say goodbye, would stay."""
        if (transport := self.transport) is not None:
            transport.abort()
        self.force_close()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer what was asked."""
        entry = self.entry
        if entry is not None and not entry.enforcer:
            # Before it is sent: who does not read what they are told makes room.
            self._server.table.rests(entry)
        return await super().finish_response(request, resp, start_time)

    @property
    def remote(self) -> str | None:
        """The address of whoever connected (see `Origin`)."""
        return None if self.entry is None else self.entry.address

    @property
    def protocol(self) -> object:
        """Itself (see `Origin`)."""
        return self

    def asked(self) -> None:
        """Count a request whose head is there."""
        entry = self.entry
        # Nothing of an enforcer's connection changes by this, once it has asked for the first time.
        if entry is not None and not entry.enforcer:
            self._server.table.begins(entry)
        self._left -= 1
        self.last = self._left <= 0 or time.monotonic() > self._until

    def proven(self, account: str, *, enforces: bool) -> None:
        """Take note of who asks on it."""
        entry = self.entry
        if entry is not None and (entry.holder != account or entry.enforcer is not enforces):
            self._server.table.proven(entry, account, enforces=enforces)

    def malformed(self, error: object) -> None:
        """Count client error."""
        self._server.counts.malformed[self._server.port] += 1
        super().malformed(error)


def _given_up(*_: object) -> NoReturn:
    """Stand for what makes requests, on a connection that is lost."""
    raise asyncio.CancelledError


class ConnectionBounds(NamedTuple):
    """What an application keeps under `BOUNDED` whose connections are bounded and counted."""

    port: Port
    bounds: Bounds
    counts: Counts


BOUNDED: Final[web.AppKey[ConnectionBounds]] = web.AppKey("bounded")


class Connections(web.Server):
    """Makes the connections of one port."""

    def __init__(
        self,
        like: web.Server,
        bounded: ConnectionBounds,
        front: "AnsweringFront | None" = None,
        **options: Any,  # noqa: ANN401 - what aiohttp takes
    ) -> None:
        super().__init__(like.request_handler, request_factory=like.request_factory)
        self.front = front
        self.port, self.bounds, self.counts = bounded
        parts = self.bounds.connections_of(self.port)
        self.table = ConnectionTable(self.port, parts, self.bounds.first, self.counts)
        self.enforcers = Pacer(_FROM_ENFORCERS, self.table.knows)
        self.others = Pacer(_FROM_OTHERS, self.table.knows)
        self._options = {**options, "loop": asyncio.get_running_loop(), "keepalive_timeout": self.bounds.idle}

    def __call__(self, entry: TableEntry | None = None) -> Connection:
        """Return what takes a new connection, which may be in the table already."""
        return Connection(self, entry, **self._options)


def asked(request: web.BaseRequest) -> None:
    """Count a request on its connection."""
    connection = request.protocol
    if isinstance(connection, Connection):
        connection.asked()


class Origin(Protocol):
    """Where a request came from: the address, and the connection where we keep it ourselves. A `web.BaseRequest` is."""

    @property
    def remote(self) -> str | None:
        """The address of whoever connected."""

    @property
    def protocol(self) -> object:
        """The connection: one of ours, or anything else."""


class AnsweringFront(Protocol):
    """What answers plain requests at once (see `fastpath`). `draining`: no new request is to be begun so."""

    draining: Callable[[], bool]

    @property
    def answers_at_once(self) -> bool:
        """It does."""

    def answered(self, sent: PlainRequest, origin: Origin) -> WholeAnswer | None:
        """Return the whole answer to a request on an enforcer's connection; None: nothing is decided."""


def proven(origin: Origin, account: str, *, enforces: bool) -> None:
    """Take note of who sent this, and whether they enforce what they ask about."""
    connection = origin.protocol
    if isinstance(connection, Connection):
        connection.proven(account, enforces=enforces)


def is_last(request: web.BaseRequest) -> bool:
    """Tell whether the connection of a request is to be closed after the answer."""
    connection = request.protocol
    return isinstance(connection, Connection) and connection.last
