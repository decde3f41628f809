"""A command of the command line run to its end, as a row: how long it took, what of a processor, what memory.

Standing: under the sections on logs and on policies.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.rig.results import Row

COLUMNS: Final = ("lines", "s", "CPU s", "lines a CPU second", "peak MB", "budget")
_KIBI: Final = 1024
_LOOK_SECONDS: Final = 0.02


def run_command(name: str, words: Sequence[str], count: int, budget: str, *, exits: int = 0) -> Row:
    """Return what a command over so many lines, cases or policies took; a missing row, where it does not exit so."""
    began = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-P", "-m", "bailiwick_cli", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    # What the kernel tells of a child in the end counts the memory of this process too, which made it.
    peak = _most_resident(process.pid)
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        time.sleep(_LOOK_SECONDS)
        peak = max(peak, _most_resident(process.pid))
    _, status, used = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    taken, cpu = time.monotonic() - began, used.ru_utime + used.ru_stime
    if process.returncode != exits:
        return Row(name, missing=f"{words[0]} exited with {process.returncode}")
    cells = (f"{count:,}", f"{taken:.1f}", f"{cpu:.1f}", f"{count / cpu:,.0f}", f"{peak:.0f}", budget)
    return Row(name, cells, data={"lines": count, "s": taken, "cpu_s": cpu, "peak_mb": peak})


def _most_resident(pid: int) -> float:
    """Return the most memory that a process held since its program began, in MB of 2^20 bytes; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / _KIBI for line in lines if line.startswith("VmHWM:")), 0.0)
