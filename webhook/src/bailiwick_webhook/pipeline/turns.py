"""Turns on the loop: long work of tenants, one slice of it in each turn of the loop, in turn by tenant.

Standing: under the pipeline and the request authenticator, which use it for batches and searches, as they use `offload`
for large calls; `pdp` hands it to `history` too. Holds: however many pieces of work are under way, the loop does one
slice before it looks at what else has come; a crowd of one tenant waits behind itself alone.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from bailiwick_engine.fairqueue import FairQueue

SLICE_SECONDS: Final = 0.002


class LoopTurns:
    """Gives one turn in each turn of the loop. Lives in one loop."""

    def __init__(self) -> None:
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()
        self._giving = False

    def slices(self, tenant: str, clock: Callable[[], float] = time.monotonic) -> "TenantSlices":
        """Return the slices of one piece of work of this tenant, which has had no turn yet."""
        return TenantSlices(self, tenant, clock)

    async def turn(self, tenant: str) -> None:
        """Wait for a turn. It lasts until its holder waits for anything, and is not given back."""
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[None] = loop.create_future()
        self._queue.put(tenant, mine)
        if not self._giving:
            self._giving = True
            loop.call_soon(self._give)
        try:
            await mine
        except asyncio.CancelledError:
            self._queue.drop(tenant, mine)
            raise

    def _give(self) -> None:
        while self._queue.count:
            mine = self._queue.pop()
            # One that has gone away may not have come to take itself out.
            if not mine.done():
                mine.set_result(None)
                # Behind the one that was woken just now, and so in a later turn of the loop than its slice.
                asyncio.get_running_loop().call_soon(self._give)
                return
        self._giving = False


class TenantSlices:
    """Lets the loop go on every few milliseconds. One for each piece of work, from its beginning."""

    __slots__ = ("_clock", "_tenant", "_turns", "_until")

    def __init__(self, turns: LoopTurns, tenant: str, clock: Callable[[], float]) -> None:
        self._turns = turns
        self._tenant = tenant
        self._clock = clock
        self._until = float("-inf")

    @property
    def over(self) -> bool:
        """It is time for a `turn`, as it is at first."""
        return self._clock() >= self._until

    async def turn(self) -> None:
        """Come here before the first step and after each."""
        if self.over:
            await self._turns.turn(self._tenant)
            self._until = self._clock() + SLICE_SECONDS
