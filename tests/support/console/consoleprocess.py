"""The console as a process of its own, as somebody."""

import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from support.commandline import PROGRAM, environment
from support.console.plainhttp import Site
from support.waits import until

_URL: Final = re.compile(r"^  (http://\S+)$", re.MULTILINE)


@dataclass
class RunningConsole:
    """One console. `told` is all that it has written to its terminal."""

    process: subprocess.Popen[str]
    told: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The URL that works once."""
        until(lambda: self.process.poll() is not None or _URL.search(self.said), "the console told its URL")
        found = _URL.search(self.said)
        assert found, self.said
        return found[1]

    @property
    def said(self) -> str:
        """What stands on its terminal."""
        return "".join(self.told)

    def await_said(self, words: str) -> None:
        """Wait until these words stand there: what it wrote before an answer may be read after the answer."""
        until(lambda: words in self.said, f"the console said {words!r}")

    @property
    def site(self) -> Site:
        """What it serves."""
        return Site(self.url)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def started(
    *arguments: str, kubeconfig: Path | None, browser: bool = False, env: Mapping[str, str] | None = None
) -> Iterator[RunningConsole]:
    """Start a console, and end it."""
    quiet = () if browser else ("--no-browser",)
    with spawned("console", *quiet, *arguments, kubeconfig=kubeconfig, env=env) as running:
        yield running


@contextmanager
def spawned(*arguments: str, kubeconfig: Path | None, env: Mapping[str, str] | None = None) -> Iterator[RunningConsole]:
    """Start the command line with these arguments, and end it."""
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        env=environment(kubeconfig, env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = RunningConsole(process)

    def read() -> None:
        assert process.stderr is not None
        running.told.extend(iter(process.stderr.readline, ""))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield running
    finally:
        process.terminate()
        process.wait(60)
        reader.join(60)
        assert process.stderr is not None
        process.stderr.close()
