"""Decides who is notified of what: from grants as they stand, from what the guard and the witness say.

Standing: above the outboxes; the reconciler hands it every version of a grant. Holds: that never waits and never fails;
each event is sent once in the life of a process; what was sent before it led is not sent again, but for a margin, by
the mark that the lease keeps: up to there all was delivered, given up or counted, or is older
than a delivery lasts.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from bailiwick_api.manifests.canary import is_canary
from bailiwick_kube.transport import UnreachableError
from bailiwick_notifications.grantevents import grant_events
from bailiwick_notifications.notification import Notification, NotificationType, installation_notification
from bailiwick_notifications.sending.sender import NotificationSender
from bailiwick_notifications.targets import Target
from bailiwick_operator.kube import Object
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.loop.expiry import Expiries
from bailiwick_operator.loop.inventory import Key, key_of
from bailiwick_operator.notify.outbox import DeliveryCounts, Outbox, OutboxName, Scope
from bailiwick_operator.notify.sources import TargetSources
from bailiwick_operator.notifyflags import NotifySettings
from bailiwick_operator.reconcile.transitions import EventDraft

MARGIN: Final = timedelta(minutes=1)
"""What happened so long before the mark is sent again: the clocks of two machines, and what was just being seen."""
_MOST_NAMESPACED: Final = 5000
_AGAIN_SECONDS: Final = 2.0
_LOG: Final = structlog.get_logger(__name__)
# Of what guard and witness say, by the reason of their Kubernetes Event; True: the same words are the same event.
_TOLD: Final = {
    "GuardNotProven": (NotificationType.GUARD_UNPROVEN, False),
    "GuardChanged": (NotificationType.GUARD_CHANGED, False),
    "GuardRecordChanged": (NotificationType.GUARD_RECORD_CHANGED, False),
    "GuardProven": (NotificationType.GUARD_PROVEN, False),
    "LogInconsistent": (NotificationType.LOG_REFUSED, True),
    "LogRejected": (NotificationType.LOG_REFUSED, False),
}


class Notifier:
    """Lives in the main loop. `before`: the mark of the leader before; None: there is none."""

    def __init__(
        self,
        settings: NotifySettings,
        sources: TargetSources,
        senders: dict[Scope, NotificationSender],
        clock: Clock,
        *,
        before: datetime | None,
        may_send: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._senders = senders
        self._clock = clock
        self._may_send = may_send
        started = clock.now()
        self._seen = min(before or started, started)
        self._floor = self._seen - MARGIN
        self._listed = self._caught_up = False
        self._changed: dict[Key, Object | None] = {}
        self._drafts: deque[Notification] = deque(maxlen=_MOST_NAMESPACED)
        self._told: dict[str, set[str]] = {}
        self._uids: dict[Key, str] = {}
        self._bodies: dict[Key, Object] = {}
        self._woken = asyncio.Event()
        self._expiries: Expiries[Key] = Expiries(self._look_again, clock.now)
        self._namespaced: deque[Notification] = deque()
        self._namespaced_woken = asyncio.Event()
        self._outboxes: dict[OutboxName, Outbox] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self.counts: Final[DeliveryCounts] = Counter()
        """What came of notifications, by scope and outcome."""

    def grant_changed(self, grant: Object, *, gone: bool) -> None:
        """Say that a grant came, changed or went."""
        if self._settings.on:
            self._changed[key_of(grant)] = None if gone else grant
            self._woken.set()

    def listed(self) -> None:
        """Take note that all grants there are were handed over once."""
        self._listed = True
        self._woken.set()

    def tell(self, draft: EventDraft) -> None:
        """Notify of what concerns the installation; what stays inside the cluster is left out."""
        if self._settings.on and draft.reason in _TOLD:
            type_, once = _TOLD[draft.reason]
            if len(self._drafts) == self._drafts.maxlen:
                # The oldest makes room.
                self.counts["installation", "dropped"] += 1
            self._drafts.append(installation_notification(type_, draft.note, self._clock.now(), once=once))
            self._woken.set()

    @property
    def mark(self) -> datetime | None:
        """Up to when all that happened is sent; None where there is no target."""
        if not self._settings.on:
            return None
        waiting = (outbox.oldest for outbox in self._outboxes.values())
        first = [one for one in waiting if one is not None]
        first += [one.at for one in (*self._namespaced, *self._drafts)]
        # Before the first list was looked at, it is not known what there is; and nothing waits beyond its age.
        now = self._clock.now()
        seen = now if self._caught_up and not self._changed else self._seen
        return max(min((*first, seen)), min(seen, now - timedelta(seconds=self._settings.terms.age)))

    def waiting(self, scope: Scope) -> int:
        """Return how many notifications wait."""
        pending = len(self._namespaced) if scope == "namespace" else len(self._drafts)
        return pending + sum(box.waiting for name, box in self._outboxes.items() if name.scope == scope)

    def failing(self, scope: Scope) -> int:
        """Return how many targets failed last."""
        return sum(box.problem is not None for name, box in self._outboxes.items() if name.scope == scope)

    @property
    def problem(self) -> str | None:
        """What is wrong with targets of the installation, for a person."""
        if wrong := self._sources.problems:
            return f"target {wrong[0].entry} is not used: {wrong[0].message}"
        for name, box in self._outboxes.items():
            if name.namespace is None and box.problem is not None:
                return f"target {name.target} fails: {box.problem}"
        return None

    @property
    def on(self) -> bool:
        """Whether there can be a target."""
        return self._settings.on

    async def run(self) -> None:
        """Tell until cancelled."""
        if not self._settings.on:
            return
        # So that what is wrong with them is logged before there is anything to send.
        with suppress(UnreachableError):
            await self._sources.find(None)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._expiries.run())
            tasks.create_task(self._tell_namespaces())
            tasks.create_task(self._look())

    async def _look(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                targets = await self._sources.find(None)
            except UnreachableError as error:
                _LOG.warning("targets of the installation cannot be read now", why=str(error))
                self._woken.set()
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            while self._drafts:
                self._put(None, targets, self._drafts.popleft())
            while self._changed:
                key = next(iter(self._changed))
                for notification in self._due(key, self._changed.pop(key)):
                    self._put(None, targets, notification)
                    self._for_namespace(notification)
                # Among thousands of grants, everybody else gets a turn.
                await asyncio.sleep(0)
            if self._listed:
                self._caught_up, self._seen = True, self._clock.now()

    def _look_again(self, key: Key) -> None:
        if (body := self._bodies.get(key)) is not None:
            self._changed.setdefault(key, body)
            self._woken.set()

    def _due(self, key: Key, body: Object | None) -> Iterable[Notification]:
        """Return what of a grant is to be sent now, and was not yet."""
        known = self._uids.get(key)
        if known is not None and (body is None or body["metadata"]["uid"] != known):
            self._told.pop(known, None)
            self._uids.pop(key)
        self._bodies.pop(key, None)
        if body is None or is_canary(body):
            self._expiries.set(key, None)
            return []
        events = grant_events(body, self._clock.now(), self._settings.lead)
        self._expiries.set(key, events.next)
        if events.next is not None:
            self._bodies[key] = body
        if not events.due:
            return []
        uid = body["metadata"]["uid"]
        self._uids[key] = uid
        before = self._told.setdefault(uid, set())
        new = [one for one in events.due if one.notification.id not in before]
        before.update(one.notification.id for one in new)
        return [one.notification for one in new if one.since is None or one.since > self._floor]

    def _put(self, namespace: str | None, targets: Iterable[Target], notification: Notification) -> None:
        for target in targets:
            self._outbox(OutboxName(namespace, target.name)).put(notification)

    def _for_namespace(self, notification: Notification) -> None:
        if len(self._namespaced) >= _MOST_NAMESPACED:
            self.counts["namespace", "dropped"] += 1
            return
        self._namespaced.append(notification)
        self._namespaced_woken.set()

    async def _tell_namespaces(self) -> None:
        """Find the targets of namespaces, which takes a call to the API server."""
        while True:
            await self._namespaced_woken.wait()
            self._namespaced_woken.clear()
            while self._namespaced:
                notification = self._namespaced[0]
                namespace = notification.grant.namespace if notification.grant is not None else ""
                try:
                    targets = await self._sources.find(namespace)
                except UnreachableError as error:
                    _LOG.info("targets of a namespace cannot be read now", namespace=namespace, why=str(error))
                    # Behind the others: one namespace that cannot be read must not hold them up.
                    self._namespaced.popleft()
                    if (self._clock.now() - notification.at).total_seconds() > self._settings.terms.age:
                        self.counts["namespace", "expired"] += 1
                    else:
                        self._namespaced.append(notification)
                    await asyncio.sleep(_AGAIN_SECONDS)
                    continue
                self._namespaced.popleft()
                self._put(namespace, targets, notification)

    def _outbox(self, name: OutboxName) -> Outbox:
        found = self._outboxes.get(name)
        if found is None:
            found = self._outboxes[name] = Outbox(
                name,
                partial(self._target, name),
                self._senders[name.scope],
                self._settings.terms,
                self.counts,
                may_send=self._may_send,
                clock=self._clock.monotonic,
            )
            assert self._tasks is not None  # noqa: S101 - only what runs puts
            self._tasks.create_task(self._delivered(name, found))
        return found

    async def _delivered(self, name: OutboxName, outbox: Outbox) -> None:
        try:
            await outbox.run()
        except Exception:  # noqa: BLE001 - one unforeseen target must not end the leader
            _LOG.exception("internal error while telling a target", namespace=name.namespace, target=name.target)
            self.counts[name.scope, "dropped"] += outbox.waiting
        del self._outboxes[name]

    async def _target(self, name: OutboxName) -> Target | None:
        targets = await self._sources.find(name.namespace)
        return next((one for one in targets if one.name == name.target), None)
