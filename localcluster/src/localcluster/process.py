"""One process of the test bed: start it, know it again later, end it.

Standing: knows nothing of Kubernetes; imports only the standard library, because `reaper` runs on it alone.
A process is always named by pid *and* start time: a pid that the system gave to somebody else since is
never signalled. Nothing is ever ended by its name.
"""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_POLL_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A pid and when that process started, in the words of the system that runs it."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """Name the process that has this pid now; None where there is none."""
        started = _start_time(pid)
        return None if started is None else cls(pid, started)

    @property
    def alive(self) -> bool:
        """Whether this very process still runs. One that ended but is not yet reaped does not."""
        return _start_time(self.pid) == self.started

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to this very process; False where it is gone."""
        try:
            return self._send(number)
        except ProcessLookupError:
            return False

    def _send(self, number: signal.Signals) -> bool:
        descriptor = _hold(self.pid)
        if descriptor is None:
            if alive := self.alive:
                os.kill(self.pid, number)
            return alive
        # The descriptor holds on to one process: nothing can slip in between the check and the signal.
        try:
            if not self.alive:
                return False
            signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
        return True


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process that this Python process started."""

    name: str
    id: ProcessId
    log: Path
    handle: subprocess.Popen[bytes]
    # Where its own words begin in the log, which an earlier process of that name may have begun.
    log_offset: int = 0

    @property
    def alive(self) -> bool:
        """Whether it still runs; reaps it where it does not."""
        return self.handle.poll() is None

    def last_words(self, lines: int = 15) -> str:
        """Return the end of what it logged."""
        return tail(self.log, lines, self.log_offset)


_spawned: Final[deque[RunningProcess]] = deque(maxlen=64)


def spawn(
    name: str, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> RunningProcess:
    """Start a command in a session of its own, its output appended to `log`.

    In a session of its own, because a Ctrl-C meant for the tests must not reach the API server before
    the tests have cleaned up.
    """
    with log.open("ab") as output:
        offset = output.tell()
        handle = subprocess.Popen(  # noqa: S603 - the command is a binary that we built, with our own flags
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            start_new_session=True,
        )
    # A child that has already ended is still there as a zombie until `poll`, but without a start time.
    begun = RunningProcess(name, ProcessId.of(handle.pid) or ProcessId(handle.pid, "ended"), log, handle, offset)
    _spawned.append(begun)
    return begun


def spawned() -> list[RunningProcess]:
    """Return the last processes that were started here and whose logs are still there, for the message of an error."""
    return [one for one in _spawned if one.log.exists()]


def stop(processes: Iterable[ProcessId], grace: float = 10.0) -> None:
    """End all of these: SIGTERM at once to all, SIGKILL to what is left after `grace` seconds."""
    left = [process for process in processes if process.send(signal.SIGTERM)]
    for process in left:
        # A paused process would never see the SIGTERM.
        process.send(signal.SIGCONT)
    left = _wait_until_gone(left, grace)
    for process in left:
        process.send(signal.SIGKILL)
    _wait_until_gone(left, grace)


def kill(processes: Iterable[ProcessId]) -> None:
    """End all of these without asking, as a power cut would."""
    _wait_until_gone([process for process in processes if process.send(signal.SIGKILL)], 10.0)


def tail(log: Path, lines: int = 15, offset: int = 0) -> str:
    """Return the last lines of a log, from an offset in bytes on, indented for an error message."""
    try:
        text = log.read_bytes()[offset:].decode(errors="replace")
    except FileNotFoundError:
        return "    (no log was written)"
    last = [line for line in text.splitlines() if line.strip()][-lines:]
    return "\n".join(f"    {line}" for line in last) or "    (the log is empty)"


def _hold(pid: int) -> int | None:
    """Open a descriptor of a process, where the system has such a thing and lets us."""
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        return None


def _wait_until_gone(processes: list[ProcessId], seconds: float) -> list[ProcessId]:
    deadline = time.monotonic() + seconds
    while (processes := [process for process in processes if process.alive]) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return processes


def _start_time(pid: int) -> str | None:
    return _start_time_by_proc(pid) if sys.platform == "linux" else _start_time_by_ps(pid)


def _start_time_by_proc(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc_pid_stat(5): the name in brackets may hold anything, so count from the last bracket:
    # field 3 (state) comes first, field 22 (start, in ticks since boot) is the 20th.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in {"Z", "X"}:
        return None
    return f"{_BOOT_ID.read_text(encoding='ascii').strip()}/{fields[19]}"


def _start_time_by_ps(pid: int) -> str | None:
    answer = subprocess.run(  # noqa: S603 - fixed command, a number as its argument
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None
