"""Priorities: what runs on other machines than the process under test leaves it the processor.

Holds: where the kernel groups processes by session (`man 7 sched`, the autogroup feature), the priority of a process
counts within its session alone, so that of the session is set as well.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

# Priorities (nice) of what would run elsewhere; and of what would as well, but ends where it waits for too long, as who
# renews a lease does.
ELSEWHERE: Final = 15
IN_TIME: Final = 5
_TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.1


def yield_processor(*pids: int, nice: int = ELSEWHERE) -> None:
    """Let these processes, each of a session of its own, have what others leave."""
    for pid in pids:
        process = Path(f"/proc/{pid}")
        # A thread has a priority of its own, and gives it to the threads that it starts.
        for task in (process / "task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(task.name), nice)
        _yield_session(process / "autogroup", nice)


@contextlib.contextmanager
def core_apart() -> Iterator[Callable[[int], None]]:
    """Leave a core of this machine alone, with all that is started meanwhile; yields what puts a process there.

    So a process has a core as its CPU request gives it one on a node. On a machine with one core this does nothing.
    """
    before = os.sched_getaffinity(0)
    apart, others = {max(before)}, before - {max(before)}

    def put(pid: int) -> None:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), apart)

    os.sched_setaffinity(0, others or before)
    try:
        yield put
    finally:
        os.sched_setaffinity(0, before)


def _yield_session(group: Path, nice: int) -> None:
    for _ in range(_TRIES):
        if not group.exists():
            return
        try:
            group.write_text(f"{nice}", encoding="ascii")
        except BlockingIOError:
            # Who is not root may do so ten times a second, all processes of the machine together.
            time.sleep(_PAUSE_SECONDS)
        else:
            return
