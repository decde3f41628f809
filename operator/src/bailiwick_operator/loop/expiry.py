"""Expiries: the keys that time alone will change, in a heap, and one task that waits for the next.

Standing: beside `workqueue`, to which the reconciler has what is due added; the notifier has expiries of its own. Lives
in the main loop. Holds: a key has at most one live entry, the one set last; an entry that comes early or twice only
costs a look.
"""

import asyncio
import heapq
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
# The wall clock may be set, and a machine may sleep: never wait longer than this without reading the clock again.
_LONGEST: Final = 30.0


class Expiries(Generic[K]):
    """Calls `due` with a key when its time has come, by `now`."""

    def __init__(self, due: Callable[[K], None], now: Callable[[], datetime]) -> None:
        self._due = due
        self._now = now
        self._heap: list[tuple[datetime, int, K]] = []
        self._live: dict[K, datetime] = {}
        self._count = 0
        self._earlier = asyncio.Event()

    def set(self, key: K, moment: datetime | None) -> None:
        """Set when a key is due; None takes it out."""
        if self._live.get(key) == moment:
            return
        if moment is None:
            del self._live[key]
            return
        self._live[key] = moment
        self._count += 1
        heapq.heappush(self._heap, (moment, self._count, key))
        if self._heap[0][1] == self._count:
            self._earlier.set()

    async def run(self) -> None:
        """Wait for the next, for ever."""
        while True:
            self._earlier.clear()
            wait = min(self._seconds_to_next(self._now()), _LONGEST)
            try:
                async with asyncio.timeout(wait):
                    await self._earlier.wait()
            except TimeoutError:
                self.call_due(self._now())

    def call_due(self, now: datetime) -> None:
        """Call for each key whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            moment, _, key = heapq.heappop(self._heap)
            # An entry that was replaced or taken out since is not what the key waits for any more.
            if self._live.get(key) == moment:
                del self._live[key]
                self._due(key)

    def _seconds_to_next(self, now: datetime) -> float:
        return max(0.0, (self._heap[0][0] - now).total_seconds()) if self._heap else _LONGEST
