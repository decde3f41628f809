"""The writer of records: batches, off the event loop, to one append-only file.

Holds: `write` returns only after the line was handed to the operating system (to the disk, with fsync); when it cannot
be, it raises, and the decision that waits for it is not given.
"""

import asyncio
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

_QUEUED = 10_000
_BATCH = 1_000
_NEWLINE = ord("\n")


class RecordFailedError(Exception):
    """A record could not be written."""


class RecordWriter:
    """Appends lines. One task takes what has gathered and writes it in a thread, in order."""

    def __init__(self, path: Path | None, *, fsync: bool) -> None:
        self._descriptor = (
            sys.stdout.fileno() if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        )
        self._owned = path is not None
        self._fsync = fsync
        self._torn = path is not None and _ends_torn(path)
        self._waiting: asyncio.Queue[tuple[bytes, asyncio.Future[None]]] = asyncio.Queue(_QUEUED)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start writing."""
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what is waiting, then stop."""
        await self._waiting.join()
        if self._task is not None:
            self._task.cancel()
        if self._owned:
            os.close(self._descriptor)

    async def write(self, line: bytes) -> None:
        """Append one line and return when it is written. Raises `RecordFailedError`."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._waiting.put((line, done))
        await done

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < _BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            try:
                await loop.run_in_executor(None, self._append, b"".join(line for line, _ in batch))
            except OSError as error:
                failure: RecordFailedError | None = RecordFailedError(str(error))
            else:
                failure = None
            for _, done in batch:
                if not done.done():
                    done.set_result(None) if failure is None else done.set_exception(failure)
                self._waiting.task_done()

    def _append(self, data: bytes) -> None:
        # What a full disk cut off is ended first, so that it spoils no line but its own.
        view = memoryview(b"\n" + data if self._torn else data)
        while view:
            written = os.write(self._descriptor, view)
            self._torn = view[written - 1] != _NEWLINE
            view = view[written:]
        if self._fsync and self._owned:
            os.fsync(self._descriptor)


def _ends_torn(path: Path) -> bool:
    """Tell whether a file ends within a line, as a process that was killed while it wrote leaves it."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        return file.read(1) not in {b"", b"\n"}
