"""The table of open connections of one port: whose each one is, and which of them makes room for a new one.

Standing: under `connections` and `handshakes`; it knows no socket. Holds: a connection is a stranger's, by its address,
until somebody is authenticated on it. Strangers and accounts that do not enforce what they ask about have one part of
all connections together; where that is full, an idle one of them makes room (see `eviction`), and one from an address
from which an enforcer was authenticated lately only where those have more than half of the part. Enforcers have the
other part: no account has more of it than is free, and none of it makes room for anybody. An enforcer whose share is
used up is answered all the same, on a connection that counts with the others'.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from bailiwick_engine.boundedcache import BoundedCache
from bailiwick_webhook.http.shares.bounds import Parts
from bailiwick_webhook.http.shares.eviction import EvictionQueue
from bailiwick_webhook.http.shares.quota import Quota
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import CallerClass, ConnectionLimit, Port

# For so long after an enforcer was authenticated from an address, connections from there shake hands before others.
KNOWN_SECONDS: Final = 600.0
_MOST_KNOWN: Final = 1_024


class TableEntry:
    """One open connection. `holder`: its address, or the account authenticated last. `end` closes it at once."""

    __slots__ = ("address", "end", "ended", "enforcer", "holder", "over_share", "queue", "silent")

    def __init__(self, address: str, end: Callable[[], None]) -> None:
        self.address = address
        self.holder = address
        self.end = end
        self.ended = False
        self.enforcer = False
        # Among which of those that may have to make room it is, if among any.
        self.queue: EvictionQueue[TableEntry] | None = None
        self.over_share = False
        # Runs until its first request is there.
        self.silent: asyncio.TimerHandle | None = None


class ConnectionTable:
    """The connections of one port. `first`: seconds until the head of a first request must be there."""

    def __init__(
        self, port: Port, parts: Parts, first: float, counts: Counts, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._port = port
        self._most = parts.others
        self._first = first
        self._counts = counts
        self._clock = clock
        # Of its own, so that what happens at one port hides nothing of another.
        self._log = LogLimit()
        self._shares = Quota(parts.enforcers)
        self._others = 0
        self.enforcers = 0
        """How many connections are of enforcers."""
        self._queue: EvictionQueue[TableEntry] = EvictionQueue()
        # Of addresses from which an enforcer was authenticated lately: on each new connection it has to be again.
        self._known_queue: EvictionQueue[TableEntry] = EvictionQueue()
        self._known: BoundedCache[str, float] = BoundedCache(_MOST_KNOWN)

    def knows(self, address: str) -> bool:
        """Tell whether an enforcer was authenticated from this address lately."""
        return self._clock() - self._known.get(address, float("-inf")) < KNOWN_SECONDS

    def admit(self, address: str, end: Callable[[], None]) -> TableEntry:
        """Take in a new connection. Another one may have to go for it; or it is ended itself before this returns."""
        entry = TableEntry(address, end)
        entry.silent = asyncio.get_running_loop().call_later(self._first, self._give_up, entry, ConnectionLimit.SILENT)
        self._count(CallerClass.OTHERS, 1)
        self._others += 1
        self._may_go(entry)
        if self._others > self._most:
            # The new one is among them, and has to go itself where something is under way on each of the others.
            self._make_room(entry)
        return entry

    def begins(self, entry: TableEntry) -> None:
        """Take note of a request whose head is there: until it is answered, its connection makes room for no other."""
        if entry.silent is not None:
            # The timer goes too, or a flood of connections would be kept for as long as it runs.
            entry.silent.cancel()
            entry.silent = None
        self._stays(entry)

    def rests(self, entry: TableEntry) -> None:
        """Take note that what was asked on a connection is answered."""
        if not (entry.enforcer or entry.ended or entry.queue is not None):
            self._may_go(entry)

    def note_caller(self, entry: TableEntry, account: str, *, enforces: bool) -> None:
        """Take note of who asks on a connection, where that is not who asked before.

        It is looked at with each request, since policies change.
        """
        if entry.ended:
            # Its client went away while it was authenticated.
            return
        self._leave_part(entry)
        entry.holder = account
        if enforces and self._shares.take(account) is None:
            entry.enforcer, entry.over_share = True, False
            self.enforcers += 1
            self._count(CallerClass.ENFORCERS, 1)
            self._remember(entry.address)
            return
        if enforces and not entry.over_share:
            # Once for each connection, and not for each request on it.
            entry.over_share = True
            self._limited(ConnectionLimit.OVER_SHARE, account)
        self._others += 1
        self._count(CallerClass.OTHERS, 1)
        if self._others > self._most and (self._queue or self._known_queue):
            self._make_room()

    def leave(self, entry: TableEntry) -> None:
        """Take note of one that ended. A second time is none."""
        if entry.ended:
            return
        entry.ended = True
        # It belongs to what has the entry: kept, each connection would be garbage that only the collector finds.
        entry.end = _ended
        if entry.silent is not None:
            entry.silent.cancel()
            entry.silent = None
        self._leave_part(entry)

    def _leave_part(self, entry: TableEntry) -> None:
        self._stays(entry)
        if entry.enforcer:
            self._shares.give_back(entry.holder)
            entry.enforcer = False
            self.enforcers -= 1
            self._count(CallerClass.ENFORCERS, -1)
        else:
            self._others -= 1
            self._count(CallerClass.OTHERS, -1)

    def _make_room(self, new: TableEntry | None = None) -> None:
        known = self._known_queue
        _, entry = (self._queue if self._queue and known.count <= self._most // 2 else known).first()
        self._give_up(entry, ConnectionLimit.REFUSED if entry is new else ConnectionLimit.EVICTED)

    def _give_up(self, entry: TableEntry, why: ConnectionLimit) -> None:
        end = entry.end
        # First, since its end is reported a moment later, and others may come until then.
        self.leave(entry)
        self._limited(why, entry.holder)
        end()

    def _may_go(self, entry: TableEntry) -> None:
        # An account that enforces nothing is no longer a stranger from a known address.
        stranger = entry.holder == entry.address
        entry.queue = self._known_queue if stranger and self.knows(entry.address) else self._queue
        entry.queue.add(entry.holder, entry)

    def _stays(self, entry: TableEntry) -> None:
        if entry.queue is not None:
            entry.queue.remove(entry.holder, entry)
            entry.queue = None

    def _remember(self, address: str) -> None:
        self._known.put(address, self._clock())

    def _count(self, who: CallerClass, change: int) -> None:
        self._counts.connections[self._port, who] += change

    def _limited(self, why: ConnectionLimit, holder: str) -> None:
        self._counts.connections_limited[self._port, why] += 1
        if why is not ConnectionLimit.SILENT:
            self._log.warning(_SAID[why], port=self._port.value, holder=holder, open=self._others, most=self._most)


def _ended() -> None:
    """Stand for the end of what has ended."""


_SAID: Final = {
    ConnectionLimit.EVICTED: "too many connections from clients that are not enforcers: closed an idle one",
    ConnectionLimit.REFUSED: "too many connections from clients that are not enforcers: closed a new one",
    ConnectionLimit.OVER_SHARE: (
        "an enforcer has reached its connection limit: further connections count as connections of others"
    ),
}
