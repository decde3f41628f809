"""Writes Kubernetes Events (events.k8s.io/v1) beside the object that they are about. Nothing hangs on them.

Holds: telling never waits and never fails whoever tells; an event that cannot be written is logged and forgotten; their
times are in the order in which they were told; of a flood a namespace gets a bounded number of each kind, and the log
says how many were dropped.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from bailiwick_api.accounts import GUARD_CONFIG_MAP, WITNESS_CONFIG_MAP
from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_kube.paths import object_path
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.kube import Kind, Object, OperatorClient
from bailiwick_operator.reconcile.transitions import EventDraft

CONTROLLER: Final = "bailiwick.dev/operator"
_LOG: Final = structlog.get_logger(__name__)
_BURST: Final = 25
_SECONDS_PER_EVENT: Final = 5.0
_QUEUED: Final = 500
_NAME: Final = 230  # of the 253 letters of a name, with room for a dot and what makes it unique
_INSTANCE: Final = 128
_BUCKETS: Final = 1000
# The API server's time is known to within a second at first, and the time that its answer took. Each answer narrows
# that, which sets it back by as much.
_SET_BACK: Final = timedelta(seconds=2)
_NEXT: Final = timedelta(microseconds=1)  # eventTime is a MicroTime


@dataclass(slots=True)
class _Bucket:
    """What a namespace may still be told of one kind. `dropped`: since the last one that got through."""

    tokens: float
    at: float
    dropped: int = 0

    def take(self, now: float) -> bool:
        self.tokens = min(float(_BURST), self.tokens + (now - self.at) / _SECONDS_PER_EVENT)
        self.at = now
        if self.tokens < 1:
            self.dropped += 1
            return False
        self.tokens -= 1
        return True

    def full(self, now: float) -> bool:
        return self.tokens + (now - self.at) / _SECONDS_PER_EVENT >= _BURST


class Events:
    """Takes what is to be told, and writes it from `run`. Lives in one loop. `now` is the time of day."""

    def __init__(
        self,
        kube: OperatorClient,
        instance: str,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._now = now
        self._instance = instance[:_INSTANCE]
        self._clock = clock
        self._queue: asyncio.Queue[Object] = asyncio.Queue(_QUEUED)
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._last: datetime | None = None
        self.dropped = 0
        """How many were not written since there were too many."""

    def tell(self, kind: Kind, of: Object, told: Iterable[EventDraft]) -> None:
        """Tell of an object, as it was when it was judged."""
        metadata = of["metadata"]
        about = {"namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
        self._tell({"apiVersion": API_VERSION, "kind": kind, **about}, told)

    def tell_of_guard(self, namespace: str, told: EventDraft) -> None:
        """Tell of what concerns all grants, the guards over them or the clock, beside the record of the proofs."""
        self._tell({"apiVersion": "v1", "kind": "ConfigMap", "namespace": namespace, "name": GUARD_CONFIG_MAP}, [told])

    def tell_of_witness(self, namespace: str, told: EventDraft) -> None:
        """Tell of what concerns the logs of the decision point, beside what was witnessed of them."""
        self._tell(
            {"apiVersion": "v1", "kind": "ConfigMap", "namespace": namespace, "name": WITNESS_CONFIG_MAP}, [told]
        )

    def _tell(self, about: Object, told: Iterable[EventDraft]) -> None:
        namespace, kind = about["namespace"], about["kind"]
        for one in told:
            bucket = self._bucket(namespace, kind)
            if not bucket.take(self._clock()):
                self.dropped += 1
                if bucket.dropped == 1:
                    _LOG.warning("events are dropped: too many at once", namespace=namespace, kind=kind)
                continue
            if bucket.dropped:
                _LOG.warning("events were dropped", namespace=namespace, kind=kind, dropped=bucket.dropped)
                bucket.dropped = 0
            try:
                self._queue.put_nowait(self._event(about, one))
            except asyncio.QueueFull:
                bucket.dropped += 1
                self.dropped += 1

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            event = await self._queue.get()
            try:
                await self._write(event)
            except Exception:  # noqa: BLE001 - nothing hangs on an event, least of all everything else
                _LOG.exception("writing an event failed")

    async def _write(self, event: Object) -> None:
        path = object_path("events.k8s.io/v1", "events", event["metadata"]["namespace"])
        try:
            answer = await self._kube.create(path, event)
            why = None if answer.ok else answer.message
        except UnreachableError as error:
            why = str(error)
        if why is not None:
            _LOG.info("an event was not written", reason=event["reason"], of=event["regarding"]["name"], why=why)

    def _event(self, about: Object, told: EventDraft) -> Object:
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "namespace": about["namespace"],
                "name": f"{about['name'][:_NAME].rstrip('-.')}.{secrets.token_hex(8)}",
            },
            "eventTime": self._time().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "type": told.type,
            "action": told.action,
            "reason": told.reason,
            "note": told.note,
            "regarding": about,
        }

    def _time(self) -> datetime:
        """Return the time of the next event: after the last one, unless the clock was set back by more than it errs."""
        now = self._now()
        if self._last is not None and now <= self._last < now + _SET_BACK:
            now = self._last + _NEXT
        self._last = now
        return now

    def _bucket(self, namespace: str, kind: str) -> _Bucket:
        found = self._buckets.get((namespace, kind))
        if found is None:
            now = self._clock()
            if len(self._buckets) >= _BUCKETS:
                # One that is full again says no more than a new one, unless it still owes the log a count.
                self._buckets = {
                    key: bucket for key, bucket in self._buckets.items() if bucket.dropped or not bucket.full(now)
                }
            found = self._buckets[namespace, kind] = _Bucket(float(_BURST), now)
        return found
