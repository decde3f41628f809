"""What one open connection may still ask, and whose it is in the table.

Standing: under `transport`; it knows no socket, and goes along where a connection changes its protocol. Holds: a
connection may ask so often and live so long (`Bounds.requests`, `Bounds.seconds`), each less by up to a fifth, by
chance; it is in the table until it ends.
"""

import random

from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.shares.conntable import ConnectionTable, TableEntry


class ConnectionShare:
    """One connection. `now` is the loop's time, in seconds. `last`: what is asked now is the last that it may."""

    __slots__ = ("_left", "_table", "_until", "entry", "last")

    def __init__(self, table: ConnectionTable, entry: TableEntry, bounds: Bounds, now: float) -> None:
        share = random.uniform(0.8, 1.0)  # noqa: S311 - jitter, not a secret
        self._table = table
        self._left = max(1, int(bounds.requests * share))
        self._until = now + bounds.seconds * share
        self.entry = entry
        self.last = False

    def begins(self) -> None:
        """Take note of a request whose head is there: its connection makes room for no other."""
        entry = self.entry
        # Nothing of an enforcer's connection changes by this, once it has asked for the first time.
        if not entry.enforcer:
            self._table.begins(entry)

    def count(self, now: float) -> None:
        """Count a request whose head is there."""
        self._left -= 1
        self.last = self._left <= 0 or now > self._until

    def rests(self) -> None:
        """Take note that what was asked is answered."""
        entry = self.entry
        if not entry.enforcer:
            self._table.rests(entry)

    def note_caller(self, account: str, *, enforces: bool) -> None:
        """Take note of who asks on it."""
        entry = self.entry
        if entry.holder != account or entry.enforcer is not enforces:
            self._table.note_caller(entry, account, enforces=enforces)

    def leave(self) -> None:
        """Take note of its end."""
        self._table.leave(self.entry)


class SharedConnection:
    """A connection of a port whose connections have bounds and shares, whichever protocol it speaks."""

    __slots__ = ()
    share: ConnectionShare
