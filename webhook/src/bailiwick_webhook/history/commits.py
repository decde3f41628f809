"""Commits: the calls that wait for one object are judged in order and counted together, in one write.

Standing: under `reservations`, over `storedobjects`. Holds: a call is answered after the write at the resourceVersion
that it was judged by; where nothing is added, by a state that stood at some moment after the call came. One task works
on an object, and ends when nothing waits. A caller that goes away changes nothing for the others.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from bailiwick_engine.history.changes import missing_outcomes
from bailiwick_engine.history.commit import ClockBounds, CommittedCall, WaitingCall, commit, numbers_at
from bailiwick_engine.history.needs import ObjectNeed
from bailiwick_engine.history.retention import freed_at
from bailiwick_engine.history.state import KeyState
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_webhook.history.heldstates import HeldState
from bailiwick_webhook.history.ports import Beside, HistoryKey, SlicesOf
from bailiwick_webhook.history.storedobjects import ObjectStore
from bailiwick_webhook.metrics.table import HistoryCause, OutcomeResult
from bailiwick_webhook.record.history import HistoryCount

CONFLICT_SECONDS: Final = 2.0
READ_INTERVAL: Final = 0.25
"""Seconds between two reads of an object for calls that add nothing."""
_MOST_APART: Final = 0.02
"""Seconds that a replica waits at most after a conflict."""
_CHUNK: Final = 8
"""Calls that are judged without a look at what else waits."""

CommitResult: TypeAlias = CommittedCall | HistoryCause


def _new_answer() -> "asyncio.Future[CommitResult]":
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class WaitingCommit:
    """A call that waits. `came`: when, by the monotonic clock. `large`: to judge it may take long.

    `definitions`: all histories of the endpoint. `stale`: any state will do. `follows`: it is counted already, and only
    wants to know by a state that stood after that; it reads without a pause. `freed`: after how many milliseconds the
    first of the calls that it was denied by is out; None: that is not known. `seq`: the event that counted it, or the
    last one in the state that it was judged by.
    """

    call: WaitingCall
    came: float
    definitions: Iterable[CompiledHistory]
    large: bool = False
    stale: bool = False
    follows: bool = False
    freed: int | None = None
    seq: int = 0
    answer: "asyncio.Future[CommitResult]" = field(default_factory=_new_answer)

    def wants_read(self, held: HeldState) -> bool:
        """Tell whether it adds nothing, and a later state has to be read for it."""
        adds = bool(self.call.need.adds) and not self.follows
        return not adds and not self.stale and self.came > held.proven

    def finish(self, result: CommitResult) -> None:
        """Answer, unless the caller has gone away."""
        if not self.answer.done():
            self.answer.set_result(result)


StateChange: TypeAlias = Callable[[KeyState, ClockBounds], KeyState]
"""Returns a state as it is to be written; the same object: there is nothing to write. It may be called again."""


class ChangedState(msgspec.Struct, frozen=True, gc=False):
    """What became of a change. `seq`: its event; None: there was nothing to write. `moment`: when it was made."""

    state: KeyState
    moment: ClockBounds
    seq: int | None

    def counts(self, name: str, histories: Sequence[CompiledHistory], *, added: bool) -> tuple[HistoryCount, ...]:
        """Return what a record has of these histories after the change. `name`: that of the object."""
        need = ObjectNeed(name, self.state.key, tuple(histories), ())
        numbers = numbers_at(self.state, need, self.moment, with_this=False)
        return tuple(
            HistoryCount(one.name, name, self.seq or 0, numbers[one.name], added=added)
            for one in histories
            if one.name in numbers
        )


def _new_change() -> "asyncio.Future[ChangedState | HistoryCause]":
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class WaitingChange:
    """A change that no verdict depends on. `came`: when, by the monotonic clock. `definitions`: see `WaitingCommit`.

    `made`: what it came to last. `taken_out`: the entry that it takes out. `fresh`: where it finds nothing to write,
    it asks again for a state that stood after it came.
    """

    change: StateChange
    came: float
    definitions: Iterable[CompiledHistory]
    fresh: bool = False
    taken_out: str | None = None
    made: ChangedState | None = None
    done: "asyncio.Future[ChangedState | HistoryCause]" = field(default_factory=_new_change)

    def apply(self, state: KeyState, moment: ClockBounds) -> KeyState:
        """Return the state with this change."""
        changed = self.change(state, moment)
        self.made = ChangedState(changed, moment, None if changed is state else changed.seq)
        return changed

    def finish(self, cause: HistoryCause | None) -> None:
        """Say what became of it; `cause`: why it could not be made."""
        if not self.done.done():
            self.done.set_result(cause or self.made or HistoryCause.LATE)


class HistoryCommits:
    """The work on all objects. Lives in one loop."""

    def __init__(self, store: ObjectStore, slices: SlicesOf, beside: Beside) -> None:
        self._store = store
        self._slices = slices
        self._beside = beside
        # By its key too, so that what is said to be another object's never meets the calls of this one.
        self._objects: dict[tuple[HistoryKey, str, str], _ObjectCommits] = {}

    def __len__(self) -> int:
        """How many objects are worked on."""
        return len(self._objects)

    async def commit(self, key: HistoryKey, empty: KeyState, waiting: WaitingCommit) -> CommitResult:
        """Return what becomes of a call in an object. `empty`: the state of the object where there is none yet."""
        self._object(key, empty).add(waiting)
        return await waiting.answer

    async def change(
        self,
        key: HistoryKey,
        empty: KeyState,
        change: StateChange,
        definitions: Iterable[CompiledHistory],
        *,
        fresh: bool = False,
        taken_out: str | None = None,
    ) -> ChangedState | HistoryCause:
        """Change an object; return what became of that. `empty`: see `commit`; the others: see `WaitingChange`."""
        waiting = WaitingChange(change, self._store.clock(), definitions, fresh, taken_out)
        self._object(key, empty).add(waiting)
        return await waiting.done

    async def close(self) -> None:
        """Stop. What is being written may be counted."""
        objects = tuple(self._objects.values())
        for one in objects:
            one.task.cancel()
        if objects:
            await asyncio.wait([one.task for one in objects])

    def _object(self, key: HistoryKey, empty: KeyState) -> "_ObjectCommits":
        place = (key, empty.endpoint, empty.key)
        found = self._objects.get(place)
        if found is None:
            ended = partial(self._objects.pop, place)
            judge = _CallJudge(self._slices(key[0]).turn, partial(self._beside, key[0]))
            found = self._objects[place] = _ObjectCommits(self._store, key, empty, judge, ended)
        return found


class _ObjectCommits:
    """The work on one object."""

    def __init__(
        self, store: ObjectStore, key: HistoryKey, empty: KeyState, judging: "_CallJudge", ended: Callable[[], object]
    ) -> None:
        self._store = store
        self._key = key
        self._empty = empty
        self._judging = judging
        self._ended = ended
        self._calls: list[WaitingCommit] = []
        # Calls that the state that is held adds nothing for: they wait for a later one.
        self._readers: list[WaitingCommit] = []
        self._changes: list[WaitingChange] = []
        # Changes that found nothing to write in a state that may have been old.
        self._doubtful: list[WaitingChange] = []
        # The calls that are being judged or written.
        self._batch: Sequence[WaitingCommit] = ()
        self._arrived = asyncio.Event()
        self._conflicted = False
        self.task: Final = asyncio.get_running_loop().create_task(self._run())

    def add(self, waiting: WaitingCommit | WaitingChange) -> None:
        """Let a call or a change wait."""
        if isinstance(waiting, WaitingChange):
            self._changes.append(waiting)
        else:
            self._calls.append(waiting)
        self._arrived.set()

    async def _run(self) -> None:
        try:
            while self._calls or self._readers or self._changes or self._doubtful:
                await self._work()
        except Exception as error:  # noqa: BLE001 - a defect is each caller's, as if it had met it by itself
            for waiting in (*self._batch, *self._calls, *self._readers):
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
        finally:
            self._fail(HistoryCause.LATE)
            # No one can come in between: nothing was awaited since nothing waits.
            self._ended()

    async def _work(self) -> None:
        """Read where that is necessary, judge what waits, and write once.

        The turn of a write is waited for first: a state that is judged by while a turn is waited for is soon old.
        """
        namespace, rations, turn = self._key[0], self._store.rations, None
        if self._wants_write():
            await self._rest()
            turn = await rations.take_write(namespace)
        held = await self._current_state()
        moment = self._store.moment()
        if isinstance(moment, HistoryCause):
            self._fail(moment)
        elif held is not None and await self._work_on(held, moment, turn=turn):
            return
        if turn:
            rations.put_back(namespace)

    def _wants_write(self) -> bool:
        """Tell whether a call waits that may be counted, or a change that is to be made."""
        return bool(self._changes) or any(waiting.call.need.adds and not waiting.stale for waiting in self._calls)

    async def _rest(self) -> None:
        """Leave the object to other replicas for a moment, where this one has just written it or met another."""
        held = self._store.held.get(self._key)
        rest = 0.0 if held is None else held.rests_until - self._store.clock()
        if self._conflicted:
            # So that two that keep step do not meet again and again.
            self._conflicted = False
            rest = max(rest, random.uniform(0.0, _MOST_APART))  # noqa: S311 - it hides nothing
        if rest > 0:
            await asyncio.sleep(rest)

    async def _current_state(self) -> HeldState | None:
        """Return the state to judge by; None: it cannot be read, or other calls come before it is time to read it."""
        held = self._store.held.get(self._key)
        if held is not None and (held.state.endpoint, held.state.key) != (self._empty.endpoint, self._empty.key):
            # A report names what it likes: this object too, where there is none yet, by a key that is not its own.
            held = None
        if held is not None and (self._calls or self._changes or not await self._may_read(held)):
            return held if self._calls or self._changes else None
        read = await self._store.read(self._key, self._empty)
        if isinstance(read, HistoryCause):
            self._fail(read)
            return None
        self._judge_again()
        return read

    async def _work_on(self, held: HeldState, moment: ClockBounds, *, turn: bool | None) -> bool:
        """Return whether a write was tried. `turn`: whether there is one to write in; None: none was waited for."""
        batch, changes, state = self._take_batch(held), tuple(self._changes), held.state
        if not (batch or changes):
            return False
        for change in changes:
            state = change.apply(state, moment)
        state, results = await self._judging.judge(state, batch, moment)
        for waiting, result in zip(batch, results, strict=True):
            if not result.passed and (out := freed_at(state, waiting.call.need, moment)) is not None:
                waiting.freed = out - moment.earliest
        if state is held.state:
            self._finish_unchanged(held, changes)
            self._answer_readers(held, batch, results)
        elif turn:
            await self._write(held, state, batch, results, changes)
            return True
        elif turn is None:
            # They came while this was read.
            self._calls = [*batch, *self._calls]
        else:
            self._finish(changes, HistoryCause.RATION)
            for waiting in batch:
                waiting.finish(HistoryCause.RATION)
        return False

    def _take_batch(self, held: HeldState) -> list[WaitingCommit]:
        """Take the calls to judge now. What adds nothing need not be judged by a state that may be old."""
        self._arrived.clear()
        alive = [waiting for waiting in self._calls if not waiting.answer.done()]
        self._calls = []
        self._readers += [waiting for waiting in alive if waiting.wants_read(held)]
        self._batch = batch = [waiting for waiting in alive if not waiting.wants_read(held)]
        return batch

    def _judge_again(self) -> None:
        """Judge the readers by the state that is held now."""
        self._calls = [*self._readers, *self._calls]
        self._changes = [*self._doubtful, *self._changes]
        self._readers, self._doubtful = [], []

    async def _may_read(self, held: HeldState) -> bool:
        """Wait until it is time to read for those that add nothing; return False where another call comes first."""
        pause = held.read + READ_INTERVAL - self._store.clock()
        if pause <= 0 or any(waiting.follows for waiting in self._readers):
            return True
        try:
            async with asyncio.timeout(pause):
                await self._arrived.wait()
        except TimeoutError:
            return True
        return False

    def _answer_readers(
        self, held: HeldState, batch: Sequence[WaitingCommit], results: Iterable[CommittedCall]
    ) -> None:
        """Answer those that came before the state stood; the others wait for a later one."""
        for waiting, result in zip(batch, results, strict=True):
            if waiting.stale or waiting.came <= held.proven:
                waiting.finish(result)
            else:
                self._readers.append(waiting)

    def _finish_unchanged(self, held: HeldState, changes: Iterable[WaitingChange]) -> None:
        """Finish changes with nothing to write; those that ask for a later state wait for it."""
        doubtful = [waiting for waiting in changes if waiting.fresh and waiting.came > held.proven]
        self._finish([waiting for waiting in changes if waiting not in doubtful])
        self._changes = [waiting for waiting in self._changes if waiting not in doubtful]
        self._doubtful.extend(doubtful)

    async def _write(
        self,
        held: HeldState,
        state: KeyState,
        batch: Sequence[WaitingCommit],
        results: Sequence[CommittedCall],
        changes: Sequence[WaitingChange],
    ) -> None:
        listed = (*(waiting.definitions for waiting in batch), *(waiting.definitions for waiting in changes))
        definitions = {one.digest: one for histories in listed for one in histories}
        written = await self._store.write(
            self._key, held, state, definitions.values(), crowded=len(batch) > 1, waits=bool(batch)
        )
        if written is None:
            self._try_again(batch, changes)
            return
        self._finish(changes, written if isinstance(written, HistoryCause) else None)
        if isinstance(written, HistoryCause):
            for waiting in batch:
                waiting.finish(written)
            return
        taken_out = {waiting.taken_out for waiting in changes}
        self._store.tally.outcomes[OutcomeResult.MISSING] += missing_outcomes(held.state, state, taken_out)
        self._store.tally.calls += sum(result.seq is not None for result in results)
        for waiting, result in zip(batch, results, strict=True):
            waiting.finish(result)
        # The state that was written stood after they came.
        self._judge_again()

    def _try_again(self, batch: Iterable[WaitingCommit], changes: Iterable[WaitingChange]) -> None:
        """Let those wait again that have not waited for too long."""
        self._conflicted = True
        since = self._store.clock() - CONFLICT_SECONDS
        again: list[WaitingCommit] = []
        for waiting in batch:
            if waiting.came >= since:
                again.append(waiting)
            else:
                waiting.finish(HistoryCause.CONFLICT)
        self._calls = [*again, *self._calls]
        self._finish([waiting for waiting in changes if waiting.came < since], HistoryCause.CONFLICT)

    def _finish(self, changes: Iterable[WaitingChange], cause: HistoryCause | None = None) -> None:
        for waiting in changes:
            waiting.finish(cause)
        self._changes = [waiting for waiting in self._changes if not waiting.done.done()]

    def _fail(self, cause: HistoryCause) -> None:
        """Answer all that wait."""
        for waiting in (*self._batch, *self._calls, *self._readers):
            waiting.finish(cause)
        self._batch, self._calls, self._readers = (), [], []
        self._finish([*self._changes, *self._doubtful], cause)
        self._doubtful = []


@dataclass(frozen=True, slots=True)
class _CallJudge:
    """Judges calls. `turn` lets the loop go on; `beside` does work beside it."""

    turn: Callable[[], Awaitable[None]]
    beside: Callable[..., Awaitable[Any]]

    async def judge(
        self, state: KeyState, batch: Sequence[WaitingCommit], moment: ClockBounds
    ) -> tuple[KeyState, list[CommittedCall]]:
        """Judge the calls in order, a few at a time, and each that is large beside the loop."""
        results: list[CommittedCall] = []
        for chunk in _chunks(batch):
            await self.turn()
            seq = state.seq
            if chunk[0].follows:
                committed = tuple(_numbers_of(state, waiting.call, moment) for waiting in chunk)
            else:
                work = partial(commit, state, [waiting.call for waiting in chunk], moment)
                state, committed = await self.beside(work) if chunk[0].large else work()
            for waiting, result in zip(chunk, committed, strict=True):
                seq = waiting.seq = seq if result.seq is None else result.seq
            results.extend(committed)
        return state, results


def _chunks(batch: Sequence[WaitingCommit]) -> Iterator[Sequence[WaitingCommit]]:
    """Yield the calls in order, a few together; each that is large alone."""
    chunk: list[WaitingCommit] = []
    for waiting in batch:
        first = chunk[0] if chunk else waiting
        if chunk and (waiting.large or first.large or waiting.follows != first.follows or len(chunk) == _CHUNK):
            yield chunk
            chunk = []
        chunk.append(waiting)
    if chunk:
        yield chunk


def _numbers_of(state: KeyState, call: WaitingCall, moment: ClockBounds) -> CommittedCall:
    """Return the numbers of a call that is counted already."""
    return CommittedCall(numbers_at(state, call.need, moment, with_this=False, entry=call.entry), passed=True)
