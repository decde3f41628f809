"""The bench: one worker process that compiles the policies of reviews, one after the other, and the line before it.

Standing: under `http.admission`. The worker is started by the first review, ended when no review has come for a while,
and started again after it died. Not a pool of `concurrent.futures`: that cannot end a task that takes too long, and
unpickles what comes back from a process that has read anybody's bytes.
A finding may be followed by warnings, which may come late or never: then it stands as it is.
Holds: the loop compiles nothing; as many reviews wait as `line` lets, and how many bytes of them is for who asks to
bound; a caller is answered by its own deadline, no policy occupies the worker for longer than `MOST_SECONDS` and
`COMPARED_SECONDS` while another review waits for it, and no namespace has it for longer than another. That time begins
when the worker is there.
"""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine
from typing import Final

import msgspec
import structlog
from msgspec import structs

from bailiwick_engine.budget.ledger import Budget
from bailiwick_webhook.admission.line import NOBODY, BusyError, Line, Share
from bailiwick_webhook.admission.review import Finding, PolicyFinding
from bailiwick_webhook.admission.worker import HEAD, decode, decode_warnings
from bailiwick_webhook.loglimit import LogLimit

MOST_WAITING: Final = 16
START_SECONDS: Final = 30.0
"""Until a worker is there: a second, or many where the cores are short, which is no policy's fault."""
MOST_SECONDS: Final = 3.0
COMPARED_SECONDS: Final = 1.0
"""For so long warnings are waited for. The worker gives up by itself long before, unless something is wrong with it."""
IDLE_SECONDS: Final = 300.0
_END_SECONDS: Final = 5.0
"""So long a worker that was killed is waited for: one may be in the kernel, and the loop may never hear of its end."""
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
        self,
        command: tuple[str, ...] = COMMAND,
        *,
        seconds: float = MOST_SECONDS,
        compared: float = COMPARED_SECONDS,
        idle: float = IDLE_SECONDS,
    ) -> None:
        self._command = command
        self._seconds = seconds
        self._compared_seconds = compared
        self._idle = idle
        self._line = Line(MOST_WAITING)
        self._limited = LogLimit()
        self._process: Process | None = None
        self._ending: set[Process] = set()
        self._closed = False
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
        if self._closed:
            self._line.done(share, 0.0)
            raise LostError
        # The turn goes over to the task: where the caller goes first, its answer must not become the next one's.
        known: list[Finding] = []
        work = self._begin(self._worked(raw, share, until, known))
        try:
            async with asyncio.timeout_at(until):
                return await asyncio.shield(work)
        except TimeoutError:
            # What it lets further is still being compared: no policy is refused for that.
            if known:
                return known[0]
            raise

    async def close(self) -> None:
        """End the worker. A review that waits for a turn then gets none."""
        self._closed = True
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._stay()
        await self._end()

    async def _worked(self, raw: bytes | bytearray, share: Share, until: float, known: list[Finding]) -> Finding:
        self._stay()
        began = asyncio.get_running_loop().time()
        try:
            finding = await self._ask_worker(raw, until)
            known.append(finding)
            return await self._followed(finding) if isinstance(finding, PolicyFinding) else finding
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

    async def _ask_worker(self, raw: bytes | bytearray, until: float) -> Finding:
        before = self.pid
        try:
            return await self._asked_once(raw, until)
        except TimeoutError:
            # It lives, and would take as long again.
            raise
        except (OSError, asyncio.IncompleteReadError):
            if before is None or before != self.pid:
                raise
        # It may have been dead already, of which we had not heard. Of a policy that ends workers this is the second.
        await self._end()
        return await self._asked_once(raw, until)

    async def _asked_once(self, raw: bytes | bytearray, until: float) -> Finding:
        given, told = await self._worker()
        asking = asyncio.ensure_future(_exchange(given, told, raw))
        try:
            return decode(await self._in_time(asking, until))
        finally:
            asking.cancel()

    async def _in_time(self, asking: asyncio.Future[bytes], until: float) -> bytes:
        """Return what the worker says. Raises `TimeoutError` once the policy has had its time.

        Where the cores are short its time may be too little, which is no policy's fault: it has more while no other
        review waits for the worker, and its caller does.
        """
        wait = self._seconds
        # Not cancelled at the end of a wait: half a frame may be read.
        while not (await asyncio.wait({asking}, timeout=wait))[0]:
            if self._line.crowded or asyncio.get_running_loop().time() >= until:
                raise TimeoutError
            wait = self._seconds / 10
        return asking.result()

    async def _worker(self) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
        """Return how to speak to the worker, which is there."""
        process = self._process
        starts = process is None or process.returncode is not None
        if process is None or starts:
            # Apart from our own session: what a terminal sends to us is not meant for it.
            process = self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, start_new_session=True
            )
        given, told = process.stdin, process.stdout
        if given is None or told is None:
            raise LostError
        if starts:
            async with asyncio.timeout(START_SECONDS):
                # It says so with a frame of nothing.
                await _frame(told)
        return given, told

    async def _followed(self, finding: PolicyFinding) -> PolicyFinding:
        """Return the finding with the warnings that follow it; as it is where they do not come."""
        told = None if self._process is None else self._process.stdout
        if not finding.follows or told is None:
            return finding
        try:
            async with asyncio.timeout(self._compared_seconds):
                return structs.replace(finding, widening=decode_warnings(await _frame(told)))
        except (TimeoutError, OSError, asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
            # A sender can post such policies as often as it likes.
            self._limited.warning("policy could not be compared", error=type(error).__name__, name=finding.name)
            await self._end()
            return finding

    def _begin(self, work: Coroutine[object, object, Finding]) -> asyncio.Task[Finding]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Finding]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # The caller may be gone: then nothing else looks at it.
            task.exception()

    def _stay(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def _rest(self) -> None:
        process, self._process = self._process, None
        # The loop hears of the end of one that was not waited for all the same.
        self._ending = {one for one in self._ending if one.returncode is None}
        if process is not None and process.returncode is None:
            self._ending.add(process)
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    async def _end(self) -> None:
        self._rest()
        # Of the task that began it too: where that was cancelled, the process must not outlive us unseen.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                for process in tuple(self._ending):
                    await process.wait()


async def _exchange(given: asyncio.StreamWriter, told: asyncio.StreamReader, raw: bytes | bytearray) -> bytes:
    given.write(len(raw).to_bytes(HEAD, "big"))
    given.write(raw)
    await given.drain()
    return await _frame(told)


async def _frame(told: asyncio.StreamReader) -> bytes:
    head = await told.readexactly(HEAD)
    return await told.readexactly(int.from_bytes(head, "big"))
