"""Writes Kubernetes Events (events.k8s.io/v1) beside the object that they are about. Nothing depends on them.

Standing: over `kube`. `status` tells of policies and grants; `main` connects those that tell of the guards, the clock
and the witness. Holds: `tell` never waits, and never fails its caller; an event that cannot be written is logged and
forgotten; the times of events are in the order of the calls; of a flood, a namespace gets a bounded number of events
for each kind, and the log says how many were dropped.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

import structlog

from bailiwick_api.accounts import GUARD_CONFIG_MAP, WITNESS_CONFIG_MAP
from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_kube.paths import object_path
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.kube import Kind, Object, OperatorClient
from bailiwick_operator.reconcile.transitions import EventDraft
from bailiwick_process.rates import TokenBuckets

CONTROLLER: Final = "bailiwick.dev/operator"
_LOG: Final = structlog.get_logger(__name__)
_BURST: Final = 25
_PER_SECOND: Final = 0.2
_QUEUED: Final = 500
_NAME: Final = 230  # of the 253 letters of a name, with room for a dot and what makes it unique
_INSTANCE: Final = 128
_BUCKETS: Final = 1000
# At first the API server's time is known to within a second plus the time that its answer took. Each answer narrows
# that, which sets the known time back by as much.
_SET_BACK: Final = timedelta(seconds=2)
_NEXT: Final = timedelta(microseconds=1)  # eventTime is a MicroTime


class Events:
    """Queues events, and writes them from `run`. Lives in one loop. `now` is the time of day."""

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
        # By namespace and kind of object, and how many were dropped since the last one that got through.
        self._buckets: TokenBuckets[tuple[str, str]] = TokenBuckets(_PER_SECOND, _BURST, _BUCKETS)
        self._left_out: Counter[tuple[str, str]] = Counter()
        self._last: datetime | None = None
        self.dropped = 0
        """How many were not written because there were too many."""

    def tell(self, kind: Kind, body: Object, drafts: Iterable[EventDraft]) -> None:
        """Queue events about an object, as it was when it was judged."""
        metadata = body["metadata"]
        about = {"namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
        self._tell({"apiVersion": API_VERSION, "kind": kind, **about}, drafts)

    def tell_of_guard(self, namespace: str, draft: EventDraft) -> None:
        """Queue an event about all grants, the guards over them or the clock, beside the record of the proofs."""
        self._tell({"apiVersion": "v1", "kind": "ConfigMap", "namespace": namespace, "name": GUARD_CONFIG_MAP}, [draft])

    def tell_of_witness(self, namespace: str, draft: EventDraft) -> None:
        """Queue an event about the logs of the decision point, beside what was witnessed of them."""
        self._tell(
            {"apiVersion": "v1", "kind": "ConfigMap", "namespace": namespace, "name": WITNESS_CONFIG_MAP}, [draft]
        )

    def _tell(self, about: Object, drafts: Iterable[EventDraft]) -> None:
        namespace, kind = about["namespace"], about["kind"]
        for draft in drafts:
            key = namespace, kind
            if not self._buckets.take(key, self._clock()):
                self._drop(key)
                if self._left_out[key] == 1:
                    _LOG.warning("events are dropped: too many at once", namespace=namespace, kind=kind)
                continue
            if dropped := self._left_out.pop(key, 0):
                _LOG.warning("events were dropped", namespace=namespace, kind=kind, dropped=dropped)
            try:
                self._queue.put_nowait(self._event(about, draft))
            except asyncio.QueueFull:
                self._drop(key)

    def _drop(self, key: tuple[str, str]) -> None:
        self._left_out[key] += 1
        self.dropped += 1

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            event = await self._queue.get()
            try:
                await self._write(event)
            except Exception:  # noqa: BLE001 - nothing depends on an event, so none must stop the others
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

    def _event(self, about: Object, draft: EventDraft) -> Object:
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
            "type": draft.type,
            "action": draft.action,
            "reason": draft.reason,
            "note": draft.note,
            "regarding": about,
        }

    def _time(self) -> datetime:
        """Return the time of the next event: after the last one, unless the clock was set back by more than it errs."""
        now = self._now()
        if self._last is not None and now <= self._last < now + _SET_BACK:
            now = self._last + _NEXT
        self._last = now
        return now
