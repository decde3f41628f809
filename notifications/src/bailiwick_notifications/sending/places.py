"""Who may use what there is little of: one place for each holder, in turns, and others for those that were slow.

Holds: a holder that wants many waits for itself; nobody waits for longer than was said. Lives in one loop.
"""

import asyncio
from typing import Final
from weakref import WeakValueDictionary

_LONGEST_WAIT: Final = 30.0


class NoPlaceError(Exception):
    """There was no place in time."""


class HeldPlace:
    """A place that somebody has."""

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


class FairPlaces:
    """`places` for all, `slow` more for those that were slow or failed last. `wait`: seconds, at most."""

    def __init__(self, places: int, slow: int, wait: float = _LONGEST_WAIT) -> None:
        self._lanes = {False: asyncio.Semaphore(places), True: asyncio.Semaphore(slow)}
        # Whoever has a place or waits for one keeps the lock of its holder alive.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._wait = wait

    async def take(self, holder: str, *, slow: bool = False) -> HeldPlace:
        """Return a place. Raises `NoPlaceError`."""
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
            raise NoPlaceError from error
        return HeldPlace(turn, lane)
