"""Denials: calls that the rules denied, counted in a moment after their answers.

Standing: under `reservations`, over `commits` and `denialqueue`. Holds: no answer waits for it; an object is written
once a second at most; no namespace waits for another. What could not be written, or may not have been, is tried again:
such a call may count twice. It is lost with the process, where too many objects wait, and where the API server refuses
it or the object cannot be read: the next try would end alike, and such calls would take the room of others for ever.
"""

import asyncio
from typing import Final

from bailiwick_engine.history.state import KeyState
from bailiwick_webhook.history.commits import ChangedState, HistoryCommits
from bailiwick_webhook.history.denialqueue import PAUSE, DenialLine, DenialQueue, WaitingDenials
from bailiwick_webhook.history.ports import DeniedCall, HistoryKey, RecordEvent
from bailiwick_webhook.history.storedobjects import AT_ONCE, ObjectStore
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.table import HistoryCause, HistoryDenials
from bailiwick_webhook.record.history import HistoryEvent

_log: Final = LogLimit()

_AT_ONCE: Final = AT_ONCE // 2
"""Objects of one namespace that are written at a time: half of its places are left to calls that wait. One of them is
for objects that are there."""
_TICK: Final = 0.1
"""Seconds until it is looked again whether an object has its turn."""
_LAST_SECONDS: Final = 3.0
"""Seconds that are left for what waits when the process ends."""
_LAST_PAUSE: Final = 0.1
"""Seconds between two writes of an object then."""
_LOST: Final = {HistoryCause.REFUSED, HistoryCause.STATE}


class DenialCounter:
    """Counts denied calls. Lives in one loop."""

    def __init__(self, commits: HistoryCommits, store: ObjectStore, record: RecordEvent) -> None:
        self._commits = commits
        self._store = store
        self._record = record
        self._queue = DenialQueue()
        # A task for each namespace of which something waits, and what wakes it.
        self._writers: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._is_closing = False

    def add(self, denied: DeniedCall) -> None:
        """Let a denied call wait to be counted."""
        namespace = denied.namespace
        for need in denied.needs.objects:
            if self._is_closing:
                self._drop(1)
                continue
            key = (namespace, need.name)
            waiting = WaitingDenials.of_one(denied.endpoint, need, denied.definitions)
            self._drop(self._queue.add(key, waiting, self._line(key)))
            if namespace not in self._writers:
                woken = asyncio.Event()
                writer = asyncio.get_running_loop().create_task(self._write_all(namespace, woken))
                self._writers[namespace] = writer, woken
            self._writers[namespace][1].set()

    async def close(self) -> None:
        """Write what waits, and stop. What is being written is waited for: written again, it would count twice."""
        self._is_closing = True
        writers = tuple(self._writers.values())
        for _, woken in writers:
            woken.set()
        if writers:
            _, late = await asyncio.wait([writer for writer, _ in writers], timeout=_LAST_SECONDS)
            for writer in late:
                writer.cancel()
            if late:
                _log.warning("denied calls not counted in time")
                await asyncio.wait(late)
        self._drop(self._queue.calls)

    def _drop(self, calls: int) -> None:
        self._store.tally.denied[HistoryDenials.DROPPED] += calls

    def _line(self, key: HistoryKey) -> DenialLine:
        is_there = self._store.held.is_there(key)
        if is_there is None:
            return DenialLine.UNSEEN
        return DenialLine.THERE if is_there else DenialLine.NEW

    async def _write_all(self, namespace: str, woken: asyncio.Event) -> None:
        """Write the objects of a namespace, a few at a time, until nothing of it waits."""
        writing: dict[asyncio.Task[None], DenialLine] = {}
        try:
            while writing or not self._queue.is_over(namespace, closing=self._is_closing):
                woken.clear()
                self._begin(namespace, writing, woken)
                try:
                    async with asyncio.timeout(_TICK):
                        await woken.wait()
                except TimeoutError:
                    continue
            self._queue.forget(namespace)
        finally:
            # Whatever ends it, the next call begins another one.
            del self._writers[namespace]
            for task in writing:
                task.cancel()
            if writing:
                await asyncio.wait(tuple(writing))

    def _begin(self, namespace: str, writing: dict[asyncio.Task[None], DenialLine], woken: asyncio.Event) -> None:
        """Begin to write what has its turn."""
        # At the stop there is no later turn, and no call waits. The ration of all writes still holds.
        at_once = AT_ONCE if self._is_closing else _AT_ONCE
        now = self._store.clock() + (PAUSE - _LAST_PAUSE if self._is_closing else 0.0)

        def ended(task: asyncio.Task[None]) -> None:
            del writing[task]
            woken.set()

        while len(writing) < at_once:
            others = sum(line is not DenialLine.THERE for line in writing.values())
            lines = (DenialLine.THERE,) if others == at_once - 1 else tuple(DenialLine)
            taken = self._queue.take(
                namespace, now, lines, lambda: self._is_closing or self._store.rations.take_denials(namespace)
            )
            if taken is None:
                return
            line, name, waiting = taken
            task = asyncio.get_running_loop().create_task(self._write((namespace, name), waiting))
            writing[task] = line
            task.add_done_callback(ended)

    async def _write(self, key: HistoryKey, waiting: WaitingDenials) -> None:
        written: ChangedState | HistoryCause | None = None
        try:
            try:
                empty = KeyState(waiting.endpoint, waiting.need.key)
                written = await self._commits.change(key, empty, waiting.change, waiting.definitions)
            finally:
                self._settle(key, waiting, written)
            if isinstance(written, ChangedState) and written.seq is not None:
                counts = written.counts(key[1], tuple(waiting.histories.values()), added=True)
                await self._record(HistoryEvent(key[0], waiting.endpoint, "denied", waiting.calls, counts))
        except Exception as error:  # noqa: BLE001 - a defect must not end it for all that come later
            _log.error("denied calls not counted", error=repr(error))

    def _settle(self, key: HistoryKey, waiting: WaitingDenials, written: ChangedState | HistoryCause | None) -> None:
        """Let calls wait again that were not counted, as like as not, if another try may end otherwise."""
        self._queue.rest(key, self._store.clock() + PAUSE)
        if isinstance(written, ChangedState):
            outcome = HistoryDenials.DROPPED if written.seq is None else HistoryDenials.COUNTED
            self._store.tally.denied[outcome] += waiting.calls
        elif written in _LOST:
            self._drop(waiting.calls)
        else:
            self._queue.put_back(key, waiting, self._line(key))
