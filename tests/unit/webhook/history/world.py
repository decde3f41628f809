"""Replicas that count calls in objects of one API server, under a clock that passes only while all wait."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from bailiwick_engine.history.commit import ClockBounds
from bailiwick_engine.history.needs import HistoryNeeds, ObjectNeed
from bailiwick_engine.historynumbers import HistoryReadings
from bailiwick_webhook.history.commits import HistoryCommits
from bailiwick_webhook.history.heldstates import HeldStates
from bailiwick_webhook.history.ports import CountingRequest, Reservation
from bailiwick_webhook.history.rations import HistoryRations
from bailiwick_webhook.history.reservations import HistoryReservations
from bailiwick_webhook.history.storedobjects import ObjectStore
from bailiwick_webhook.metrics.counts import HistoryTally
from bailiwick_webhook.record.history import HistoryEvent
from support.histories import entry_id, history, need
from support.keptobjects import KeptObjects
from support.virtualtime import VirtualTime

BEGAN: Final = 1_764_439_200_000
EXPORTS: Final = history()
NEED: Final = need(EXPORTS)
Passes = Callable[[HistoryReadings], bool]


def at_most(limit: int, *names: str) -> Passes:
    """Return what lets a call through while none of these histories is above a limit."""

    def passes(readings: HistoryReadings) -> bool:
        numbers = readings.numbers
        return all(name in numbers and numbers[name].count <= limit for name in names or ("exports",))

    return passes


class AnySlices:
    async def turn(self) -> None:
        return


@dataclass
class CountingReplica:
    """One decision point's counting. `proven`, `skewed`: what it knows of guards and clocks."""

    api: KeptObjects
    time: VirtualTime
    proven: bool = True
    skewed: bool = False
    tally: HistoryTally = field(default_factory=HistoryTally)
    beside: list[str] = field(default_factory=list)
    events: list[HistoryEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        now = self.time.monotonic
        self._began = now()
        self.store = ObjectStore(
            self.api, self.bounds, lambda: self.proven, HistoryRations(now), self.tally, now, HeldStates()
        )
        self.commits = HistoryCommits(self.store, lambda _: AnySlices(), self._beside)
        self.keeper = HistoryReservations(self.store, self.commits, self._record)

    def bounds(self) -> ClockBounds | None:
        if self.skewed:
            return None
        now = BEGAN + round((self.time.now - self._began) * 1000)
        return ClockBounds(now - 20, now + 20)

    async def _record(self, event: HistoryEvent) -> None:
        self.events.append(event)

    async def _beside(self, tenant: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the work returns
        self.beside.append(tenant)
        return work()

    def reserve(
        self, number: int, passes: Passes | None = None, *objects: ObjectNeed, large: bool = False
    ) -> Awaitable[Reservation]:
        """Count the call with this number."""
        return self.keeper.reserve(request(number, passes or at_most(5), *objects, large=large))


def request(number: int, passes: Passes, *objects: ObjectNeed, large: bool = False) -> CountingRequest:
    """Return a request for the call with this number."""
    needs = HistoryNeeds(tuple(sorted(objects or (NEED,), key=lambda one: one.name)))
    definitions = [one for object_need in needs.objects for one in object_need.reads]
    return CountingRequest("crm", "crm-api", needs, entry_id(number), passes, definitions, large)
