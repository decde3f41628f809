"""The pace of one port: how much of what came from connections is looked at in a turn of the loop (see `scheduler`).

Standing: under `connections` and `decisionprotocol`. Holds: what enforcers send does not wait for what others send.
"""

from typing import Final

from bailiwick_webhook.http.shares.conntable import ConnectionTable, TableEntry
from bailiwick_webhook.http.transport.scheduler import ScheduledWork, Scheduler

# How often in a turn of the loop something is taken that came from an enforcer, or from anybody else; what is to be
# done about each takes about a tenth of a millisecond. So few connections of enforcers need no pace.
_FROM_ENFORCERS: Final = 16
_FROM_OTHERS: Final = 8
_FEW: Final = 64


class PortPace:
    """The pace of one port's connections. Lives in one loop."""

    def __init__(self, table: ConnectionTable) -> None:
        self._table = table
        self._enforcers = Scheduler(_FROM_ENFORCERS, table.knows)
        self._others = Scheduler(_FROM_OTHERS, table.knows)

    def free(self, entry: TableEntry) -> bool:
        """Tell whether what came on a connection may be looked at right now, and count it."""
        if entry.enforcer:
            return self._table.enforcers <= _FEW or self._enforcers.free()
        return self._others.free()

    def wait(self, work: ScheduledWork, entry: TableEntry) -> str:
        """Have it wait for its turn; return the name under which it waits."""
        (self._enforcers if entry.enforcer else self._others).wait(work, entry.holder, entry.address)
        return entry.holder

    def drop(self, work: ScheduledWork, name: str) -> None:
        """Have it wait no more, if it does."""
        # Whose its connection is may have changed since.
        for scheduler in (self._enforcers, self._others):
            scheduler.drop(work, name)
