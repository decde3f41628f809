"""Denials: calls that the rules denied, counted in a moment after their answers.

Standing: under `reservations`, over `commits`. Holds: no answer waits for it; an object is written once a second at
most; memory is bounded, and no namespace takes all of it. What could not be written, or may not have been, is tried
again: such a call may count twice, and is lost only with the process, or where too many wait.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from bailiwick_engine.history.changes import count_denied
from bailiwick_engine.history.commit import ClockBounds
from bailiwick_engine.history.needs import ObjectNeed
from bailiwick_engine.history.state import KeyState
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_webhook.history.commits import ChangedState, HistoryCommits
from bailiwick_webhook.history.ports import DeniedCall, HistoryKey, RecordEvent
from bailiwick_webhook.history.rations import HistoryRations
from bailiwick_webhook.history.storedobjects import AT_ONCE
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.counts import HistoryTally
from bailiwick_webhook.metrics.table import HistoryCause, HistoryDenials
from bailiwick_webhook.record.history import HistoryEvent

_log: Final = LogLimit()

MOST_WAITING: Final = 1_000
"""Denied calls that wait in all. Each is counted in four objects at most."""
MOST_OF_NAMESPACE: Final = 250
PAUSE: Final = 1.0
"""Seconds between two writes of an object."""
_AT_ONCE: Final = AT_ONCE // 2
"""Objects of one namespace that are written at a time: half of its places are left to calls that wait."""
_LAST_SECONDS: Final = 3.0
"""Seconds that are left for what waits when the process ends."""
_LAST_PAUSE: Final = 0.1
"""Seconds between two tries then."""


@dataclass(slots=True, eq=False)
class _WaitingDenials:
    """Denied calls that wait for one object. `calls`: how many; `counts`: how many each history counts, by digest."""

    endpoint: str
    need: ObjectNeed
    definitions: Iterable[CompiledHistory]
    calls: int = 0
    histories: dict[str, CompiledHistory] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, need: ObjectNeed) -> None:
        """Add a call."""
        self.calls += 1
        counting = {one.history.digest: one.history for one in need.adds}
        self.histories |= counting
        self.counts.update(counting.keys())

    def merge(self, later: "_WaitingDenials") -> None:
        """Add calls that came later."""
        self.calls += later.calls
        self.histories |= later.histories
        self.counts.update(later.counts)

    def change(self, state: KeyState, moment: ClockBounds) -> KeyState:
        """Return the state with these calls."""
        return count_denied(state, {self.histories[digest]: calls for digest, calls in self.counts.items()}, moment)


class DenialCounter:
    """Counts denied calls. Lives in one loop."""

    def __init__(
        self, commits: HistoryCommits, rations: HistoryRations, tally: HistoryTally, record: RecordEvent
    ) -> None:
        self._commits = commits
        self._rations = rations
        self._tally = tally
        self._record = record
        self._waiting: dict[HistoryKey, _WaitingDenials] = {}
        self._calls: Counter[str] = Counter()
        # A task for each namespace with calls that wait, so that none waits for the slow objects of another.
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = asyncio.Event()

    def add(self, denied: DeniedCall) -> None:
        """Let a denied call wait to be counted."""
        for need in denied.needs.objects:
            if self._closing.is_set() or not self._has_room(denied.namespace):
                self._tally.denied[HistoryDenials.DROPPED] += 1
                continue
            key = (denied.namespace, need.name)
            if key not in self._waiting:
                self._waiting[key] = _WaitingDenials(denied.endpoint, need, denied.definitions)
            self._waiting[key].add(need)
            self._calls[denied.namespace] += 1
            if denied.namespace not in self._tasks:
                running = asyncio.get_running_loop().create_task(self._run(denied.namespace))
                self._tasks[denied.namespace] = running

    async def close(self) -> None:
        """Write what waits, and stop. What is being written is waited for: written again, it would count twice."""
        self._closing.set()
        tasks = tuple(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_LAST_SECONDS)
            for task in late:
                task.cancel()
            if late:
                _log.warning("denied calls not counted in time")
                await asyncio.wait(late)
        self._tally.denied[HistoryDenials.DROPPED] += self._calls.total()

    def _has_room(self, namespace: str) -> bool:
        return self._calls.total() < MOST_WAITING and self._calls[namespace] < MOST_OF_NAMESPACE

    async def _run(self, namespace: str) -> None:
        while self._calls[namespace]:
            try:
                await self._write_all(namespace)
            except Exception as error:  # noqa: BLE001 - a defect must not end it for all that come later
                _log.error("denied calls not counted", error=repr(error))
            await self._pause()
        # Nothing was awaited since nothing waits.
        del self._tasks[namespace], self._calls[namespace]

    async def _pause(self) -> None:
        """Wait until objects may be written again; at the stop for a moment only."""
        if self._closing.is_set():
            await asyncio.sleep(_LAST_PAUSE)
            return
        try:
            async with asyncio.timeout(PAUSE):
                await self._closing.wait()
        except TimeoutError:
            return

    async def _write_all(self, namespace: str) -> None:
        """Write each object of a namespace once, a few at a time."""
        keys = [key for key in self._waiting if key[0] == namespace]
        places = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._write(key, places) for key in keys))

    async def _write(self, key: HistoryKey, places: asyncio.Semaphore) -> None:
        async with places:
            # At the stop there is no later turn. The ration of all writes still holds.
            if not self._closing.is_set() and not self._rations.take_denials(key[0]):
                return
            waiting = self._waiting.pop(key)
            written: ChangedState | HistoryCause | None = None
            try:
                empty = KeyState(waiting.endpoint, waiting.need.key)
                written = await self._commits.change(key, empty, waiting.change, waiting.definitions)
            finally:
                self._settle(key, waiting, written)
        if isinstance(written, ChangedState) and written.seq is not None:
            counts = written.counts(key[1], tuple(waiting.histories.values()), added=True)
            await self._record(HistoryEvent(key[0], waiting.endpoint, "denied", waiting.calls, counts))

    def _settle(self, key: HistoryKey, waiting: _WaitingDenials, written: ChangedState | HistoryCause | None) -> None:
        """Let calls wait again that were not counted, as like as not."""
        if not isinstance(written, ChangedState):
            if (later := self._waiting.get(key)) is not None:
                waiting.merge(later)
            self._waiting[key] = waiting
            return
        outcome = HistoryDenials.DROPPED if written.seq is None else HistoryDenials.COUNTED
        self._tally.denied[outcome] += waiting.calls
        self._calls[key[0]] -= waiting.calls
