"""The operator as it really runs: a process of its own, as its own service account, with a token that rotates.

Holds: nothing of the operator is imported into the test's process; what it does is seen in its log and in the cluster.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from localcluster.machineload import stretch
from support.shiftedclock import Shifter
from support.waits import until


class Operator:
    """One process. Also a context manager that starts it, waits until it leads, and stops it.

    `clock` is its wall clock, where that is another than the machine's.
    """

    def __init__(self, kubeconfig: Path, log: Path, flags: Sequence[str] = (), clock: Shifter | None = None) -> None:
        name = "bailiwick_operator"
        command = [sys.executable, "-m", name] if clock is None else clock.argv(name)
        self._argv = [*command, "--kubeconfig", str(kubeconfig), *flags]
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it, whether or not it will lead."""
        with self.log.open("wb") as log, self.ledger.open("wb") as ledger:
            self._process = subprocess.Popen(self._argv, stderr=log, stdout=ledger)
        return self

    @property
    def ledger(self) -> Path:
        """What it says on stdout: its own log."""
        return self.log.with_suffix(".ledger.jsonl")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process, once started."""
        assert self._process is not None
        return self._process

    def entries(self) -> list[dict[str, Any]]:
        """Return what it logged, without a line that is half written."""
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def said(self, message: str) -> list[dict[str, Any]]:
        """Return the entries with this message."""
        return [entry for entry in self.entries() if entry["message"] == message]

    def await_said(self, message: str, times: int = 1, seconds: float = 30.0) -> list[dict[str, Any]]:
        """Wait until it said so."""
        try:
            until(lambda: len(self.said(message)) >= times or self._ended(), f"the operator says {message!r}", seconds)
        except TimeoutError as error:
            error.add_note(self.log.read_text())
            raise
        assert len(self.said(message)) >= times, self.log.read_text()
        return self.said(message)

    def await_leading(self, seconds: float = 30.0) -> Self:
        """Wait until it leads and its proof is recorded and good."""
        self.await_said("the guards over grants are proven to be in force", seconds=seconds)
        return self

    def stop(self, seconds: float = 10.0) -> int:
        """Ask it to end, and return its exit code."""
        self.process.terminate()
        return self.process.wait(seconds * stretch())

    def kill(self) -> None:
        """End it as a crash does, if it still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Make it stand still."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def __enter__(self) -> Self:
        """Start and lead."""
        self.start()
        try:
            return self.await_leading()
        except BaseException:
            self.kill()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, if it still runs."""
        if not self._ended():
            self.stop()


class NewOperator:
    """Describes operators, and remembers them. `common`: flags of each."""

    def __init__(self, kubeconfig: Path, logs: Path, *common: str) -> None:
        self._kubeconfig = kubeconfig
        self._logs = logs
        self._common = common
        self._made: list[Operator] = []

    def __call__(self, *flags: str, kubeconfig: Path | None = None, clock: Shifter | None = None) -> Operator:
        """Describe one more, not yet started."""
        log = self._logs / f"{len(self._made)}.log"
        operator = Operator(kubeconfig or self._kubeconfig, log, (*self._common, *flags), clock)
        self._made.append(operator)
        return operator

    def kill_all(self) -> None:
        """End what still runs."""
        for operator in self._made:
            operator.kill()
