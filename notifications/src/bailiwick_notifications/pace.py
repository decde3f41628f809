"""How often one target is told: so many messages a minute, then one digest that counts; and when to try again. Pure.

Holds: nothing is silently left out: what finds no room is counted, and the count is told when the minute is over. The
messages of a minute are those of all namespaces in turn: one that has much to tell is counted, and what another has to
tell waits for the next minute at most as long as those that came before it take their turns.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailiwick_engine.fairqueue import FairQueue
from bailiwick_notifications.notification import Notification, NotificationType
from bailiwick_process.rates import RateWindow

WINDOW_SECONDS: Final = 60.0
_FIRST_RETRY: Final = 1.0
_LONGEST_RETRY: Final = 60.0


@dataclass(frozen=True, slots=True)
class DeliveryTerms:
    """For one target. `per_minute` messages; a delivery ends after `attempts` or `age` seconds, what comes first."""

    per_minute: int = 20
    attempts: int = 25
    age: float = 900.0
    timeout: float = 10.0
    queue: int = 200


@dataclass(frozen=True, slots=True, eq=False)
class QueuedNotification:
    """One that waits, `since` by a monotonic clock."""

    told: Notification
    since: float


class MessageLine:
    """What waits for one target in one order, at one rate. Times are seconds of a monotonic clock.

    `most` may wait. A namespace that was told of as often in this minute as its part of the rate, or has as many
    waiting as the rate, has everything more of it counted.
    """

    def __init__(self, per_minute: int, most: int) -> None:
        self._per_minute = per_minute
        self._most = most
        self._window = RateWindow(per_minute, WINDOW_SECONDS)
        self._queue: FairQueue[QueuedNotification] = FairQueue()
        self._told: Counter[str] = Counter()
        self._held: Counter[NotificationType] = Counter()
        self._first: datetime | None = None
        self._last: Notification | None = None

    def put(self, told: Notification, now: float) -> bool:
        """Take in what is to be told. Returns whether it, or another in its place, is counted."""
        self._open(now)
        name = _name_of(told)
        if self._told[name] >= self._part(name) or self._queue.waiting(name) >= self._per_minute:
            self._hold(told)
            return True
        counted = self._queue.count >= self._most
        if counted:
            crowd, size = self._queue.crowd
            if size <= self._queue.waiting(name) + 1:
                self._hold(told)
                return True
            self._hold(self._queue.newest(crowd).told)
        self._queue.put(name, QueuedNotification(told, now))
        return counted

    def next(self, now: float) -> QueuedNotification | None:
        """Take what is to be told at this moment: the digest where it is due, else one of the next namespace."""
        digest = self._digest(now)
        if digest is not None:
            return QueuedNotification(digest, now)
        self._open(now)
        if not self._queue.count or not self._window.take(now):
            return None
        found = self._queue.pop()
        self._told[_name_of(found.told)] += 1
        return found

    def due(self) -> float | None:
        """Return when there is something to tell again; None: nothing waits."""
        return self._window.end if self._held or self._queue.count else None

    @property
    def waiting(self) -> int:
        """How many wait, or wait to be counted to the target."""
        return self._queue.count + self._held.total()

    @property
    def oldest(self) -> datetime | None:
        """When the first of what waits happened."""
        first = [] if self._first is None else [self._first]
        return min((*first, *(one.told.at for one in self._queue)), default=None)

    def _part(self, name: str) -> int:
        """Return how many messages a namespace has in this minute."""
        return max(1, self._per_minute // len({name, *self._told, *self._queue.names}))

    def _open(self, now: float) -> None:
        """Begin another minute, where one is over and nothing of it is to be counted."""
        if not self._held and now >= self._window.end:
            self._window.open(now)
            self._told.clear()

    def _hold(self, told: Notification) -> None:
        self._first = min(self._first or told.at, told.at)
        self._last = told
        self._held[told.type] += 1

    def _digest(self, now: float) -> Notification | None:
        """Return the digest if it is due, and begin anew."""
        if self._first is None or self._last is None or now < self._window.end:
            return None
        counts = dict(sorted(self._held.items()))
        said = f"{self._first.isoformat()} {self._last.id} {counts}"
        id_ = hashlib.sha256(said.encode()).hexdigest()[:32]
        told = Notification(
            id_, NotificationType.DIGEST, self._first, note=f"since {self._first.isoformat()}", counts=counts
        )
        # The digest itself is the first message of the next minute.
        self._window.open(now)
        self._window.take(now)
        self._told.clear()
        self._held.clear()
        self._first = self._last = None
        return told


def _name_of(told: Notification) -> str:
    return "" if told.grant is None else told.grant.namespace


def retry_after(attempt: int, chance: float) -> float:
    """Return the seconds to wait after this attempt, from 1. `chance` from 0 to 1, so that not all come at once."""
    longest = min(_LONGEST_RETRY, _FIRST_RETRY * 2.0 ** (attempt - 1))
    return longest * (0.5 + 0.5 * chance)
