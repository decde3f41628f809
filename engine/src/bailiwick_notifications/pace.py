"""How often one target is told: so many messages a minute, then one digest that counts; and when to try again. Pure.

Holds: nothing is silently left out: what finds no room is counted, and the count is told when the minute is over.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailiwick_notifications.notification import Notification, NotificationType

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


class MessageRate:
    """Counts what one target is told. Times are seconds of a monotonic clock."""

    def __init__(self, per_minute: int) -> None:
        self._most = per_minute
        self._opened = float("-inf")
        self._taken = 0
        self._held: Counter[NotificationType] = Counter()
        self._first: datetime | None = None
        self._last: Notification | None = None

    def take(self, told: Notification, now: float) -> bool:
        """Return whether this one may be told by itself; else it is counted."""
        if not self._held and now >= self._opened + WINDOW_SECONDS:
            self._opened, self._taken = now, 0
        if not self._held and self._taken < self._most:
            self._taken += 1
            return True
        self.hold(told)
        return False

    def hold(self, told: Notification) -> None:
        """Count one that is not told by itself."""
        self._first = min(self._first or told.at, told.at)
        self._last = told
        self._held[told.type] += 1

    @property
    def first(self) -> datetime | None:
        """When the first of what waits to be counted happened."""
        return self._first

    @property
    def held(self) -> int:
        """How many wait to be counted to the target."""
        return self._held.total()

    def due(self) -> float | None:
        """Return when the digest is due; None: there is nothing to count."""
        return self._opened + WINDOW_SECONDS if self._held else None

    def digest(self, now: float) -> Notification | None:
        """Return the digest if it is due, and begin anew."""
        due = self.due()
        if due is None or now < due or self._first is None or self._last is None:
            return None
        counts = dict(sorted(self._held.items()))
        said = f"{self._first.isoformat()} {self._last.id} {counts}"
        id_ = hashlib.sha256(said.encode()).hexdigest()[:32]
        told = Notification(
            id_, NotificationType.DIGEST, self._first, note=f"since {self._first.isoformat()}", counts=counts
        )
        # The digest itself is the first message of the next minute.
        self._opened, self._taken = now, 1
        self._held.clear()
        self._first = self._last = None
        return told


def retry_after(attempt: int, chance: float) -> float:
    """Return the seconds to wait after this attempt, from 1. `chance` from 0 to 1, so that not all come at once."""
    longest = min(_LONGEST_RETRY, _FIRST_RETRY * 2.0 ** (attempt - 1))
    return longest * (0.5 + 0.5 * chance)
