"""Sends to any target. Standing: above `webhook` and `servicecall`.

Holds: a holder, which is a namespace or a target of the installation, has one slot for a process and one for the
lookup of a name, in turns with the others; who was slow or failed last shares other slots with its like. The time of
an attempt begins when it has its slot, and the wait for one is bounded.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from bailiwick_notifications import cloudevent
from bailiwick_notifications.addresses import AddressRule
from bailiwick_notifications.notification import Notification
from bailiwick_notifications.sending.attempt import DeliveryAttempt
from bailiwick_notifications.sending.names import NameLookup
from bailiwick_notifications.sending.servicecall import call_service
from bailiwick_notifications.sending.slots import FairSlots, NoSlotError
from bailiwick_notifications.sending.webhook import post
from bailiwick_notifications.targets import Target
from bailiwick_notifications.words import message

SLOTS: Final = 2
"""Processes for services at a time; one more is for holders that were slow or failed last."""
_LOOKUPS: Final = 16
SLOW_SHARE: Final = 0.5
"""Of the time of an attempt: who takes longer is slow, whatever comes of it."""
SLOW_SECONDS: Final = 300.0
"""So long a holder is slow after that."""
_MOST_SLOW: Final = 2000


class NotificationSender:
    """`source`, `console` and `cluster` as events name them; `seconds`: of one attempt. Lives in one loop."""

    def __init__(
        self,
        source: str,
        console: str | None,
        rule: AddressRule,
        seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        *,
        cluster: str | None = None,
    ) -> None:
        self._source = source
        self._cluster = cluster
        self._console = console
        self._rule = rule
        self._seconds = seconds
        self._now = now
        self._monotonic = monotonic
        self._processes = FairSlots(SLOTS, 1)
        self._lookups = FairSlots(_LOOKUPS, _LOOKUPS)
        self._slow: dict[str, float] = {}

    async def send(
        self, target: Target, notification: Notification, *, holder: str, failing: bool = False
    ) -> DeliveryAttempt:
        """Send once. `holder`: whose target it is. `failing`: the last attempt for this target was in vain."""
        slots = self._processes if target.key is None else self._lookups
        try:
            slot = await slots.take(holder, slow=failing or self._is_slow(holder))
        except NoSlotError:
            return DeliveryAttempt("failed", "there was no turn for it: others are being notified", tried=False)
        began, lookup = self._monotonic(), NameLookup(slot)
        try:
            if target.key is None:
                text = message(notification, self._console, self._cluster)
                return await call_service(target.url, text, self._rule, self._seconds)
            body = cloudevent.event_body(notification, self._source, self._console, self._cluster)
            headers = cloudevent.headers(target.key, notification.id, self._now(), body)
            return await post(target.url, headers, body, self._rule, self._seconds, lookup)
        finally:
            lookup.done()
            self._note_duration(holder, self._monotonic() - began)

    def _is_slow(self, holder: str) -> bool:
        until = self._slow.get(holder)
        return until is not None and self._monotonic() < until

    def _note_duration(self, holder: str, seconds: float) -> None:
        if seconds > self._seconds * SLOW_SHARE:
            if len(self._slow) >= _MOST_SLOW:
                self._slow = {who: until for who, until in self._slow.items() if until > self._monotonic()}
            if len(self._slow) >= _MOST_SLOW:
                self._slow.pop(next(iter(self._slow)))
            self._slow[holder] = self._monotonic() + SLOW_SECONDS
