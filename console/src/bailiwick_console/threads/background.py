"""Work that takes longer than a page may wait: it goes on in a thread of its own, and pages tell how far it is.

Holds: what it came to is kept until it is begun again, and so is why it failed; the threads are daemons, so that no
work that takes long keeps a terminal.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from bailiwick_console.threads.calls import tell_loop
from bailiwick_governance.errors import UserError

Found = TypeVar("Found")
Kept = TypeVar("Kept")


class WorkProgress:
    """How far a work is. `what`: what it does now; `done` of `total`, in bytes; `total` 0: not known."""

    def __init__(self) -> None:
        self.what = "Beginning"
        self.done = self.total = 0
        self._given_up = False

    def begin(self, what: str, total: int) -> None:
        """Begin another part of it."""
        self.what, self.done, self.total = what, 0, total

    def give_up(self) -> None:
        """Have the work end soon: its result is not wanted any more."""
        self._given_up = True

    def heard(self, count: int) -> None:
        """Take that so many more bytes are done. Raises `UserError` where the result is not wanted any more."""
        if self._given_up:
            raise UserError("this was stopped for a newer request: ask for it again")
        self.done += count

    @property
    def summary(self) -> str:
        """How far it is, in words."""
        if not self.total:
            return self.what
        # A file may have grown since it was measured.
        return f"{self.what}: {min(100 * self.done // self.total, 100)} % of {max(self.total >> 20, 1)} MiB"


class BackgroundWork(Generic[Found]):
    """One work, which begins at once. `began`: when, in seconds since the epoch."""

    def __init__(self, work: Callable[[WorkProgress], Found]) -> None:
        self.progress = WorkProgress()
        self.began = time.time()
        self._work = work
        self._over = threading.Event()
        self._found: list[Found] = []
        self._error: BaseException | None = None
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="console-work", daemon=True).start()

    @property
    def over(self) -> bool:
        """Whether it is done, or has failed."""
        return self._over.is_set()

    def result(self) -> Found:
        """Return what it came to, or raise what it raised. It has to be over."""
        if self._error is not None:
            raise self._error
        return self._found[0]

    async def wait(self, seconds: float) -> bool:
        """Wait until it is over, at most so long; tells whether it is."""
        event = asyncio.Event()
        with self._lock:
            if self.over:
                return True
            self._waiters.append((asyncio.get_running_loop(), event))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)
        return self.over

    def _run(self) -> None:
        try:
            self._found.append(self._work(self.progress))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is shown to the person
            self._error = error
        with self._lock:
            self._over.set()
            waiters, self._waiters = self._waiters, []
        for loop, event in waiters:
            tell_loop(loop, event.set)


class WorkShelf:
    """What pages of one person keep between requests: one thing of each class, made when it is first asked for."""

    def __init__(self) -> None:
        self._kept: dict[type[Any], Any] = {}

    def get(self, kind: type[Kept]) -> Kept:
        """Return the thing of a class, which is made without arguments."""
        found: Kept = self._kept.setdefault(kind, kind())
        return found
