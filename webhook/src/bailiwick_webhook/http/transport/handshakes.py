"""TLS handshakes: one is begun in each turn of the loop, in a fair order (see `scheduler`).

Standing: under `listener`, which accepts. A handshake costs most of a millisecond of the loop, so that the one who
comes last would wait for all the others. Holds: a handshake is begun only when the client has said something that can
be one; whatever is given up before hands are shaken is closed at once.
"""

import asyncio
import contextlib
import socket
import ssl
from typing import Final

from bailiwick_webhook.http.transport.connections import Connections
from bailiwick_webhook.http.transport.decisionprotocol import DecisionProtocol
from bailiwick_webhook.http.transport.scheduler import Scheduler
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.table import Handshake

_AT_ONCE: Final = 1
# The type of the first record of a client (RFC 8446, 5.1).
_HANDSHAKE: Final = b"\x16"

_log: Final = LogLimit()


class Handshakes:
    """The handshakes of one listener."""

    def __init__(self, server: Connections, tls: ssl.SSLContext) -> None:
        self.server = server
        self.tls = tls
        self.loop = asyncio.get_running_loop()
        self.arrivals: set[Arrival] = set()
        self.scheduler = Scheduler(_AT_ONCE, server.shared.table.knows)

    def close(self) -> None:
        """Give up all on which hands are not shaken yet."""
        for arrival in tuple(self.arrivals):
            arrival.end()

    def wait(self, arrival: "Arrival") -> None:
        """Have an arrival wait for its turn, if it has to."""
        if self.scheduler.free():
            arrival.turn()
        else:
            self.scheduler.wait(arrival, arrival.address, arrival.address)
            self.tell()

    def tell(self) -> None:
        """Tell how many wait."""
        self.server.shared.counts.handshakes_waiting[self.server.port] = self.scheduler.waiting

    def ended(self, outcome: Handshake) -> None:
        """Count how one ended."""
        self.server.shared.counts.handshakes[self.server.port, outcome] += 1


class Arrival:
    """One accepted connection, until hands are shaken on it."""

    __slots__ = ("_accepted", "_handshakes", "_task", "address", "entry")

    def __init__(self, handshakes: Handshakes, accepted: socket.socket, address: str) -> None:
        self._handshakes = handshakes
        self._accepted: socket.socket | None = accepted
        self._task: asyncio.Task[None] | None = None
        self.address = address
        handshakes.arrivals.add(self)
        handshakes.loop.add_reader(accepted, self._spoken)
        # Last, since it may be ended right here.
        self.entry = handshakes.server.shared.table.admit(address, self.end)

    def end(self) -> None:
        """Close it, whatever it waits for."""
        if self._task is not None:
            self._task.cancel()
        elif self._accepted is not None:
            self._handshakes.loop.remove_reader(self._accepted)
            self._handshakes.scheduler.drop(self, self.address)
            self._handshakes.tell()
            self._close()

    def turn(self) -> None:
        """Shake hands."""
        self._handshakes.tell()
        accepted = self._accepted
        assert accepted is not None  # noqa: S101 - what has ended does not wait
        connection = self._handshakes.server.accept(self.entry)
        task = self._handshakes.loop.create_task(self._shake(connection, accepted))
        self._task = task

        def ended(_: asyncio.Task[None]) -> None:
            # Here, since a task that is cancelled before it began never runs.
            self._handshakes.arrivals.discard(self)
            if not connection.made:
                self._close()
                self._handshakes.server.shared.table.leave(self.entry)
            # The connection has the socket from here on. A task that was cancelled holds, by its traceback, who holds
            # it: only the collector would free the two.
            self._accepted = self._task = None

        task.add_done_callback(ended)

    async def _shake(self, connection: DecisionProtocol, accepted: socket.socket) -> None:
        handshakes = self._handshakes
        outcome = Handshake.FAILED
        try:
            await handshakes.loop.connect_accepted_socket(lambda: connection, accepted, ssl=handshakes.tls)
            outcome = Handshake.DONE
        except OSError:
            # A client may speak no TLS, or another one, or go away: that is no news.
            return
        except Exception as error:  # noqa: BLE001 - of one connection, and nothing waits for this task
            _log.error("TLS handshake failed", error=repr(error))
        finally:
            handshakes.ended(outcome)

    def _spoken(self) -> None:
        accepted = self._accepted
        if accepted is None:
            return
        self._handshakes.loop.remove_reader(accepted)
        try:
            said = accepted.recv(1, socket.MSG_PEEK)
        except OSError:
            said = b""
        if said == _HANDSHAKE:
            self._handshakes.wait(self)
        else:
            # It went away, or speaks no TLS: for that no hands need be shaken.
            self._handshakes.ended(Handshake.FAILED)
            self._close()
            self._handshakes.server.shared.table.leave(self.entry)

    def _close(self) -> None:
        accepted, self._accepted = self._accepted, None
        self._handshakes.arrivals.discard(self)
        if accepted is not None:
            with contextlib.suppress(OSError):
                accepted.close()
