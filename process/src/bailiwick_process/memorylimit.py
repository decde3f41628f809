"""A limit on the memory of a child process, which it sets on itself once it has imported what it needs.

Holds: beyond the limit an allocation fails in this process, and the kernel ends it before its parent.
"""

import resource
import sys
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_FIRST_TO_END: Final = Path("/proc/self/oom_score_adj")


def limit_memory(more: int) -> None:
    """Limit this process to so many bytes more than it holds. Where there is no /proc, memory is not limited."""
    if _STATUS.exists():
        most = _bytes_of_data() + more
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        _FIRST_TO_END.write_text("1000")


def memory_left() -> int:
    """Return how many bytes more this process may take. Where its memory is not limited, they are many."""
    most = resource.getrlimit(resource.RLIMIT_DATA)[0]
    return sys.maxsize if most == resource.RLIM_INFINITY or not _STATUS.exists() else most - _bytes_of_data()


def _bytes_of_data() -> int:
    """Return what this process holds that it could write to."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) << 10
