"""Rations: how many writes and reads of histories a replica makes, for each namespace and for all.

Standing: under `commits`. Holds: a write that comes too early waits for a moment, in turn by namespace, and calls that
come meanwhile share it; no namespace takes the turns of another.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from bailiwick_process.rates import TokenBuckets

WRITES: Final = 50.0
WRITE_BURST: Final = 100.0
ALL_WRITES: Final = 200.0
NEW_KEYS: Final = 10.0
NEW_KEY_BURST: Final = 1_000.0
READS: Final = 250.0
READ_BURST: Final = 500.0
DRY_RUNS: Final = 10.0
DRY_RUN_BURST: Final = 20.0
DENIALS: Final = 10.0
"""Writes a second that count denied calls, so that most turns are left to calls that wait for an answer."""
DENIAL_BURST: Final = 50.0
PATIENCE: Final = 0.5
"""Seconds that a write waits for its turn."""
_TICK: Final = 0.005
_ALL: Final = ""


class HistoryRations:
    """Gives turns. `clock` is monotonic, in seconds. Lives in one loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._writes: TokenBuckets[str] = TokenBuckets(WRITES, WRITE_BURST)
        self._all: TokenBuckets[str] = TokenBuckets(ALL_WRITES, ALL_WRITES)
        self._new: TokenBuckets[str] = TokenBuckets(NEW_KEYS, NEW_KEY_BURST)
        self._reads: TokenBuckets[str] = TokenBuckets(READS, READ_BURST)
        self._dry_runs: TokenBuckets[str] = TokenBuckets(DRY_RUNS, DRY_RUN_BURST)
        self._denials: TokenBuckets[str] = TokenBuckets(DENIALS, DENIAL_BURST)
        # The namespace whose turn is next stands first.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._giving = False

    def take_read(self, namespace: str) -> bool:
        """Take a read of one object."""
        return self._reads.take(namespace, self._clock())

    def take_dry_run(self, namespace: str) -> bool:
        """Take the reads of a call that a subject asks about itself."""
        return self._dry_runs.take(namespace, self._clock())

    def take_denials(self, namespace: str) -> bool:
        """Take a write of one object that counts denied calls."""
        return self._denials.take(namespace, self._clock())

    def take_new_key(self, namespace: str, *, waits: bool = True) -> bool:
        """Take the creation of an object, which is a write as well. Not `waits`: no call waits for it.

        Half of what there is at once is for calls that wait.
        """
        if waits:
            return self._new.take(namespace, self._clock())
        if not self._new.take(namespace, now := self._clock(), NEW_KEY_BURST / 2):
            return False
        self._new.take(namespace, now, 1 - NEW_KEY_BURST / 2)
        return True

    def put_back(self, namespace: str) -> None:
        """Put the turn of a write back, which was not needed."""
        now = self._clock()
        self._writes.take(namespace, now, -1)
        self._all.take(_ALL, now, -1)

    async def take_write(self, namespace: str) -> bool:
        """Wait for the turn of a write; return False where it does not come soon enough."""
        if not self._waiting and self._take(namespace):
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, deque()).append(turn)
        if not self._giving:
            self._giving = True
            self._give_later()
        try:
            async with asyncio.timeout(PATIENCE):
                await turn
        except TimeoutError:
            return False
        return True

    def _take(self, namespace: str) -> bool:
        """Take a write of the namespace and of all, or of neither."""
        now = self._clock()
        if not self._writes.take(namespace, now):
            return False
        if self._all.take(_ALL, now):
            return True
        self._writes.take(namespace, now, -1)
        return False

    def _give_later(self) -> None:
        asyncio.get_running_loop().call_later(_TICK, self._give)

    def _give(self) -> None:
        """Give the turns that there are, one to each namespace before the second to any."""
        given = True
        while given:
            given = False
            for namespace in tuple(self._waiting):
                turns = self._waiting[namespace]
                # A write that waited for too long is over.
                while turns and turns[0].done():
                    turns.popleft()
                if turns and self._take(namespace):
                    turns.popleft().set_result(None)
                    given = True
                    # Behind all the others.
                    del self._waiting[namespace]
                    self._waiting[namespace] = turns
                if not turns:
                    del self._waiting[namespace]
        self._giving = bool(self._waiting)
        if self._giving:
            self._give_later()
