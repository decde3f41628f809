"""Running `kubectl bailiwick` as a process of its own, as somebody, with a terminal or without."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROGRAM: Final = (sys.executable, "-P", "-m", "bailiwick_cli")
TIMEOUT: Final = 60.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended. At a terminal, `err` is all that was on it."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit {self.code}\n{self.out}\n{self.err}"


def run(*arguments: str, kubeconfig: Path | None = None, env: Mapping[str, str] | None = None, given: str = "") -> Ran:
    """Run without a terminal; `given` is its standard input."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        env=environment(kubeconfig, env),
        input=given,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def run_at_terminal(*arguments: str, kubeconfig: Path, typed: str | Callable[[], str], after: str) -> Ran:
    """Run at a terminal, and type this (or what this then returns) when that is on it."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        env=environment(kubeconfig),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        close_fds=True,
    )
    os.close(theirs)
    seen, sent, deadline = "", False, time.monotonic() + TIMEOUT
    with process:
        try:
            while time.monotonic() < deadline:
                if select.select([ours], [], [], 0.1)[0]:
                    try:
                        chunk = os.read(ours, 65536)
                    except OSError:
                        # So Linux tells that nobody has the other end any more.
                        break
                    if not chunk:
                        break
                    seen += chunk.decode()
                if not sent and after in seen:
                    os.write(ours, (typed if isinstance(typed, str) else typed()).encode())
                    sent = True
            out, _ = process.communicate(timeout=TIMEOUT)
        finally:
            # It still runs where `typed` failed, and would be found by whichever test is running when it is collected.
            process.kill()
            os.close(ours)
    return Ran(process.returncode, out.decode(), seen)


def environment(kubeconfig: Path | None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return our environment with this kubeconfig and no other."""
    kept = {name: value for name, value in os.environ.items() if name not in {"KUBECONFIG", "NO_COLOR", "FORCE_COLOR"}}
    return kept | ({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}) | dict(more or {})
