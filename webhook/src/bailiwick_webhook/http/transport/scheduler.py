"""Scheduler: how much of one kind of work is done in a turn of the loop, and in which order.

Standing: under `handshakes` and `connections`. What comes from hundreds of connections at once would be done in one
turn of the loop, and a decision has to wait for several turns. Holds: of one kind of work so many pieces are done in a
turn; of what waits each name has its turn, and of one name the oldest goes first; an address from which an enforcer was
proven lately goes before others, which still have every `_SHARE`th turn.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Final, Protocol

from bailiwick_engine.fairqueue import FairQueue

_SHARE: Final = 4


class ScheduledWork(Hashable, Protocol):
    """What waits for its turn. It is identified by which object it is."""

    def turn(self) -> None:
        """Do it."""


class Scheduler:
    """Schedules one kind of work. `knows` tells whether an enforcer was authenticated from an address lately."""

    def __init__(self, at_once: int, knows: Callable[[str], bool]) -> None:
        self._at_once = at_once
        self._left = at_once
        self._knows = knows
        self._loop = asyncio.get_running_loop()
        self._now = _turns(self._loop)
        self._at = self._now()
        self._known: FairQueue[ScheduledWork] = FairQueue()
        self._others: FairQueue[ScheduledWork] = FairQueue()
        self._count = 0
        self._due: asyncio.Handle | None = None

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._known.count + self._others.count

    def free(self) -> bool:
        """Tell whether one more piece of work may be done right now, and count it."""
        if self._known.count or self._others.count:
            return False
        now = self._now()
        if now != self._at:
            self._at, self._left = now, self._at_once
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    def wait(self, work: ScheduledWork, name: str, address: str) -> None:
        """Have work wait for its turn."""
        queue = self._known if self._knows(address) else self._others
        queue.put(name, work)
        if self._due is None:
            self._due = self._loop.call_soon(self._turn)

    def drop(self, work: ScheduledWork, name: str) -> None:
        """Have it wait no more, if it does."""
        if not self._known.drop(name, work):
            self._others.drop(name, work)

    def _turn(self) -> None:
        try:
            for _ in range(min(self._at_once, self.waiting)):
                self._count += 1
                first, second = (self._known, self._others) if self._count % _SHARE else (self._others, self._known)
                (first if first.count else second).pop().turn()
        finally:
            # Also where a turn meets a defect: the others wait for theirs.
            self._due = self._loop.call_soon(self._turn) if self.waiting else None


def _turns(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return what tells one turn of the loop from the next."""
    if type(loop).__module__.startswith("uvloop"):
        # The time at which a turn began, in milliseconds: of turns that are shorter several count as one.
        return loop.time
    # Any other loop's time goes on within a turn. To be called in the next one costs a turn of its own.
    count, due = 0, False

    def passed() -> None:
        nonlocal count, due
        count, due = count + 1, False

    def turn() -> float:
        nonlocal due
        if not due:
            due = True
            loop.call_soon(passed)
        return count

    return turn
