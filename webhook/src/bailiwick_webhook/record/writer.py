"""The writer of records: batches, in a thread of its own, appended to one file or pipe.

Holds: a line is written whole and in order, or it is counted as lost and logged; what waits is bounded; nobody waits
longer than the limit. While writing fails, lines that were taken are kept and tried again, and `write` takes no other
(unless `Limits.required` is off), so that a decision is denied rather than given without its record.
"""

import asyncio
import os
import queue
import stat
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import structlog

from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.record.limits import QueueLimits

_FLUSH: Final = 0.01
_RETRY: Final = 0.25
# Lines for which a write does not wait for the moment to be over; and what one write takes along.
_BATCH: Final = 1_000
_MOST_BYTES: Final = 1 << 20
_NEWLINE: Final = ord("\n")
_FAILED: Final = "decision records cannot be written"

_log = structlog.get_logger()


class RecordFailedError(Exception):
    """A record could not be written."""


class _Line(NamedTuple):
    """`done`: somebody waits. `kept`: the decision is given whatever happens, so the line is tried until it stands."""

    data: bytes
    done: asyncio.Future[None] | None
    kept: bool

    @property
    def given_up(self) -> bool:
        """Whoever waited was told no, so that a record of it would tell of a decision that was not given."""
        return self.done is not None and not self.kept and self.done.done()


class RecordWriter:
    """Appends lines; `path` None is stdout.

    All but `_work` and what it calls runs on the event loop.
    """

    def __init__(self, path: Path | None, *, fsync: bool, limits: QueueLimits | None = None) -> None:
        self._descriptor = (
            sys.stdout.fileno() if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        )
        self._owned = path is not None
        self._fsync = fsync and stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self._torn = path is not None and _ends_torn(path)
        self._limits = limits or QueueLimits()
        self._waiting: list[_Line] = []
        self._flying: list[_Line] = []
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._failure: str | None = None
        # A full disk must not fill the log too.
        self._limited = LogLimit()
        self._logged = 0
        # Set whenever a write has returned, or does not.
        self._moved = asyncio.Event()
        self._inbox: queue.SimpleQueue[list[_Line] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="records", daemon=True)
        self.written = 0
        self.lost = 0
        self.held = 0
        self.held_bytes = 0

    async def __aenter__(self) -> Self:
        """Start writing."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what is waiting, for as long as a decision would wait, then stop."""
        until = self._loop.time() + self._limits.timeout
        while self.held and self._loop.time() < until:
            self._launch()
            await asyncio.sleep(_FLUSH)
        for timer in (self._timer, self._stall):
            if timer is not None:
                timer.cancel()
        stuck = bool(self._flying)
        if self.held:
            self._lose(self.held, self._failure or "stopped before a write returned")
        if self.lost > self._logged:
            # The last line of all, so there is no later one that could say it.
            _log.error(_FAILED, **self._facts())
        self._inbox.put(None)
        if not stuck:
            self._thread.join()
            if self._owned:
                os.close(self._descriptor)

    @property
    def failing(self) -> str | None:
        """Why the latest write failed, or that it does not return; None while all is well."""
        return self._failure

    @property
    def waits(self) -> bool:
        """`write` returns only when a line is written, though it need not be."""
        return self._limits.first or (self._failure is not None and self._limits.required)

    def take(self, line: bytes) -> bool:
        """Take one line for which nobody need wait; False where only `write` can tell what becomes of it."""
        if self.waits or not self._fits(line):
            return False
        self._soon(line)
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
                # A write that does not return: whoever comes now would wait in vain.
                self._lose(1, self._failure or "")
                raise RecordFailedError(self._failure)
            await self._written(line, kept=kept)
            return
        self._soon(line)

    def _soon(self, line: bytes) -> None:
        self._put(_Line(line, None, kept=True))
        if not self._flying:
            if len(self._waiting) >= _BATCH:
                self._launch()
            elif self._timer is None:
                self._timer = self._loop.call_later(_FLUSH, self._launch)

    async def _written(self, line: bytes, *, kept: bool) -> None:
        done: asyncio.Future[None] = self._loop.create_future()
        self._put(_Line(line, done, kept))
        self._launch()
        late = self._loop.call_later(self._limits.timeout, _expire, done, kept)
        try:
            await done
        finally:
            late.cancel()

    def _fits(self, line: bytes) -> bool:
        return self.held < self._limits.records and self.held_bytes + len(line) <= self._limits.size

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

    def _put(self, line: _Line) -> None:
        self._waiting.append(line)
        self.held += 1
        self.held_bytes += len(line.data)

    def _drop(self, line: _Line) -> None:
        self.held -= 1
        self.held_bytes -= len(line.data)

    def _launch(self) -> None:
        """Hand the next batch to the thread, if that is idle."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._flying:
            return
        size = taken = 0
        for line in self._waiting:
            taken += 1
            if line.given_up:
                self._drop(line)
                self._lose(1, self._failure or "the record was not written in time")
                continue
            self._flying.append(line)
            size += len(line.data)
            if size >= _MOST_BYTES:
                break
        del self._waiting[:taken]
        if self._flying:
            self._stall = self._loop.call_later(self._limits.timeout, self._stalled)
            self._inbox.put(self._flying)

    def _stalled(self) -> None:
        self._stall = None
        self._failure = f"a write has not returned for {self._limits.timeout:g} s"
        self._moved.set()
        self._refuse()
        self._complain()

    def _settle(self, batch: list[_Line], written: int, error: OSError | None) -> None:
        """Tell those who wait what became of a batch of which so many bytes were written."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self._moved.set()
        self._flying = []
        whole = len(batch) if error is None else _whole(batch, written)
        for line in batch[:whole]:
            self._drop(line)
            if line.done is not None and not line.done.done():
                line.done.set_result(None)
        self.written += whole
        if error is None:
            if self._failure is not None:
                self._failure = None
                _log.info("decision records are being written again", lost=self.lost, waiting=self.held)
            if self._waiting:
                self._launch()
            return
        self._failure = str(error)
        self._waiting[:0] = batch[whole:]
        self._refuse()
        self._complain()
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_later(_RETRY, self._launch)

    def _refuse(self) -> None:
        """Writing fails: keep the lines of decisions that are given, and tell all others."""
        failure = self._failure or ""
        kept: list[_Line] = []
        for line in self._waiting:
            if line.kept:
                kept.append(line)
                if line.done is not None and not line.done.done():
                    line.done.set_result(None)
                continue
            self._drop(line)
            self._lose(1, failure)
            if line.done is not None and not line.done.done():
                line.done.set_exception(RecordFailedError(failure))
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

    def _work(self) -> None:
        while (batch := self._inbox.get()) is not None:
            written, error = self._append(b"".join([line.data for line in batch]))
            try:
                self._loop.call_soon_threadsafe(self._settle, batch, written, error)
            except RuntimeError:
                # The loop has ended: this write was stuck for longer than stopping may take.
                return

    def _append(self, data: bytes) -> tuple[int, OSError | None]:
        """Write; return how many bytes of `data` were, and what stopped it."""
        # What a full disk cut off is ended first, so that it spoils no line but its own.
        ended = int(self._torn)
        view = memoryview(b"\n" + data if ended else data)
        done = 0
        try:
            while done < len(view):
                done += os.write(self._descriptor, view[done:])
                self._torn = view[done - 1] != _NEWLINE
            if self._fsync:
                os.fsync(self._descriptor)
        except OSError as error:
            # Lines that stand but are not on the disk for certain are written again rather than lost.
            return (0 if done == len(view) else max(0, done - ended)), error
        return len(data), None


def _whole(batch: list[_Line], written: int) -> int:
    """Return how many lines of a batch so many bytes hold whole."""
    for index, line in enumerate(batch):
        written -= len(line.data)
        if written < 0:
            return index
    return len(batch)


def _expire(done: asyncio.Future[None], kept: bool) -> None:  # noqa: FBT001 - call_later takes no keywords
    if not done.done():
        done.set_result(None) if kept else done.set_exception(RecordFailedError("the record was not written in time"))


def _ends_torn(path: Path) -> bool:
    """Tell whether a file ends within a line, as a process that was killed while it wrote leaves it."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        return file.read(1) not in {b"", b"\n"}
