"""Reservations: a call counted in all of its objects, or in none.

Standing: under `pipeline`, over `commits`. Holds: over several keys the call is counted in one after the other, by
name, then judged a last time by all of them; where that denies it is taken out again. What cannot be read or written in
time denies.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import ceil, floor
from typing import Final

from bailiwick_api.serverclock import ServerClock
from bailiwick_engine.history.commit import ClockBounds, CommittedCall, WaitingCall, release
from bailiwick_engine.history.needs import ObjectNeed, Passing
from bailiwick_engine.history.state import CALL_DIGITS, Entry, KeyState
from bailiwick_engine.historynumbers import HistoryNumbers, HistoryReadings
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_webhook.history.commits import ChangedState, CommitResult, HistoryCommits, WaitingCommit
from bailiwick_webhook.history.denials import DenialCounter
from bailiwick_webhook.history.handles import CountedEntry, EntryHandle
from bailiwick_webhook.history.heldstates import HeldStates
from bailiwick_webhook.history.ports import (
    UNAVAILABLE,
    Beside,
    CountingRequest,
    DeniedCall,
    HistoryKeeping,
    RecordEvent,
    ReportedOutcome,
    ReportResult,
    Reservation,
    SlicesOf,
)
from bailiwick_webhook.history.rations import HistoryRations
from bailiwick_webhook.history.settlement import OutcomeSettler
from bailiwick_webhook.history.storedobjects import HistoryClient, ObjectStore
from bailiwick_webhook.metrics.counts import HistoryTally
from bailiwick_webhook.metrics.table import HistoryCause
from bailiwick_webhook.record.history import HistoryCount, HistoryEvent

PATIENCE: Final = 4.0
"""Seconds after which a call is denied, whatever becomes of its writes."""
ANSWER_SECONDS: Final = 18.0
"""Seconds after which a call is denied, whatever it waited for since it was counted: others of its batch, the use of an
approval, or a process that was stopped. Its window began when it was judged, and its record takes a moment more."""
RELEASE_PATIENCE: Final = 1.0
"""Seconds that an answer waits until its entries are taken out again."""
_TRIES: Final = 3

_Numbers = Mapping[str, HistoryNumbers]


class HistoryReservations:
    """Counts calls. Lives in one loop."""

    def __init__(self, store: ObjectStore, commits: HistoryCommits, record: RecordEvent) -> None:
        self._store = store
        self._commits = commits
        self._record = record
        self._settler = OutcomeSettler(commits)
        self._denials = DenialCounter(commits, store, record)
        self._releasing: set[asyncio.Task[None]] = set()

    async def reserve(self, request: CountingRequest) -> Reservation:
        """Count a call, if it passes with the numbers that it makes; else return the numbers as of now."""
        attempt = _Attempt(request, self._store.clock())
        try:
            async with asyncio.timeout(PATIENCE):
                result = await self._reserve(attempt)
        except TimeoutError:
            result = HistoryCause.LATE
        except BaseException:
            self._release_later(attempt)
            raise
        if not isinstance(result, HistoryCause):
            return result
        self._store.tally.unavailable[result] += 1
        self._release_later(attempt)
        return Reservation(request, UNAVAILABLE, cause=result)

    async def read(self, request: CountingRequest, *, dry_run: bool) -> Reservation:
        """Return the numbers as they would be after this call, and count nothing."""
        attempt = _Attempt(request, self._store.clock())
        result: dict[str, HistoryNumbers] | HistoryCause
        if dry_run and not self._store.rations.take_dry_run(request.namespace):
            result = HistoryCause.RATION
        else:
            try:
                async with asyncio.timeout(PATIENCE):
                    result = await self._look(attempt, request.needs.objects)
            except TimeoutError:
                result = HistoryCause.LATE
        if isinstance(result, HistoryCause):
            self._store.tally.unavailable[result] += 1
            return Reservation(request, UNAVAILABLE, cause=result)
        return attempt.reservation(result)

    def is_late(self, reservation: Reservation) -> bool:
        """Tell whether it is too late for an answer by these numbers: the call stands in its window from then on."""
        return self._store.clock() - reservation.began > ANSWER_SECONDS

    async def release(self, reservation: Reservation) -> None:
        """Take a call out again that is not let through after all. What cannot be taken out stays counted."""
        if not reservation.counted:
            return
        attempt = _Attempt(reservation.request, reservation.began)
        attempt.begun = set(reservation.counted)
        await self._release(attempt)

    async def settle(self, report: ReportedOutcome) -> ReportResult | HistoryCause:
        """Count a call by its outcome, once."""
        return await self._settler.settle(report)

    def count_denied(self, denied: DeniedCall) -> None:
        """Count a denied call, in a moment."""
        self._denials.add(denied)

    async def close(self) -> None:
        """Stop. What is being written may be counted, and denied calls that wait are written."""
        await self._denials.close()
        await self._commits.close()

    async def _reserve(self, attempt: "_Attempt") -> Reservation | HistoryCause:
        """Count a call in its objects."""
        objects = attempt.request.needs.objects
        if len(objects) == 1:
            return await self._reserve_one(attempt, objects[0])
        if not attempt.request.needs.counts:
            numbers = await self._look(attempt, objects)
            return numbers if isinstance(numbers, HistoryCause) else attempt.reservation(numbers)
        for _ in range(_TRIES):
            result = await self._reserve_all(attempt, objects)
            if result is not None:
                return result
        return HistoryCause.CONFLICT

    async def _reserve_one(self, attempt: "_Attempt", need: ObjectNeed) -> Reservation | HistoryCause:
        result = await self._commit(attempt, need, {})
        if isinstance(result, HistoryCause):
            return result
        if attempt.passed and not result.passed:
            # The state has no room for it.
            return HistoryCause.STATE
        return attempt.reservation(result.numbers, stands=result.passed)

    async def _reserve_all(
        self, attempt: "_Attempt", objects: Sequence[ObjectNeed]
    ) -> Reservation | HistoryCause | None:
        """Count a call in several objects; None: it was denied by what may be old, and is to be tried again."""
        known = await self._look(attempt, objects, stale=True)
        if isinstance(known, HistoryCause):
            return known
        if not attempt.passes(known):
            known = await self._look(attempt, objects)
            if isinstance(known, HistoryCause) or not attempt.passes(known):
                return known if isinstance(known, HistoryCause) else attempt.reservation(known)
        numbers, last = known, ""
        for need in objects:
            if not need.adds:
                continue
            result = await self._commit(attempt, need, numbers)
            if isinstance(result, HistoryCause):
                return result
            numbers = _renewed(numbers, (need,), result.numbers)
            if not result.passed:
                await self._release(attempt)
                return HistoryCause.STATE if attempt.passed else None
            last = need.name
        # The last one's numbers are of the moment of its write, when the call stood in all.
        others = [need for need in objects if need.name != last]
        read = await self._look(attempt, others, follows=True)
        if isinstance(read, HistoryCause):
            return read
        numbers = _renewed(numbers, others, read)
        passed = attempt.passes(numbers)
        if passed and attempt.serves(passed):
            return attempt.reservation(numbers, stands=True)
        await self._release(attempt)
        # A rule lets it through that was counted as one that a grant does.
        return None if passed else attempt.reservation(numbers)

    async def _look(
        self, attempt: "_Attempt", objects: Sequence[ObjectNeed], *, stale: bool = False, follows: bool = False
    ) -> dict[str, HistoryNumbers] | HistoryCause:
        """Return the numbers of objects, without counting. `stale`, `follows`: see `WaitingCommit`."""
        came = self._store.clock()
        results = await asyncio.gather(
            *(self._wait(attempt, need, _no_pass, came, stale=stale, follows=follows) for need in objects)
        )
        numbers: dict[str, HistoryNumbers] = {}
        for result in results:
            if isinstance(result, HistoryCause):
                return result
            numbers |= result.numbers
        return numbers

    async def _commit(self, attempt: "_Attempt", need: ObjectNeed, known: _Numbers) -> CommitResult:
        """Count a call in one object. `known`: the numbers of the others."""

        def passes(numbers: _Numbers) -> Passing:
            try:
                return attempt.passes_in(need, _renewed(known, (need,), numbers))
            except Exception as error:  # noqa: BLE001 - a defect that concerns this call must not reach the others
                attempt.error = error
                return False

        attempt.begun.add(need.name)
        result = await self._wait(attempt, need, passes, self._store.clock())
        if attempt.error is not None:
            raise attempt.error
        if isinstance(result, HistoryCause) or result.seq is None:
            attempt.begun.discard(need.name)
        return result

    async def _wait(
        self,
        attempt: "_Attempt",
        need: ObjectNeed,
        passes: Callable[[_Numbers], Passing],
        came: float,
        *,
        stale: bool = False,
        follows: bool = False,
    ) -> CommitResult:
        request = attempt.request
        call = WaitingCall(need, request.entry, passes)
        waiting = WaitingCommit(call, came, request.definitions, request.large, stale, follows)
        result = await self._commits.commit((request.namespace, need.name), _empty(request, need), waiting)
        if not isinstance(result, HistoryCause):
            attempt.note(waiting, result)
        return result

    async def _release(self, attempt: "_Attempt") -> None:
        """Take out what stands, or may stand; wait for a moment only, and go on beside."""
        await asyncio.wait([self._release_later(attempt)], timeout=RELEASE_PATIENCE)

    def _release_later(self, attempt: "_Attempt") -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._release_all(attempt.request, attempt.taken()))
        # A task that nothing refers to may be collected.
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)
        return task

    async def _release_all(self, request: CountingRequest, names: frozenset[str]) -> None:
        needs = [need for need in request.needs.objects if need.name in names]
        await asyncio.gather(*(self._release_one(request, need) for need in needs))

    async def _release_one(self, request: CountingRequest, need: ObjectNeed) -> None:
        changed = await self._commits.change(
            (request.namespace, need.name),
            _empty(request, need),
            lambda state, _: release(state, (request.entry,)),
            request.definitions,
            taken_out=request.entry,
        )
        if isinstance(changed, ChangedState) and changed.seq is not None:
            counts = changed.counts(need.name, need.reads, added=False)
            await self._record(HistoryEvent(request.namespace, request.endpoint, "released", 1, counts))


class _Attempt:
    """A request that is under way, since `began`. `begun`: the objects that it is counted in, or may be.

    `latest`, `passed`: the numbers that it was last judged by, and whether it passed. `error`: what broke meanwhile.
    `freed`, `seqs`: see `WaitingCommit`. `repeated`: the objects that an earlier decision counted it in. `granted`:
    those that it is counted in as what a grant lets through. `awaited`: by object, the entry whose outcome is awaited.
    """

    __slots__ = (
        "awaited",
        "began",
        "begun",
        "error",
        "freed",
        "granted",
        "latest",
        "passed",
        "repeated",
        "request",
        "seqs",
    )

    def __init__(self, request: CountingRequest, began: float) -> None:
        self.request = request
        self.began = began
        self.begun: set[str] = set()
        self.latest = UNAVAILABLE
        self.passed: Passing = False
        self.granted: set[str] = set()
        self.error: Exception | None = None
        self.freed: int | None = None
        self.seqs: dict[str, int] = {}
        self.awaited: dict[str, Entry] = {}
        self.repeated: set[str] = set()

    def passes(self, numbers: _Numbers) -> Passing:
        """Tell whether the call is let through with these numbers, and whether by a grant."""
        self.latest = HistoryReadings(numbers, counted=True)
        self.passed = self.request.passes(self.latest)
        return self.passed

    def passes_in(self, need: ObjectNeed, numbers: _Numbers) -> Passing:
        """Tell it where the call is about to be counted in this object."""
        passed = self.passes(numbers)
        if passed == "grant":
            self.granted.add(need.name)
        else:
            self.granted.discard(need.name)
        return passed

    def serves(self, passed: Passing) -> bool:
        """Tell whether what is counted is enough for a call that is let through so."""
        return passed == "grant" or all(need.additions("grant") == need.adds for need in self._granted_needs())

    def _granted_needs(self) -> list[ObjectNeed]:
        return [need for need in self.request.needs.objects if need.name in self.granted]

    def readings_of(self, numbers: _Numbers) -> HistoryReadings:
        """Return readings with these numbers: the very ones that the call was last judged by, where they are."""
        return self.latest if self.latest.numbers == numbers else HistoryReadings(numbers, counted=True)

    def reservation(self, numbers: _Numbers, *, stands: bool = False) -> Reservation:
        """Return what became of it, with these numbers. `stands`: it is counted wherever it has to be."""
        counts = tuple(
            HistoryCount(
                history.name,
                need.name,
                self.seqs.get(need.name, 0),
                numbers[history.name],
                added=stands and history in self._added(need) and not history.awaits_outcome,
                repeated=stands and need.name in self.repeated,
                awaited=stands
                and need.name in self.awaited
                and history.awaits_outcome
                and history in self._added(need),
            )
            for need in self.request.needs.objects
            for history in need.reads
            if history.name in numbers
        )
        counted = frozenset(self.begun) if stands else frozenset[str]()
        wait = None if self.freed is None else max(1, ceil(self.freed / 1000))
        granted = frozenset(self.granted)
        return Reservation(
            self.request,
            self.readings_of(numbers),
            stands,
            counted,
            counts,
            retry_after=wait,
            granted=granted,
            handle=self._handle() if stands else None,
            began=self.began,
        )

    def _handle(self) -> EntryHandle | None:
        """Return by what the outcome of the call can be reported."""
        found = [
            (need.key, self.awaited[need.name]) for need in self.request.needs.objects if need.name in self.awaited
        ]
        until = min((entry.outcome.until for _, entry in found if entry.outcome is not None), default=None)
        if until is None:
            return None
        entries = tuple(CountedEntry(key, entry.id[CALL_DIGITS:]) for key, entry in found)
        return EntryHandle(self.request.nonce, entries, until)

    def _added(self, need: ObjectNeed) -> frozenset[CompiledHistory]:
        return frozenset(one.history for one in need.additions("grant" if need.name in self.granted else True))

    def note(self, waiting: WaitingCommit, result: CommittedCall) -> None:
        """Take note of what an object came to."""
        name, freed = waiting.call.need.name, waiting.freed
        if not (waiting.follows and name in self.seqs):
            self.seqs[name] = waiting.seq
        if result.entry is not None:
            self.awaited[name] = result.entry
        if result.repeated:
            self.repeated.add(name)
        if freed is not None:
            self.freed = freed if self.freed is None else min(self.freed, freed)

    def taken(self) -> frozenset[str]:
        """Return the objects to take the call out of; none of them is left to take it out of."""
        names, self.begun = frozenset(self.begun), set()
        return names


def _empty(request: CountingRequest, need: ObjectNeed) -> KeyState:
    return KeyState(request.endpoint, need.key)


def _renewed(known: _Numbers, objects: Iterable[ObjectNeed], fresh: _Numbers) -> dict[str, HistoryNumbers]:
    """Return numbers with the fresh ones of these objects. One that has none now is unknown, whatever it was before."""
    renewed = {history.name for need in objects for history in need.reads}
    kept = {name: one for name, one in known.items() if name not in renewed}
    return {**kept, **fresh}


def _no_pass(_numbers: _Numbers) -> bool:
    return False


def keeping(
    client: HistoryClient, clock: ServerClock, proven: Callable[[], bool], now: Callable[[], float] = time.monotonic
) -> HistoryKeeping:
    """Return what makes a pipeline's counting of calls at an API server. `now` is monotonic, in seconds.

    `proven` tells whether the guards over histories are proven.
    """

    def keep(tally: HistoryTally, slices: SlicesOf, beside: Beside, record: RecordEvent) -> HistoryReservations:
        rations = HistoryRations(now)
        store = ObjectStore(client, partial(_bounds, clock), proven, rations, tally, now, HeldStates())
        return HistoryReservations(store, HistoryCommits(store, slices, beside), record)

    return keep


def _bounds(clock: ServerClock) -> ClockBounds | None:
    found = clock.bounds()
    return None if found is None else ClockBounds(floor(found[0] * 1000), ceil(found[1] * 1000))
