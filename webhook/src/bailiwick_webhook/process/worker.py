"""Worker slot: which of several processes of one decision point this is, and what it shares with the others.

Standing: made by `parent` for each child. Holds: a process that is alone has no place.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bailiwick_webhook.process.heartbeat import Heartbeat
from bailiwick_webhook.record.turn import WriteTurn

_CGROUP: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class WorkerSlot:
    """`index` from 0; `restarts` so far of this index; the `heartbeat` ties it to the parent."""

    index: int
    restarts: int
    heartbeat: Heartbeat
    turn: WriteTurn

    @property
    def others(self) -> Callable[[], Mapping[str, str]] | None:
        """Tells which others are not ready; None but for the first process, which speaks for all."""
        return None if self.index else self.heartbeat.others


def cores(cgroup: Path = _CGROUP) -> int:
    """Return how many processes can run at once: by the cores that we may use, and the quota of our cgroup."""
    if not hasattr(os, "sched_getaffinity"):
        return 1
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(cgroup)
    return max(1, allowed if quota is None else min(allowed, int(quota)))


def _quota(cgroup: Path) -> float | None:
    """Return for how many cores' worth of time the quota is; None without one. A container sees its own cgroup here."""
    # Version 2, then version 1, where -1 is no limit.
    for names in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            limit, period = " ".join((cgroup / name).read_text(encoding="ascii") for name in names).split()
            found = int(limit) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue
        return found if found > 0 else None
    return None
