"""Ports: what the pipeline asks of what counts calls.

Standing: under `pipeline`; in a cluster `reservations` stands behind it, without one `NoHistories`. Holds: nothing here
decides.
"""

from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from typing import Final, Literal, Protocol, TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace

from bailiwick_engine.history.needs import HistoryNeeds, Passing
from bailiwick_engine.history.state import CallOutcome
from bailiwick_engine.historynumbers import HistoryReadings
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.history.handles import EntryHandle
from bailiwick_webhook.metrics.counts import HistoryTally
from bailiwick_webhook.metrics.table import HistoryCause
from bailiwick_webhook.record.history import HistoryCount, HistoryEvent

_Result = TypeVar("_Result")

HistoryKey: TypeAlias = tuple[str, str]
"""Namespace and name of an EndpointHistory."""
Passes: TypeAlias = Callable[[HistoryReadings], Passing]
"""Tells whether a call is let through with these numbers, and whether by a grant.

It may be called in another thread, and more than once.
"""

UNAVAILABLE: Final = HistoryReadings(refusal=Reason.HISTORY_UNAVAILABLE)
"""Of histories that cannot be read or written at the moment."""


class CountingRequest(msgspec.Struct, frozen=True):
    """A call that has to be counted, or whose histories have to be read.

    `entry`: see `WaitingCall`. `definitions`: all histories of the endpoint. `large`: to judge it may take long.
    `nonce`: see `EntryHandle`.
    """

    namespace: str
    endpoint: str
    needs: HistoryNeeds
    entry: str
    passes: Passes
    definitions: Sequence[CompiledHistory]
    large: bool = False
    nonce: str = ""


class Reservation(msgspec.Struct, frozen=True, gc=False):
    """What became of a request. The verdict is the one by `readings`, which `passes` was last called with.

    `stands`: the call is counted wherever it has to be. `counted`: the names of the objects that this attempt counted
    it in. `counts`: what a record has of it. `cause`: why there are no numbers. `retry_after`: after so many seconds
    the first of the calls that were counted before is out. `granted`: the objects where it is counted as what a grant
    lets through. `handle`: by which its outcome can be reported; None: nothing waits for that. `began`: see `is_late`
    of `HistoryKeeper`.
    """

    request: CountingRequest
    readings: HistoryReadings
    stands: bool = False
    counted: frozenset[str] = frozenset()
    counts: Sequence[HistoryCount] = ()
    cause: HistoryCause | None = None
    retry_after: int | None = None
    granted: frozenset[str] = frozenset()
    handle: EntryHandle | None = None
    began: float = 0.0

    def covers(self, needs: HistoryNeeds, passed: Passing) -> bool:
        """Tell whether a call with these needs, which is let through so, is counted wherever it has to be."""
        granted = () if passed is True else tuple(need.name for need in needs.objects)
        return self.stands and added_lines(needs, granted) <= added_lines(self.request.needs, self.granted)

    def readings_for(self, histories: Iterable[CompiledHistory]) -> HistoryReadings:
        """Return the readings with the numbers of these definitions alone: names say nothing, policies may change."""
        read = {(one.name, one.digest) for one in self.request.definitions}
        same = {one.name for one in histories if (one.name, one.digest) in read}
        numbers = self.readings.numbers
        return replace(self.readings, numbers={name: one for name, one in numbers.items() if name in same})


def added_lines(needs: HistoryNeeds, granted: Container[str]) -> frozenset[tuple[str, str, int]]:
    """Return what a call adds: the object, the definition by its digest, and the amount.

    `granted`: the objects that see it as what a grant lets through.
    """
    return frozenset(
        (need.name, one.history.digest, one.total)
        for need in needs.objects
        for one in need.additions("grant" if need.name in granted else True)
    )


class DeniedCall(msgspec.Struct, frozen=True, gc=False):
    """A call that is counted because it was denied. `definitions`: all histories of the endpoint."""

    namespace: str
    endpoint: str
    needs: HistoryNeeds
    definitions: Sequence[CompiledHistory]


class ReportedOutcome(msgspec.Struct, frozen=True, gc=False):
    """What an enforcer reports of a call. `uid`: of the account that reports. `definitions`: as of the endpoint now."""

    namespace: str
    endpoint: str
    uid: str
    handle: EntryHandle
    outcome: CallOutcome
    definitions: Sequence[CompiledHistory]


class ReportResult(msgspec.Struct, frozen=True, gc=False):
    """What a report came to. `counts`: what a record has of it; `repeated`: it was reported before."""

    result: Literal["settled", "repeated", "conflict", "late"]
    counts: Sequence[HistoryCount] = ()


class HistoryKeeper(Protocol):
    """Counts calls."""

    async def reserve(self, request: CountingRequest) -> Reservation:
        """Count a call, if it passes with the numbers that it makes; else return the numbers as of now."""

    async def read(self, request: CountingRequest, *, dry_run: bool) -> Reservation:
        """Return the numbers as they would be after this call, and count nothing."""

    def is_late(self, reservation: Reservation) -> bool:
        """Tell whether it is too late for an answer by these numbers: the call stands in its window from then on."""

    async def release(self, reservation: Reservation) -> None:
        """Take a call out again that is not let through after all. What cannot be taken out stays counted."""

    async def settle(self, report: ReportedOutcome) -> ReportResult | HistoryCause:
        """Count a call by its outcome, once."""

    def count_denied(self, denied: DeniedCall) -> None:
        """Count a denied call, in a moment."""

    async def close(self) -> None:
        """Stop. What is being written may be counted, and denied calls that wait are written."""


class LoopSlices(Protocol):
    """Lets the loop go on every few milliseconds (see `pipeline.turns`)."""

    async def turn(self) -> None:
        """Wait for a turn, where the last one is over."""


class Beside(Protocol):
    """Does work beside the loop (see `pipeline.offload`)."""

    def __call__(self, tenant: str, work: Callable[[], _Result]) -> Awaitable[_Result]:
        """Do this piece of work in the tenant's turn, and return what it returns."""


SlicesOf: TypeAlias = Callable[[str], LoopSlices]
"""Returns the slices of a piece of work of a tenant."""


class RecordEvent(Protocol):
    """Records what no answer carries."""

    def __call__(self, event: HistoryEvent) -> Awaitable[None]:
        """Record it, if that is possible."""


class HistoryKeeping(Protocol):
    """Makes what counts calls, of what a pipeline has: its tally, its turns on the loop, and its work beside it.

    And its records.
    """

    def __call__(self, tally: HistoryTally, slices: SlicesOf, beside: Beside, record: RecordEvent) -> HistoryKeeper:
        """Return it."""


class NoHistories:
    """Stands where there is no API server: no call can be counted."""

    async def reserve(self, request: CountingRequest) -> Reservation:
        """Count nothing."""
        return Reservation(request, UNAVAILABLE, cause=HistoryCause.NO_CLUSTER)

    async def read(self, request: CountingRequest, *, dry_run: bool) -> Reservation:  # noqa: ARG002 - `HistoryKeeper`
        """Read nothing."""
        return Reservation(request, UNAVAILABLE, cause=HistoryCause.NO_CLUSTER)

    def is_late(self, reservation: Reservation) -> bool:  # noqa: ARG002 - `HistoryKeeper`
        """Say no: no number is from here."""
        return False

    async def release(self, reservation: Reservation) -> None:
        """Do nothing: nothing was counted."""

    async def settle(self, report: ReportedOutcome) -> ReportResult | HistoryCause:  # noqa: ARG002 - `HistoryKeeper`
        """Know of no call."""
        return ReportResult("late")

    def count_denied(self, denied: DeniedCall) -> None:
        """Count nothing."""

    async def close(self) -> None:
        """Do nothing."""


def no_histories(
    tally: HistoryTally,  # noqa: ARG001 - `HistoryKeeping`
    slices: SlicesOf,  # noqa: ARG001 - `HistoryKeeping`
    beside: Beside,  # noqa: ARG001 - `HistoryKeeping`
    record: RecordEvent,  # noqa: ARG001 - `HistoryKeeping`
) -> HistoryKeeper:
    """Return what stands where there is no API server."""
    return NoHistories()
