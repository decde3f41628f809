"""Cores: who runs where, what a process used of them, and how much others used meanwhile.

Standing: under everything that starts a process. Holds: a process is pinned before its first instruction, since some
runtimes count their cores only once; on a system without pinning it says so in `describe`, and never fails.
"""

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_CAN_PIN: Final = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the servers and the one of the load; both None where pinning is not to be had."""

    server: int | None
    load: int | None

    @classmethod
    def choose(cls) -> "Cores":
        """Take the last two cores that we may use: interrupts mostly come to the first."""
        allowed = sorted(os.sched_getaffinity(0)) if _CAN_PIN else []
        return cls(allowed[-2], allowed[-1]) if len(allowed) > 1 else cls(None, None)


def usable() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if _CAN_PIN else os.cpu_count() or 1


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Have whatever is started within run on this core alone."""
    if not _CAN_PIN or core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process used so far, all its threads; 0 where that cannot be known."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    # proc_pid_stat(5): after the name in brackets, field 3 comes first; user and system time are fields 14 and 15.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process, in MB of 10^6 bytes; 0 where that cannot be known."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True, slots=True)
class Busy:
    """Processor time of the whole machine so far, in seconds over all cores: used, and passed."""

    used: float
    passed: float

    @classmethod
    def now(cls) -> "Busy":
        """Look at the machine; zeros where that cannot be known."""
        try:
            line = (_PROC / "stat").read_text(encoding="ascii").split("\n", 1)[0]
        except OSError:
            return cls(0.0, 0.0)
        # proc_stat(5): user nice system idle iowait irq softirq steal; what guests use is in user already.
        ticks = [int(field) / os.sysconf("SC_CLK_TCK") for field in line.split()[1:9]]
        return cls(sum(ticks) - ticks[3] - ticks[4], sum(ticks))

    def others_since(self, earlier: "Busy", ours: float) -> float:
        """Return the share of the machine, 0 to 1, that was used by others while we used `ours` seconds."""
        passed = self.passed - earlier.passed
        return max(0.0, (self.used - earlier.used - ours) / passed) if passed else 0.0


def describe(cores: Cores) -> str:
    """Say what machine this is."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in (_PROC / "cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    where = (
        "not pinned: this system has no way, or only one core"
        if cores.server is None
        else f"servers on core {cores.server}, load on core {cores.load}"
    )
    return f"{model}, {os.cpu_count()} cores ({where}); {platform.system()} {platform.release()}"
