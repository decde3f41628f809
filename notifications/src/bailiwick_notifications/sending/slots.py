"""Slots for what there is little of: one for each holder, in turns, and others for those that were slow.

Holds: a holder that wants many waits for itself; the wait is bounded. Lives in one loop.
"""

import asyncio
from typing import Final
from weakref import WeakValueDictionary

_LONGEST_WAIT: Final = 30.0


class NoSlotError(Exception):
    """There was no slot in time."""


class HeldSlot:
    """A slot that somebody has."""

    def __init__(self, turn: asyncio.Lock, lane: asyncio.Semaphore) -> None:
        self._turn = turn
        self._lane = lane
        self._given = False

    def give(self) -> None:
        """Give it back. Again: nothing happens."""
        if not self._given:
            self._given = True
            self._lane.release()
            self._turn.release()


class FairSlots:
    """`slots` for all, `slow` more for those that were slow or failed last. `wait`: seconds, at most."""

    def __init__(self, slots: int, slow: int, wait: float = _LONGEST_WAIT) -> None:
        self._lanes = {False: asyncio.Semaphore(slots), True: asyncio.Semaphore(slow)}
        # A slot that is held or waited for keeps the lock of its holder alive.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._wait = wait

    async def take(self, holder: str, *, slow: bool = False) -> HeldSlot:
        """Return a slot. Raises `NoSlotError`."""
        turn = self._turns.setdefault(holder, asyncio.Lock())
        lane = self._lanes[slow]
        try:
            async with asyncio.timeout(self._wait):
                # One of each holder waits for the lane, which is first come first served: that is in turns.
                await turn.acquire()
                try:
                    await lane.acquire()
                except BaseException:
                    turn.release()
                    raise
        except TimeoutError as error:
            raise NoSlotError from error
        return HeldSlot(turn, lane)
