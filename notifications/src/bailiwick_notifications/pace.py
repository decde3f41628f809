"""How often one target is notified: so many messages a minute, then a digest that counts; and when to try again. Pure.

Holds: nothing is silently left out: what finds no room is counted, and the count is sent when the minute is over. The
messages of a minute are those of all namespaces in turn: those of a namespace with many are counted, and those of
another wait for the next minute at most as long as the ones before them take their turns.
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

    notification: Notification
    since: float


class MessageLine:
    """What waits for one target in one order, at one rate. Times are seconds of a monotonic clock.

    `most` may wait. Of a namespace that has sent its part of the rate in this minute, or has as many waiting as the
    rate, everything more is counted.
    """

    def __init__(self, per_minute: int, most: int) -> None:
        self._per_minute = per_minute
        self._most = most
        self._window = RateWindow(per_minute, WINDOW_SECONDS)
        self._queue: FairQueue[QueuedNotification] = FairQueue()
        self._counts: Counter[str] = Counter()
        self._held: Counter[NotificationType] = Counter()
        self._first: datetime | None = None
        self._last: Notification | None = None

    def put(self, notification: Notification, now: float) -> bool:
        """Take in a notification. Returns whether it, or another in its place, is counted."""
        self._open(now)
        name = _name_of(notification)
        if self._counts[name] >= self._part(name) or self._queue.waiting(name) >= self._per_minute:
            self._hold(notification)
            return True
        counted = self._queue.count >= self._most
        if counted:
            crowd, size = self._queue.crowd
            if size <= self._queue.waiting(name) + 1:
                self._hold(notification)
                return True
            self._hold(self._queue.newest(crowd).notification)
        self._queue.put(name, QueuedNotification(notification, now))
        return counted

    def next(self, now: float) -> QueuedNotification | None:
        """Take what is to be sent at this moment: the digest where it is due, else one of the next namespace."""
        digest = self._digest(now)
        if digest is not None:
            return QueuedNotification(digest, now)
        self._open(now)
        if not self._queue.count or not self._window.take(now):
            return None
        found = self._queue.pop()
        self._counts[_name_of(found.notification)] += 1
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
        return min((*first, *(one.notification.at for one in self._queue)), default=None)

    def _part(self, name: str) -> int:
        """Return how many messages a namespace has in this minute."""
        return max(1, self._per_minute // len({name, *self._counts, *self._queue.names}))

    def _open(self, now: float) -> None:
        """Begin another minute, where one is over and nothing of it is to be counted."""
        if not self._held and now >= self._window.end:
            self._window.open(now)
            self._counts.clear()

    def _hold(self, notification: Notification) -> None:
        self._first = min(self._first or notification.at, notification.at)
        self._last = notification
        self._held[notification.type] += 1

    def _digest(self, now: float) -> Notification | None:
        """Return the digest if it is due, and begin another minute."""
        if self._first is None or self._last is None or now < self._window.end:
            return None
        counts = dict(sorted(self._held.items()))
        said = f"{self._first.isoformat()} {self._last.id} {counts}"
        id_ = hashlib.sha256(said.encode()).hexdigest()[:32]
        notification = Notification(
            id_, NotificationType.DIGEST, self._first, note=f"since {self._first.isoformat()}", counts=counts
        )
        # The digest itself is the first message of the next minute.
        self._window.open(now)
        self._window.take(now)
        self._counts.clear()
        self._held.clear()
        self._first = self._last = None
        return notification


def _name_of(notification: Notification) -> str:
    return "" if notification.grant is None else notification.grant.namespace


def retry_after(attempt: int, chance: float) -> float:
    """Return the seconds to wait after this attempt, from 1. `chance` from 0 to 1, so that not all come at once."""
    longest = min(_LONGEST_RETRY, _FIRST_RETRY * 2.0 ** (attempt - 1))
    return longest * (0.5 + 0.5 * chance)
