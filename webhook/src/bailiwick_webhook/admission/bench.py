"""The bench: one worker process that compiles the policies of reviews, one after the other, and the line before it.

Standing: under `http.admission`. The worker is started by the first review, ended when nobody has asked for a while,
and started anew after it died. Not a pool of `concurrent.futures`: that cannot end a task that takes too long, and
unpickles what comes back from a process that has read anybody's bytes.
Holds: the loop compiles nothing; as many reviews wait as `line` lets, and how many bytes of them is for who asks to
bound; a caller is answered by its own deadline, nobody's policy occupies the worker for longer than `MOST_SECONDS`, and
no namespace has it for longer than another.
"""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine
from typing import Final

import msgspec
import structlog

from bailiwick_engine.budget.ledger import Budget
from bailiwick_webhook.admission.line import NOBODY, BusyError, Line, Share
from bailiwick_webhook.admission.review import Finding
from bailiwick_webhook.admission.worker import HEAD, decode

MOST_WAITING: Final = 16
MOST_SECONDS: Final = 3.0
IDLE_SECONDS: Final = 300.0
COMMAND: Final = (sys.executable, "-m", "bailiwick_webhook.admission.worker")


def command(budget: Budget) -> tuple[str, ...]:
    """Return the command of a worker that compiles no policy which is larger than one may be."""
    return (*COMMAND, f"{budget.policy}")


__all__ = ["BusyError", "LostError", "PolicyExaminer", "Share"]

_log = structlog.get_logger()


class LostError(Exception):
    """The worker died of this policy, took too long over it, or could not be started."""


class PolicyExaminer:
    """Examines. Lives in one loop; durations are in seconds."""

    def __init__(
        self, command: tuple[str, ...] = COMMAND, *, seconds: float = MOST_SECONDS, idle: float = IDLE_SECONDS
    ) -> None:
        self._command = command
        self._seconds = seconds
        self._idle = idle
        self._line = Line(MOST_WAITING)
        self._process: Process | None = None
        self._tasks: set[asyncio.Task[Finding]] = set()
        self._resting: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process; None while there is none."""
        return None if self._process is None else self._process.pid

    async def examine(self, raw: bytes | bytearray, until: float, share: Share = NOBODY) -> Finding:
        """Return what a review comes to; `until` is a time of the loop.

        Raises `BusyError`, `TimeoutError` where it would be too late, and `LostError`.
        """
        async with asyncio.timeout_at(until):
            await self._line.turn(share)
        # The turn goes over to the task: where the caller goes first, its answer must not become the next one's.
        work = self._begin(self._worked(raw, share))
        async with asyncio.timeout_at(until):
            return await asyncio.shield(work)

    async def close(self) -> None:
        """End the worker."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._stay()
        await self._end()

    async def _worked(self, raw: bytes | bytearray, share: Share) -> Finding:
        self._stay()
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._seconds):
                return await self._asked(raw)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
            code = None if self._process is None else self._process.returncode
            _log.error("policy could not be compiled", error=type(error).__name__, code=code, bytes=len(raw))
            await self._end()
            raise LostError from error
        except asyncio.CancelledError:
            await self._end()
            raise
        finally:
            self._line.done(share, asyncio.get_running_loop().time() - began)
            self._resting = asyncio.get_running_loop().call_later(self._idle, self._rest)

    async def _asked(self, raw: bytes | bytearray) -> Finding:
        before = self.pid
        try:
            return await self._asked_once(raw)
        except (OSError, asyncio.IncompleteReadError):
            if before is None or before != self.pid:
                raise
        # It may have been dead already, of which we had not heard. Of a policy that ends workers this is the second.
        await self._end()
        return await self._asked_once(raw)

    async def _asked_once(self, raw: bytes | bytearray) -> Finding:
        process = self._process
        if process is None or process.returncode is not None:
            # Apart from our own session: what a terminal sends to us is not meant for it.
            process = self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, start_new_session=True
            )
        given, told = process.stdin, process.stdout
        if given is None or told is None:
            raise LostError
        given.write(len(raw).to_bytes(HEAD, "big"))
        given.write(raw)
        await given.drain()
        head = await told.readexactly(HEAD)
        return decode(await told.readexactly(int.from_bytes(head, "big")))

    def _begin(self, work: Coroutine[object, object, Finding]) -> asyncio.Task[Finding]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Finding]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Whoever asked may be gone: then nobody else looks at it.
            task.exception()

    def _stay(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def _rest(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    async def _end(self) -> None:
        process = self._process
        self._rest()
        if process is not None:
            await process.wait()
