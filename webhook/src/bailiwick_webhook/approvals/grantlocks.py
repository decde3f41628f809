"""Grant locks: calls of one process that want the same grant go in turn, since all but one of them conflict.

Standing: under `consumer`. Holds: this is about load, never about safety, which is the resourceVersion's: who has
waited for long enough goes on out of turn, so that an API server that hangs holds nobody up behind the others.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

PATIENCE: Final = 1.0


class GrantLocks:
    """One turn at a time for each key."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, key: tuple[str, str]) -> AsyncIterator[None]:
        """Wait for a turn, but not for ever, and hold it."""
        # Held here, so that it lives for as long as anybody waits for it.
        lock = self._locks.setdefault(key, asyncio.Lock())
        taken = await _taken(lock)
        try:
            yield
        finally:
            if taken:
                lock.release()


async def _taken(lock: asyncio.Lock) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            return await lock.acquire()
    except TimeoutError:
        return False
