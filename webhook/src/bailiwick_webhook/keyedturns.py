"""Keyed turns: how many of those who want one thing are at it at a time, such as one grant or one namespace.

Standing: under `approvals` and `history`; it is about load, and safety is the resourceVersion's. Holds: those who want
one key come in order; none waits for another key, nor for ever; who goes away while it waits takes no turn with it.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

_Key = TypeVar("_Key", bound=Hashable)


class KeyedTurns(Generic[_Key]):
    """Gives `at_once` turns for each key; who has waited for `patience` seconds gets none. Lives in one loop."""

    def __init__(self, at_once: int, patience: float) -> None:
        self._at_once = at_once
        self._patience = patience
        self._turns: WeakValueDictionary[_Key, asyncio.Semaphore] = WeakValueDictionary()

    def __len__(self) -> int:
        """How many keys are in turn now."""
        return len(self._turns)

    @asynccontextmanager
    async def hold(self, key: _Key) -> AsyncIterator[bool]:
        """Wait for a turn and hold it meanwhile; yields whether there is one: not where it did not come soon enough."""
        # Held here, so that it lives for as long as anybody waits for it.
        turns = self._turns.setdefault(key, asyncio.Semaphore(self._at_once))
        taken = await self._take(turns)
        try:
            yield taken
        finally:
            if taken:
                turns.release()

    async def _take(self, turns: asyncio.Semaphore) -> bool:
        if not turns.locked():
            return await turns.acquire()
        try:
            async with asyncio.timeout(self._patience):
                return await turns.acquire()
        except TimeoutError:
            return False
