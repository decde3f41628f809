"""Running `kubectl bailiwick` as a process of its own, as somebody, with a terminal or without."""

import atexit
import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster.machineload import stretch

PROGRAM: Final = (sys.executable, "-P", "-m", "bailiwick_cli")
TIMEOUT: Final = 60.0
"""Seconds that a run may take on a machine that has nothing else to do; where it has, `patience` of them."""


def patience() -> float:
    """Return how many seconds a run may take now."""
    return TIMEOUT * stretch()


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
    ran = _SERVER.run(arguments, environment(kubeconfig, env), given)
    return started(*arguments, kubeconfig=kubeconfig, env=env, given=given) if ran is None else ran


def started(
    *arguments: str, kubeconfig: Path | None = None, env: Mapping[str, str] | None = None, given: str = ""
) -> Ran:
    """Run likewise, and start the interpreter for it: for tests of what is imported, and when."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        env=environment(kubeconfig, env),
        input=given,
        capture_output=True,
        text=True,
        timeout=patience(),
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


class CommandServer:
    """The process from which runs are forked; started with the first run, and ended with the tests."""

    def __init__(self) -> None:
        # Whoever runs something while a run is under way starts it.
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return None if self._process is None else self._process.pid

    def run(self, arguments: Sequence[str], env: Mapping[str, str], given: str) -> Ran | None:
        """Run; None while another run is under way."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            with tempfile.TemporaryDirectory() as folder:
                files = {name: Path(folder) / name for name in ("in", "out", "err")}
                for name, file in files.items():
                    file.write_text(given if name == "in" else "", encoding="utf-8")
                seconds = patience()
                order = {
                    "arguments": arguments,
                    "env": dict(env),
                    "folder": str(Path.cwd()),
                    "seconds": seconds,
                    **{name: str(file) for name, file in files.items()},
                }
                code = self._ordered(json.dumps(order))
                out, err = (files[name].read_text(encoding="utf-8") for name in ("out", "err"))
            if code == -signal.SIGALRM:
                raise subprocess.TimeoutExpired(["kubectl-bailiwick", *arguments], seconds, out, err)
            return Ran(code, out, err)
        finally:
            self._lock.release()

    def _ordered(self, order: str) -> int:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("commandserver.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
            )
            atexit.register(self._end)
        ours, theirs = self._process.stdin, self._process.stdout
        assert ours is not None
        assert theirs is not None
        with contextlib.suppress(BrokenPipeError):
            ours.write(f"{order}\n")
            ours.flush()
        answer = theirs.readline()
        if not answer:
            # The next run begins with another one.
            ended, self._process = self._process, None
            with contextlib.suppress(BrokenPipeError):
                ended.communicate()
            message = f"the process from which runs are forked ended with {ended.wait()}"
            raise RuntimeError(message)
        return int(answer)

    def _end(self) -> None:
        if self._process is not None:
            self._process.communicate()


_SERVER: Final = CommandServer()


def run_at_terminal(*arguments: str, kubeconfig: Path, typed: Mapping[str, str | Callable[[], str]]) -> Ran:
    """Run at a terminal, and type each of these (or what it then returns) once when its question is on it."""
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
    seen, waiting, deadline = "", dict(typed), time.monotonic() + patience()
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
                for question in [question for question in waiting if question in seen]:
                    answer = waiting.pop(question)
                    os.write(ours, (answer if isinstance(answer, str) else answer()).encode())
            out, _ = process.communicate(timeout=patience())
        finally:
            # It still runs where `typed` failed, and would be found by whichever test is running when it is collected.
            process.kill()
            os.close(ours)
    return Ran(process.returncode, out.decode(), seen)


def environment(kubeconfig: Path | None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return our environment with this kubeconfig and no other."""
    kept = {name: value for name, value in os.environ.items() if name not in {"KUBECONFIG", "NO_COLOR", "FORCE_COLOR"}}
    return kept | ({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}) | dict(more or {})
