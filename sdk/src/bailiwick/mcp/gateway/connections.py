"""The connections of the gateway: so many at a time, and none that only stands.

Holds: a new connection is taken as long as another one waits for its client: of the address that has most of those, the
one that waits longest makes room. One with a call under way is never ended here.
"""

import asyncio
from collections import Counter
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle


class OpenConnections:
    """The connections of one server, the oldest first. A head must come within `head_seconds`."""

    def __init__(self, most: int, head_seconds: float) -> None:
        """Keep so many."""
        self.head_seconds = head_seconds
        self._most = most
        self._open: dict[GatewayConnection, None] = {}

    def add(self, connection: "GatewayConnection") -> None:
        """Take a new one; another makes room for it."""
        self._open[connection] = None
        if len(self._open) <= self._most:
            return
        waiting = [one for one in self._open if one.waits]
        held = Counter(one.address for one in waiting)
        victim = max(waiting, key=lambda one: held[one.address], default=None)
        if victim is not None:
            # At once: the next one that comes needs another's room.
            self.remove(victim)
            victim.transport.abort()

    def remove(self, connection: "GatewayConnection") -> None:
        """Forget one that ended."""
        self._open.pop(connection, None)


class GatewayConnection(H11Protocol):
    """One connection. Lives in the loop of the server."""

    def __init__(self, *given: Any, table: OpenConnections, **more: Any) -> None:  # noqa: ANN401 - what uvicorn passes
        """Begin as uvicorn does."""
        super().__init__(*given, **more)
        self._table = table
        self._due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin."""
        super().connection_made(transport)
        self._wait()
        self._table.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._table.remove(self)
        if self._due is not None:
            self._due.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait()

    @property
    def waits(self) -> bool:
        """Whether the client is to send something: a head, or the rest of a body."""
        return self._heads_next or self.cycle.more_body

    @property
    def address(self) -> str:
        """Whose it is."""
        return "" if self.client is None else self.client[0]

    @property
    def _heads_next(self) -> bool:
        # None before the first request, which its type does not say.
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _wait(self) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = self.loop.call_later(self._table.head_seconds, self._late)

    def _late(self) -> None:
        if self._heads_next:
            self.transport.abort()


def bounded(most: int, head_seconds: float) -> type[asyncio.Protocol]:
    """Return the protocol of a server that keeps so many connections.

    A head must be complete `head_seconds` after the connection or the last answer.
    """
    table = OpenConnections(most, head_seconds)

    class BoundedConnection(GatewayConnection):
        """One of this server's."""

        def __init__(self, *given: Any, **more: Any) -> None:  # noqa: ANN401 - what uvicorn passes
            super().__init__(*given, table=table, **more)

    return BoundedConnection
