"""The writer of records: batches, which a thread of its own appends to one file or pipe.

Holds: a line is written whole and in order, or it is counted as lost and logged; what waits is bounded; no answer waits
longer than the limit. While writing fails, lines that were taken are kept and tried again, and `write` takes no other
(unless `QueueLimits.required` is off), so that a decision is denied rather than given without its record. Of a line
that has a number in a chain and may stand, nothing else is written under that number. Lines to spare have an eighth of
the room, and none while writing fails.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog

from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.record.writing.chainlog import ChainLog, LedgerPace, chain_tail
from bailiwick_webhook.record.writing.linefile import LineFile
from bailiwick_webhook.record.writing.recordthread import RecordThread
from bailiwick_webhook.record.writing.waitingline import RecordFailedError, WaitingLine, expire, taken_along
from bailiwick_webhook.threadturns import turns_of

_FLUSH: Final = 0.01
_RETRY: Final = 0.25
# Lines for which a write does not wait for the moment to be over; and what one write takes along.
_BATCH: Final = 1_000
_MOST_BYTES: Final = 1 << 20
# Of the room for what waits, lines have one part in so many on which no answer hangs.
_SPARE: Final = 8
_FAILED: Final = "decision records cannot be written"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """`records` and `size` (bytes) may wait at most, and a decision `timeout` seconds for its record.

    Whatever is set here, a decision that takes a use of a grant waits for its record.

    `required`: a decision whose record cannot be written is denied; otherwise it is given, and the loss is counted and
    logged. `first`: every decision waits for its record, not only those that take a use.
    """

    records: int = 10_000
    size: int = 16 << 20
    timeout: float = 1.0
    required: bool = True
    first: bool = False

    def hold(self, records: int, size: int, part: int = 1) -> bool:
        """Tell whether so many records, of so many bytes together, may wait; in one part of the room in so many."""
        return part * records <= self.records and part * size <= self.size


class RecordWriter:
    """Appends lines; `path` None is stdout. With a `chain`, each is a JSON object and gets its place there.

    All of it runs on the event loop; `recordthread` is what does not.
    """

    def __init__(
        self, path: Path | None, *, fsync: bool, limits: QueueLimits | None = None, chain: ChainLog | None = None
    ) -> None:
        self.chain = chain
        self._previous = None if chain is None or path is None else chain_tail(path)
        self._thread = RecordThread(LineFile(path, fsync=fsync), chain, self._settle)
        self._limits = limits or QueueLimits()
        self._waiting: list[WaitingLine] = []
        self._flying: list[WaitingLine] = []
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._failure: str | None = None
        # Of what waits, something is waited for, or would be on its way if there had been room.
        self._urgent = False
        # A full disk must not fill the log too.
        self._limited = LogLimit()
        self._logged = 0
        # Set whenever a write has returned, or does not.
        self._moved = asyncio.Event()
        self._ledgers = LedgerPace()
        self._ended = False
        self.written = self.lost = self.held = self.held_bytes = 0
        self._spare = self._spare_bytes = 0

    async def __aenter__(self) -> Self:
        """Start writing."""
        self._loop = asyncio.get_running_loop()
        self._turns = turns_of(self._loop)
        self._thread.start()
        self._thread.broken.add_done_callback(self._broke)
        if self.chain is not None:
            self._own(self.chain.opening(self._previous))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what is waiting, for as long as a decision would wait, then stop."""
        self._ended = True
        until = self._loop.time() + self._limits.timeout
        await self._drained(until)
        if self.chain is not None and not self.held:
            # Nothing comes behind the line that closes a chain.
            self._limits = replace(self._limits, records=0, first=True)
            self._own(
                self.chain.closing("stopped" if error is None else "failed", written=self.written, lost=self.lost)
            )
            await self._drained(until)
        for timer in (self._timer, self._stall):
            if timer is not None:
                timer.cancel()
        stuck = bool(self._flying)
        unwritten = (*self._flying, *self._waiting)
        self._waiting = []
        for gone in filter(None, (line.gone for line in unwritten)):
            gone()
        if left := sum(not line.own and line.gone is None for line in unwritten):
            self._lose(left, self._failure or "stopped before a write returned")
        if self.lost > self._logged:
            # The last line of all, so there is no later one that could say it.
            _log.error(_FAILED, **self._facts())
        self._thread.end(stuck=stuck and not self.broken.done())

    @property
    def broken(self) -> asyncio.Future[None]:
        """Never done, but by the `RecordingBrokenError` after which only a new process records anything."""
        return self._thread.broken

    @property
    def failing(self) -> str | None:
        """Why the latest write failed, or that it does not return; None while all is well."""
        return self._failure

    @property
    def waits(self) -> bool:
        """`write` returns only when a line is written, though it need not be."""
        return self._limits.first or (self._failure is not None and self._limits.required)

    def take(self, line: bytes) -> bool:
        """Take one line for which no answer need wait; False where only `write` can tell what becomes of it."""
        if self.waits or not self._fits(line):
            return False
        self._waiting.append(WaitingLine(line, None, kept=True))  # As `_soon`, on the way of every decision.
        self.held += 1
        self.held_bytes += len(line)
        if not self._flying and (self._timer is None or len(self._waiting) >= _BATCH):
            self._later()
        return True

    def spare(self, line: bytes, gone: Callable[[], None]) -> bool:
        """Take one line that no answer depends on, or return False. One that is not written after all is `gone`."""
        half = self._limits.hold(self.held + 1, self.held_bytes + len(line), part=2)
        spare = self._limits.hold(self._spare + 1, self._spare_bytes + len(line), part=_SPARE)
        if not (half and spare) or self._failure is not None:
            return False
        self._soon(line, gone)
        return True

    async def write(self, line: bytes, *, must: bool = True) -> None:
        """Take one line; with `must`, or while writing fails, or where all must, return only when it is written.

        Raises `RecordFailedError` where the decision must not be given.
        """
        if not must and self.take(line):
            return
        limits = self._limits
        kept = not must and not limits.required
        if not (self._fits(line) or await self._made_room(line)):
            self._lose(1, self._failure or "too many records are waiting")
            if kept:
                return
            raise RecordFailedError(self._failure or "too many records are waiting")
        if must or self.waits:
            if self._flying and self._stall is None and not kept:
                # A write that does not return: what comes now would wait in vain.
                self._lose(1, self._failure or "")
                raise RecordFailedError(self._failure)
            await self._written(line, kept=kept)
            return
        self._soon(line)

    def witness(self, note: str) -> None:
        """Put the checkpoint of another log in the chain, where one is due, until the chain is being closed."""
        open_to_it = self._failure is None and not self._ended
        if self.chain is not None and open_to_it and self._ledgers.due(note, self._loop.time()):
            self._own(self.chain.ledger(note))

    def _own(self, line: bytes) -> None:
        self._put(WaitingLine(line, None, kept=True, own=True))
        self._launch()

    async def _drained(self, until: float) -> None:
        while self.held and not self.broken.done() and self._loop.time() < until:
            self._launch()
            await asyncio.sleep(_FLUSH)

    def _soon(self, line: bytes, gone: Callable[[], None] | None = None) -> None:
        self._put(WaitingLine(line, None, kept=True, gone=gone))
        if not self._flying:
            self._later()

    def _later(self) -> None:
        if len(self._waiting) >= _BATCH:
            self._launch()
        elif self._timer is None:
            self._timer = self._loop.call_later(_FLUSH, self._launch)

    async def _written(self, line: bytes, *, kept: bool) -> None:
        done: asyncio.Future[None] = self._loop.create_future()
        self._put(WaitingLine(line, done, kept))
        self._launch()
        late = self._loop.call_later(self._limits.timeout, expire, done, kept)
        try:
            await done
        finally:
            late.cancel()

    def _fits(self, line: bytes) -> bool:
        return self._limits.hold(self.held + 1, self.held_bytes + len(line))

    async def _made_room(self, line: bytes) -> bool:
        """Wait, within the limit, for what a burst of decisions left to be written. Not where writing fails."""
        until = self._loop.time() + self._limits.timeout
        while self.held and self._failure is None and not self._fits(line):
            self._launch()
            self._moved.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self._moved.wait()
            except TimeoutError:
                break
        return self._fits(line)

    def _put(self, line: WaitingLine) -> None:
        self._waiting.append(line)
        self._urgent = self._urgent or line.done is not None
        self._hold((line,), 1)

    def _hold(self, lines: Sequence[WaitingLine], sign: int) -> None:
        self.held += sign * len(lines)
        self.held_bytes += sign * sum([len(line.data) for line in lines])
        if spare := [len(line.data) for line in lines if line.gone is not None]:
            self._spare += sign * len(spare)
            self._spare_bytes += sign * sum(spare)

    def _launch(self) -> None:
        """Hand the next batch to the thread, if that is idle."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._flying:
            return
        if self._urgent or self.held_bytes >= _MOST_BYTES:
            self._flying, late = taken_along(self._waiting, _MOST_BYTES)
            self._urgent = bool(self._waiting)
            if late:
                self._hold(late, -1)
                self._lose(len(late), self._failure or "the record was not written in time")
        else:  # No answer waits, so none gave up.
            self._flying, self._waiting = self._waiting, []
        if self._flying:
            self._stall = self._loop.call_later(self._limits.timeout, self._stalled)
            self._thread.write(self._flying)
            self._turns.begin(self)

    def _stalled(self) -> None:
        self._stuck(f"a write has not returned for {self._limits.timeout:g} s")

    def _broke(self, broken: asyncio.Future[None]) -> None:
        told = broken.exception()
        # At once, and whatever was logged before: the process may be killed before it has ended in order.
        _log.error("the thread of the records ended", error=str(told), exc_info=told)
        self._stuck(str(told))
        self._turns.end(self)
        for line in self._flying:
            if line.done is not None:
                expire(line.done, line.kept)

    def _stuck(self, why: str) -> None:
        """Give no decision from now on: what flies does not return, perhaps never."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self._failure = why
        self._moved.set()
        self._refuse()
        self._complain()

    def _settle(self, batch: list[WaitingLine], left: list[WaitingLine], error: OSError | None) -> None:
        """Tell those who wait what became of a batch, of which so many lines at its end are left to be written."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self._moved.set()
        self._turns.end(self)
        self._flying = []
        stand = batch[: len(batch) - len(left)]
        self._hold(stand, -1)
        self.written += sum([not line.own for line in stand])
        for done in [line.done for line in stand if line.done is not None and not line.done.done()]:
            done.set_result(None)
        if error is None:
            if self._failure is not None:
                self._failure = None
                _log.info("decision records are being written again", lost=self.lost, waiting=self.held)
            if self._urgent:
                self._launch()
            elif self._waiting:
                self._later()  # In a while there are more to be written at once.
            return
        self._failure = str(error)
        self._waiting[:0] = left
        self._refuse()
        self._complain()
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_later(_RETRY, self._launch)

    def _refuse(self) -> None:
        """Writing fails: keep the lines of decisions that are given, tell all others, and drop what is to spare."""
        failure = self._failure or ""
        kept: list[WaitingLine] = []
        for line in self._waiting:
            waiting = None if line.done is None or line.done.done() else line.done
            if line.gone is not None and line.numbered is None:
                self._hold((line,), -1)
                line.gone()
                continue
            if line.kept:
                kept.append(line)
                if waiting is not None:
                    waiting.set_result(None)
                continue
            if line.numbered is not None:
                # It will stand, of a decision that was not given: its number is taken.
                kept.append(line)
            else:
                self._hold((line,), -1)
                self._lose(1, failure)
            if waiting is not None:
                waiting.set_exception(RecordFailedError(failure))
        self._waiting = kept

    def _lose(self, count: int, why: str) -> None:
        self.lost += count
        self._complain(why)

    def _complain(self, why: str | None = None) -> None:
        if self._limited.error(_FAILED, **self._facts(why)):
            self._logged = self.lost

    def _facts(self, why: str | None = None) -> dict[str, Any]:
        """Return what a line of the log says: why, how many lines were lost since the one before it, and what waits."""
        return {"error": why or self._failure, "lost": self.lost - self._logged, "waiting": self.held}
