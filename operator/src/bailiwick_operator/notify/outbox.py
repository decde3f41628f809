"""What waits for one target, and the worker that delivers it: in its order, at its rate, again until it is taken.

Holds: bounded in number, attempts and age; each namespace in turn; the id of a notification is the same at each
attempt; a target that is changed meanwhile is called as it is now; what guards and the witness say has a rate and a
queue of its own, which goes first, so that no flood of requests hides it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import structlog

from bailiwick_kube.transport import UnreachableError
from bailiwick_notifications.notification import Notification
from bailiwick_notifications.pace import WINDOW_SECONDS, DeliveryTerms, MessageLine, QueuedNotification, retry_after
from bailiwick_notifications.sending.attempt import DeliveryAttempt
from bailiwick_notifications.sending.sender import NotificationSender
from bailiwick_notifications.targets import Target

DeliveryOutcome = Literal["delivered", "failed", "refused", "expired", "counted", "dropped"]
OUTCOMES: Final[tuple[DeliveryOutcome, ...]] = ("delivered", "failed", "refused", "expired", "counted", "dropped")
Scope = Literal["installation", "namespace"]
SCOPES: Final[tuple[Scope, ...]] = ("installation", "namespace")
DeliveryCounts = Counter[tuple[Scope, DeliveryOutcome]]
_NOT_NOW: Final = 1.0
_LOG: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OutboxName:
    """Whose: `namespace` None: a target of the installation."""

    namespace: str | None
    target: str

    @property
    def scope(self) -> Scope:
        """As metrics have it."""
        return "installation" if self.namespace is None else "namespace"

    @property
    def holder(self) -> str:
        """Who takes turns with others: all targets of a namespace as one, each of the installation's by itself."""
        return self.target if self.namespace is None else self.namespace


class Outbox:
    """Of one target. `find` returns the target as it is now, None: it is gone. `clock` is monotonic."""

    def __init__(
        self,
        name: OutboxName,
        find: Callable[[], Awaitable[Target | None]],
        sender: NotificationSender,
        terms: DeliveryTerms,
        counts: DeliveryCounts,
        *,
        may_send: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._find = find
        self._sender = sender
        self._terms = terms
        self._counts = counts
        self._may_send = may_send
        self._clock = clock
        self._installation, self._grants = (MessageLine(terms.per_minute, terms.queue) for _ in range(2))
        self._lines = (self._installation, self._grants)
        self._under_way: QueuedNotification | None = None
        self._woken = asyncio.Event()
        self._failing = False
        self.problem: str | None = None
        """Why the last attempt was in vain."""

    def put(self, notification: Notification) -> None:
        """Take in a notification. Never waits."""
        line = self._grants if notification.grant is not None else self._installation
        if line.put(notification, self._clock()):
            self._count("counted")
        self._woken.set()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(line.waiting for line in self._lines) + (self._under_way is not None)

    @property
    def oldest(self) -> datetime | None:
        """When the first of what waits happened."""
        first = [] if self._under_way is None else [self._under_way.notification.at]
        return min((*first, *(line.oldest for line in self._lines if line.oldest is not None)), default=None)

    async def run(self) -> None:
        """Deliver until nothing waits for a while."""
        while True:
            self._woken.clear()
            self._under_way = next((one for line in self._lines if (one := line.next(self._clock())) is not None), None)
            if self._under_way is not None:
                await self._deliver(self._under_way)
                self._under_way = None
                continue
            dues = [due for line in self._lines if (due := line.due()) is not None]
            due = min(dues, default=None)
            wait = WINDOW_SECONDS if due is None else max(0.0, due - self._clock())
            if not await self._put_within(wait) and due is None and not self.waiting:
                return

    async def _put_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True

    async def _deliver(self, waiting: QueuedNotification) -> None:
        attempt = 0
        while True:
            if not self._may_send():
                # Somebody else may lead; this process ends, or renews its lease.
                await asyncio.sleep(_NOT_NOW)
                continue
            attempt += 1
            made = await self._attempt(waiting.notification)
            if made is None:
                self.problem = None
                self._count("dropped")
                return
            if made.tried:
                self._report(made)
            if made.result == "delivered":
                self._count("delivered")
                _LOG.debug(
                    "notification delivered",
                    **self._log_fields,
                    id=waiting.notification.id,
                    type=str(waiting.notification.type),
                )
                return
            if made.result == "refused":
                self._give_up("refused", waiting.notification, made.why)
                return
            self._count("failed")
            delay = retry_after(attempt, random.random())  # noqa: S311 - jitter
            if attempt >= self._terms.attempts or self._clock() + delay > waiting.since + self._terms.age:
                self._give_up("expired", waiting.notification, made.why)
                return
            await asyncio.sleep(delay)

    async def _attempt(self, notification: Notification) -> DeliveryAttempt | None:
        """Try once; None: the target is gone."""
        try:
            target = await self._find()
        except UnreachableError as error:
            return DeliveryAttempt("failed", str(error))
        if target is None:
            return None
        made = await self._sender.send(target, notification, holder=self._name.holder, failing=self._failing)
        if made.tried:
            self._failing = made.result != "delivered"
        return made

    def _give_up(self, outcome: DeliveryOutcome, notification: Notification, why: str) -> None:
        self._count(outcome)
        _LOG.warning(
            "a notification was given up", **self._log_fields, outcome=outcome, type=str(notification.type), why=why
        )

    def _report(self, made: DeliveryAttempt) -> None:
        problem = None if made.result == "delivered" else made.why
        if problem is None and self.problem is not None:
            _LOG.info("a target of notifications takes them again", **self._log_fields)
        elif problem is not None and problem != self.problem:
            _LOG.warning("a target of notifications fails", **self._log_fields, why=problem)
        self.problem = problem

    def _count(self, outcome: DeliveryOutcome) -> None:
        self._counts[self._name.scope, outcome] += 1

    @property
    def _log_fields(self) -> dict[str, str | None]:
        return {"namespace": self._name.namespace, "target": self._name.target}
