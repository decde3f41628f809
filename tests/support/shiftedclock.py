"""A process of ours whose wall clock a test moves: `python shiftedclock.py FILE MODULE ARGUMENTS...` runs the module.

Holds: FILE says how many seconds the clock is ahead, and is read at every look, so the clock steps while the process
runs; the monotonic clock is left alone, as it is where somebody sets a machine's time. Every `datetime` and `time.time`
of the process is shifted, so a look at the clock that nobody injected is shifted too.
"""

import datetime
import runpy
import sys
import time
from pathlib import Path
from typing import Final

_REAL_TIME: Final = time.time


class Shifter:
    """The clock of one process, as a test sets it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def set(self, seconds: float) -> None:
        """Let the clock be ahead by so much; behind, where it is negative."""
        # Whole or not at all: the process may read at any moment.
        beside = self._file.with_suffix(".new")
        beside.write_text(f"{seconds}")
        beside.replace(self._file)

    def seconds(self) -> float:
        """Return how much it is ahead."""
        return float(self._file.read_text())

    def argv(self, module: str) -> list[str]:
        """Return the command that runs a module by this clock."""
        return [sys.executable, __file__, str(self._file), module]


def _shift(shifter: Shifter) -> None:
    class ShiftedDatetime(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "ShiftedDatetime":
            return cls.fromtimestamp(time.time(), tz)

    datetime.datetime = ShiftedDatetime  # type: ignore[misc]  # in this process alone, before anything of ours is imported
    time.time = lambda: _REAL_TIME() + shifter.seconds()


if __name__ == "__main__":
    _SHIFTER: Final = Shifter(Path(sys.argv[1]))
    sys.argv = sys.argv[2:]
    # Else the folder of this file would be searched for modules.
    del sys.path[0]
    _shift(_SHIFTER)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
