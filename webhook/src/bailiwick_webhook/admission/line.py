"""The line before the worker: whose review is next, and who has to come again, where too many wait.

Standing: under `bench`. Reviews are counted by who sent them and by the namespace that they are about: the API
server is one sender for all tenants, and a stranger who posts for a tenant's namespace is another.
Holds: senders have the worker for as long as each other, and so have a sender's namespaces; where there is no place
left, it is one of those who have most that goes.
"""

import asyncio
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

# The API server writes the namespace before the object; whatever else somebody sends, this only says whose turn it is.
_NAMESPACE: Final = re.compile(rb'"namespace"\s*:\s*"([a-z0-9-]{1,63})"')
_HEAD: Final = 4096


class BusyError(Exception):
    """As many reviews, or as many bytes of them, are here already as may be."""


class Share(NamedTuple):
    """Whose reviews have their turns together."""

    sender: str
    namespace: str


NOBODY: Final = Share("", "")


@dataclass(slots=True)
class _Turns:
    """How long each has had the worker, in its time: a newcomer begins where the others are."""

    now: float = 0.0
    ends: dict[str, float] = field(default_factory=dict)

    def begins(self, who: str) -> float:
        return max(self.now, self.ends.get(who, 0.0))

    def took(self, who: str, seconds: float) -> None:
        self.now = self.begins(who)
        self.ends[who] = self.now + seconds
        # What lies behind is where everybody begins.
        self.ends = {one: end for one, end in self.ends.items() if end > self.now}


class Line:
    """Who waits. `most`: so many at once. Lives in one loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[Share, deque[asyncio.Future[None]]] = {}
        self._senders = _Turns()
        self._namespaces: dict[str, _Turns] = {}
        self._busy = False

    @property
    def crowded(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    async def turn(self, share: Share) -> None:
        """Wait for a turn, and have it until `done`. Raises `BusyError`."""
        if not self._busy and not self._waiting:
            self._busy = True
            return
        self._make_place(share)
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(share, deque()).append(mine)
        try:
            await mine
        except BaseException:
            if mine.done() and not mine.cancelled() and mine.exception() is None:
                # It was given the turn at the very moment in which it went.
                self.done(share, 0.0)
            else:
                self._leave(share, mine)
            raise

    def done(self, share: Share, seconds: float) -> None:
        """Give the turn back after so long, and let the next one have it."""
        self._senders.took(share.sender, seconds)
        self._namespaces.setdefault(share.sender, _Turns()).took(share.namespace, seconds)
        if not self._waiting:
            self._busy = False
            self._namespaces.clear()
            self._senders = _Turns()
            return
        sender = min({one.sender for one in self._waiting}, key=lambda one: (self._senders.begins(one), one))
        turns = self._namespaces.setdefault(sender, _Turns())
        of_sender = [one for one in self._waiting if one.sender == sender]
        following = min(of_sender, key=lambda one: (turns.begins(one.namespace), one.namespace))
        first = self._waiting[following][0]
        self._leave(following, first)
        first.set_result(None)

    def _make_place(self, share: Share) -> None:
        """Make another share give up a place where none is left. Raises `BusyError` where no share has more places."""
        if sum(map(len, self._waiting.values())) < self._most:
            return
        largest = max(self._waiting, key=lambda one: (self._places(one.sender), len(self._waiting[one])))
        mine = (self._places(share.sender), len(self._waiting.get(share, ())))
        theirs = (self._places(largest.sender), len(self._waiting[largest]))
        same = largest.sender == share.sender
        if (theirs[1] <= mine[1] + 1) if same else (theirs[0] <= mine[0] + 1):
            raise BusyError
        last = self._waiting[largest][-1]
        self._leave(largest, last)
        last.set_exception(BusyError())

    def _places(self, sender: str) -> int:
        return sum(len(waiting) for one, waiting in self._waiting.items() if one.sender == sender)

    def _leave(self, share: Share, one: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(share)
        if waiting is not None and one in waiting:
            waiting.remove(one)
            if not waiting:
                del self._waiting[share]


def share_of(sender: str | None, raw: bytes | bytearray) -> Share:
    """Return whose turn a review is, by its first bytes."""
    found = _NAMESPACE.search(bytes(raw[:_HEAD]))
    return Share(sender or "", found[1].decode() if found else "")
