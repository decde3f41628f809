"""Place: which of several processes of one decision point this is, and what it shares with the others.

Standing: made by `processes`, the parent, for each child. Holds: a process that is alone has no place.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bailiwick_webhook.record.turn import Turn

_SERVING: Final = b"."
_TURNING: Final = b"-"
BEAT_SECONDS: Final = 1.0
"""How often a process tells its parent that its loop turns."""
_CGROUP: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Place:
    """`index` from 0; `restarts` so far of this index; `leash` is our end of a pair whose other end the parent has."""

    index: int
    restarts: int
    leash: socket.socket
    turn: Turn

    def follow(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], object]) -> None:
        """Call `stop` when the parent is gone, however it went: its end of the leash is closed with it."""

        def gone() -> None:
            loop.remove_reader(self.leash)
            stop()

        loop.add_reader(self.leash, gone)

    def tell_serving(self) -> None:
        """Tell the parent that we listen."""
        self._tell(_SERVING)

    async def beat(self) -> None:
        """Tell the parent that our loop turns, until cancelled."""
        while True:
            self._tell(_TURNING)
            await asyncio.sleep(BEAT_SECONDS)

    def _tell(self, word: bytes) -> None:
        # A parent that stands still does not keep us from deciding, and one that is gone shows in `follow`.
        with contextlib.suppress(OSError):
            self.leash.send(word, socket.MSG_DONTWAIT)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a child told since it was last listened to: that its loop turns, that it listens."""

    turning: bool
    serving: bool


def heard(leash: socket.socket) -> Heard:
    """Return what the child at the other end told since the last time. The end must not block."""
    words = b""
    with contextlib.suppress(OSError):
        while more := leash.recv(4096):
            words += more
    return Heard(bool(words), _SERVING in words)


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
