"""The reaper: a small process that ends a control plane whose owner died without stopping it.

Standing: run as `python -m localcluster.reaper`, one for each control plane started as a library. It holds
the reading end of a pipe; when the owner dies, however it dies, the pipe closes and the reaper ends what
it was given. A signal on the parent's death would do less: it comes when the *thread* that started the
process ends, and only Linux has it.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final

from localcluster.process import ProcessId, kill

_PACKAGE_PARENT: Final = Path(__file__).resolve().parent.parent
_RELEASE: Final = "release"


class Reaper:
    """The owner's end of the pipe."""

    def __init__(self, *folders: Path) -> None:
        """Start the watching process; the folders go away together with what it is given, in this order.

        A control group may be among them: of it and of those below it only the folders can be removed, and are.
        """
        self._watcher = subprocess.Popen(  # noqa: S603 - our own module, run by the Python that runs us
            [sys.executable, "-m", __name__, *map(str, folders)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(_PACKAGE_PARENT)},
            start_new_session=True,
        )

    def add(self, process: ProcessId) -> None:
        """Have a process ended with the owner. Call it right after the start."""
        pipe = self._pipe()
        pipe.write(f"{process.pid} {process.started}\n".encode())
        pipe.flush()

    def release(self) -> None:
        """Let everything that it was given live on, and end the watcher."""
        # Broken where somebody ended the watcher; then it has nothing left to end.
        with contextlib.suppress(BrokenPipeError):
            self._pipe().write(f"{_RELEASE}\n".encode())
            self._pipe().close()
        self._watcher.wait()

    def _pipe(self) -> IO[bytes]:
        if self._watcher.stdin is None:  # pragma: no cover - Popen was asked for a pipe
            raise AssertionError
        return self._watcher.stdin


def watch(lines: Iterable[str], folders: Iterable[str]) -> None:
    """Read processes until the owner is gone, then end those that still run, and remove the folders."""
    given: list[ProcessId] = []
    for line in lines:
        pid, _, started = line.strip().partition(" ")
        if pid == _RELEASE:
            return
        given.append(ProcessId(int(pid), started))
    kill(given)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    watch(sys.stdin, sys.argv[1:])
