"""The thread that writes: it numbers the lines of a batch in their chain, and appends them to the file.

Standing: under `writer`, which hands it one batch after the other, and which it tells on the event loop what became of
each. Holds: numbers and file are this thread's alone. A write that fails is reported with its batch; anything else is a
defect, after which nothing is recorded any more, so it ends the thread, and `broken` ends the process.
"""

import asyncio
import queue
import threading
from collections.abc import Callable

from msgspec import structs

from bailiwick_webhook.record.writing.chainlog import ChainLog
from bailiwick_webhook.record.writing.linefile import LineFile, begun_lines, whole_lines
from bailiwick_webhook.record.writing.waitingline import WaitingLine

_Settle = Callable[[list[WaitingLine], list[WaitingLine], OSError | None], None]


class RecordingBrokenError(Exception):
    """A defect ended the thread that writes. Its text has the kind of the defect alone, its traceback where it was."""


class RecordThread:
    """Writes what `write` is given. `settle` hears of each batch which lines at its end are left, and what stopped it.

    All but `_work` and what it calls runs on the event loop.
    """

    broken: asyncio.Future[None]
    """Never done, but by the `RecordingBrokenError` that tells of the end of the thread."""

    def __init__(self, file: LineFile, chain: ChainLog | None, settle: _Settle) -> None:
        self._file = file
        self._chain = chain
        self._settle = settle
        self._inbox: queue.SimpleQueue[list[WaitingLine] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="records", daemon=True)

    def start(self) -> None:
        """Begin, for the loop that runs."""
        self._loop = asyncio.get_running_loop()
        self.broken = self._loop.create_future()
        self._thread.start()

    def write(self, batch: list[WaitingLine]) -> None:
        """Write a batch, once the one before it is settled."""
        self._inbox.put(batch)

    def end(self, *, stuck: bool) -> None:
        """End it, and close the file; not where a write is `stuck`, which is not waited for."""
        self._inbox.put(None)
        if not stuck:
            self._thread.join()
            self._file.close()

    def _work(self) -> None:
        while (batch := self._inbox.get()) is not None:
            try:
                left, error = self._append(batch)
            except BaseException as defect:  # noqa: BLE001 - it is not held back: the process ends by it
                self._tell(self._break, defect)
                return
            if not self._tell(self._settle, batch, left, error):
                return

    def _tell(self, told: Callable[..., None], *what: object) -> bool:
        try:
            self._loop.call_soon_threadsafe(told, *what)
        except RuntimeError:
            # The loop has ended: this write was stuck for longer than stopping may take.
            return False
        return True

    def _break(self, defect: BaseException) -> None:
        # Not the defect itself: its text may hold of a record what no log is to hold.
        told = RecordingBrokenError(f"a defect ended the writing: {type(defect).__name__}")
        self.broken.set_exception(told.with_traceback(defect.__traceback__))

    def _append(self, batch: list[WaitingLine]) -> tuple[list[WaitingLine], OSError | None]:
        """Write; return which lines are left, and what stopped it."""
        chain = self._chain
        made = [one.data for one in batch] if chain is None else chain.number((one.data, one.numbered) for one in batch)
        done = self._file.append(made)
        whole = len(made) if done.error is None else whole_lines(made, done.certain)
        if chain is None:
            return batch[whole:], done.error
        chain.stand(made, whole)
        if done.error is None:
            return [], None
        some = begun_lines(made, done.reached)
        numbered = [structs.replace(line, numbered=made[at]) for at, line in enumerate(batch[:some])]
        return [*numbered, *batch[some:]][whole:], done.error
