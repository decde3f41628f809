"""The decision port's own protocol: plain requests, answered from their bytes, on connections that aiohttp never sees.

Standing: below `connections`, which makes it, and above `decisionshortcut`, which decides. Holds: requests are answered
in the order in which they come, and one is under way at a time; while it is, while its turn has not come, and while its
client does not read, nothing more is read; what is not a plain request is aiohttp's, with all that follows on the
connection (`asyncio.BaseTransport.set_protocol`); a connection is closed by us only after an answer that said so, or
while nothing is under way on it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.shares.connectionshare import ConnectionShare, SharedConnection
from bailiwick_webhook.http.shares.conntable import ConnectionTable, TableEntry
from bailiwick_webhook.http.transport import answers
from bailiwick_webhook.http.transport.answers import WholeAnswer
from bailiwick_webhook.http.transport.decisionshortcut import DecisionShortcut
from bailiwick_webhook.http.transport.pace import PortPace
from bailiwick_webhook.http.transport.plainrequest import PlainHead, PlainRequest, head_of, may_become_plain
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.steps import Need, Step, resolve

# What of a body may be missing, and for how many seconds a message is waited for: whatever is large or late is
# aiohttp's, which has bounds.
_SMALL: Final = 8 * 1024
_PATIENCE: Final = 0.05
# For how many seconds after the last answer what its client still sends is read and thrown away.
_LINGER: Final = 5.0


@dataclass(frozen=True, slots=True)
class DecisionPort:
    """What the connections of one port have in common. Without a shortcut all of them are aiohttp's from the beginning.

    `leave` gives a connection to aiohttp, with what came on it; `open` holds those that are not aiohttp's, and `tasks`
    what is awaited, also for clients that are gone. `stopped`: nothing more is begun.
    """

    bounds: Bounds
    counts: Counts
    table: ConnectionTable
    pace: PortPace
    shortcut: DecisionShortcut | None
    draining: Callable[[], bool]
    leave: Callable[[ConnectionShare, asyncio.Transport, bytes], asyncio.BaseProtocol]
    open: "dict[DecisionProtocol, None]" = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)


class DecisionProtocol(SharedConnection, asyncio.Protocol):
    """One connection. `made`: it was begun, also where it is aiohttp's by now."""

    __slots__ = (
        *(
            "_blocked",
            "_closes",
            "_idle",
            "_kept",
            "_loop",
            "_over",
            "_patience",
            "_port",
            "_since",
            "_stopped",
            "_waits_as",
        ),
        *("entry", "made", "share", "task", "transport"),
    )

    def __init__(self, port: DecisionPort, entry: TableEntry | None = None) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self.entry = entry
        self.made = False
        self.transport: asyncio.Transport | None = None
        # What came and was not begun yet.
        self._kept = b""
        # Until when the rest of a message is waited for, and since when nothing is under way.
        self._patience: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._since = self._loop.time()
        # Nothing more is read; its client reads nothing; under whose name it waits for its turn.
        self._stopped = False
        self._blocked = False
        self._waits_as: str | None = None
        # The answer to the request that is under way ends the connection.
        self._closes = False
        self.task: asyncio.Task[None] | None = None
        # The last answer is written.
        self._over = False

    @property
    def waits(self) -> bool:
        """Something came that was not begun yet, and will be: its client reads its answers."""
        return bool(self._kept) and not self._blocked

    @property
    def remote(self) -> str | None:
        """The address of the client (see `Origin`)."""
        return self.share.entry.address

    @property
    def protocol(self) -> object:
        """Itself (see `Origin`)."""
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        made, port = cast("asyncio.Transport", transport), self._port
        self.made = True
        entry = self.entry
        if entry is None:
            address = made.get_extra_info("peername")
            entry = port.table.admit(address[0] if address else "", made.abort)
        elif not entry.ended:
            entry.end = made.abort
        if entry.ended:
            made.abort()
        self.share = ConnectionShare(port.table, entry, port.bounds, self._loop.time())
        self.transport = made
        if port.shortcut is None:
            self._leave(b"")
            return
        port.open[self] = None
        self._idle = self._loop.call_later(port.bounds.idle, self._look)

    def connection_lost(self, exc: BaseException | None) -> None:  # noqa: ARG002 - the superclass has it
        """End. What is under way is driven to its end, and is not answered."""
        self._forget()
        self._kept = b""
        self.share.leave()

    def data_received(self, data: bytes) -> None:
        """Take what came, in its turn."""
        if self._over:
            return
        if self._kept:
            data = self._kept + data
        if self._stopped:
            self._kept = data
        elif self._port.pace.free(self.share.entry):
            self._read(data)
        else:
            self._kept = data
            self._wait_for_turn()

    def turn(self) -> None:
        """Take what waited."""
        self._waits_as = None
        if not self._blocked:
            self._read(self._kept)

    def pause_writing(self) -> None:
        """Begin nothing more: a client that does not read its answers is not read from."""
        self._blocked = True
        self._stop_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._blocked = False
        if self.task is None and self._waits_as is None:
            self._go_on()

    def close_idle(self) -> None:
        """Close it, as soon as nothing is under way on it."""
        self._closes = True
        if self.task is None and not self._kept and self.transport is not None:
            self.transport.close()

    def end(self) -> None:
        """Close it, whatever is under way."""
        if self.task is not None:
            self.task.cancel()
        if self.transport is not None:
            self.transport.close()

    def _read(self, data: bytes) -> None:
        """Begin the request that these bytes begin with, or wait for the rest of it, or leave them to aiohttp."""
        if self._over or self.transport is None or self.transport.is_closing():
            # Its turn may come behind its end, and no client would be answered.
            return
        head = head_of(data)
        if head is None:
            if may_become_plain(data):
                self._wait_for_rest(data)
            else:
                self._leave(data)
            return
        missing = head.missing(data)
        if missing <= 0:
            self._begin(head, data, missing)
        elif missing <= _SMALL:
            self._wait_for_rest(data)
        else:
            self._leave(data)

    def _begin(self, head: PlainHead, data: bytes, missing: int) -> None:
        port, share, sent = self._port, self.share, head.request(data)
        assert port.shortcut is not None  # noqa: S101 - without one nothing is read here
        share.begins()
        step: WholeAnswer | Need[WholeAnswer] | None
        try:
            step = port.shortcut.begin(sent, self)
        except Exception as error:  # noqa: BLE001 - the last line: a defect must deny; what it did is not done again
            step = answers.broken(sent.path, error, sent.marked.request_id)
        if step is None:
            self._leave(data)
            return
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._kept = data[missing:] if missing else b""
        self._since = self._loop.time()
        share.count(self._since)
        self._closes = self._closes or head.closes
        if isinstance(step, Need):
            self._stop_reading()
            self.task = self._loop.create_task(self._drive(step, sent))
            port.tasks.add(self.task)
            self.task.add_done_callback(self._end_cancelled)
        else:
            self._answer(step)

    async def _drive(self, need: Step[WholeAnswer], sent: PlainRequest) -> None:
        try:
            answer = await resolve(need)
        except Exception as error:  # noqa: BLE001 - the last line: a defect must deny, and tell the caller nothing
            answer = answers.broken(sent.path, error, sent.marked.request_id)
        finally:
            self.task = None
        self._since = self._loop.time()
        self._answer(answer)

    def _end_cancelled(self, task: asyncio.Task[None]) -> None:
        """Forget what was under way, and end its connection if it was cancelled.

        Not in `_drive`, of which nothing runs if it is cancelled before it began.
        """
        self._port.tasks.discard(task)
        if task.cancelled():
            self.task = None
            # Nothing more would be read, and the client would not know why.
            if self.transport is not None:
                self.transport.abort()

    def _answer(self, answer: WholeAnswer) -> None:
        port, share, transport = self._port, self.share, self.transport
        port.counts.count_response(answer.status)
        if transport is None or transport.is_closing():
            return
        # Before it is sent: a client that does not read its answers makes room.
        share.rests()
        if self._closes or share.last or port.draining():
            answer = answer.ending()
        transport.write(answer.raw)
        if answer.closing:
            self._finish(transport)
        elif self._kept or self._stopped:
            self._go_on()

    def _finish(self, transport: asyncio.Transport) -> None:
        """End the connection after what was written.

        In the clear, bytes that are unread when a socket is closed destroy what was written (RFC 9112, 9.6): they are
        read and thrown away for a while.
        """
        self._over, self._kept = True, b""
        if not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        if self._stopped and not self._blocked:
            self._stopped = False
            transport.resume_reading()
        self._patience = self._loop.call_later(_LINGER, transport.close)

    def _go_on(self) -> None:
        """Look at what is kept when it is its turn, or read on."""
        if self._kept:
            self._wait_for_turn()
        elif self._stopped and not self._blocked and self.transport is not None and not self.transport.is_closing():
            self._stopped = False
            self.transport.resume_reading()

    def _wait_for_turn(self) -> None:
        self._stop_reading()
        self._waits_as = self._port.pace.wait(self, self.share.entry)

    def _wait_for_rest(self, data: bytes) -> None:
        self._kept = b""
        self._go_on()
        self._kept = data
        if self._patience is None:
            self._patience = self._loop.call_later(_PATIENCE, self._give_up)

    def _give_up(self) -> None:
        """Leave to aiohttp what does not come."""
        self._patience = None
        if self._waits_as is None:
            self._leave(self._kept)

    def _stop_reading(self) -> None:
        if not self._stopped and self.transport is not None and not self.transport.is_closing():
            self._stopped = True
            self.transport.pause_reading()

    def _leave(self, data: bytes) -> None:
        """Leave the connection to aiohttp, with what came on it."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self._forget()
        self._kept = b""
        if self._stopped:
            transport.resume_reading()
        successor = self._port.leave(self.share, transport, data)
        if self._blocked:
            # Which it cannot know: it is called when that changes.
            successor.pause_writing()

    def _forget(self) -> None:
        """Have nothing to do with the connection any more."""
        self.transport = self.entry = None
        for timer in (self._patience, self._idle):
            if timer is not None:
                timer.cancel()
        self._patience = self._idle = None
        if self._waits_as is not None:
            self._port.pace.drop(self, self._waits_as)
            self._waits_as = None
        self._port.open.pop(self, None)

    def _look(self) -> None:
        """Close it, if nothing was asked for so long."""
        transport, now, idle = self.transport, self._loop.time(), self._port.bounds.idle
        if transport is None:
            return
        due = self._since + idle
        if self.task is not None or self._waits_as is not None or now < due:
            self._idle = self._loop.call_at(due if due > now else now + idle, self._look)
        elif self._blocked or transport.is_closing() or transport.get_write_buffer_size():
            # Not after what was never read.
            transport.abort()
        else:
            transport.close()
