"""A decision point without a cluster: the real process over a directory of files."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

import requests
import yaml

from localcluster.ports import free_ports
from support.objects import AGENT, Object
from support.pdp import questions
from support.pdp.questions import Said
from support.waits import until

TAKEN_UP_SECONDS: Final = 2.0
COMMAND: Final = (sys.executable, "-m", "bailiwick_webhook")


class Process:
    """A decision point of its own, with its files."""

    def __init__(
        self,
        folder: Path,
        policies: Path,
        log: IO[bytes],
        *flags: str,
        drain_seconds: float = 0.1,
        stdout: int | None = None,
        grpc: bool = False,
        command: Sequence[str] = COMMAND,
        await_ready: bool = True,
    ) -> None:
        self.policies = policies
        self.log = Path(log.name)
        self.records = folder / "records.jsonl"
        self.port, self.grpc_port, self.status_port = free_ports(3)
        self.process = subprocess.Popen(
            [
                *(*command, "--policies", str(policies), *(flags or ("--development",))),
                *("--port", str(self.port), "--status-port", str(self.status_port)),
                *(("--grpc-port", str(self.grpc_port)) if grpc else ()),
                *("--record-file", "-" if stdout else str(self.records), "--drain-seconds", str(drain_seconds)),
            ],
            stdout=stdout,
            stderr=log,
        )
        if not await_ready:
            return
        try:
            until(lambda: self.readiness()[0] == 200, "ready")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def write(self, name: str, *objects: Object | str) -> None:
        text = "---\n".join(obj if isinstance(obj, str) else yaml.safe_dump(obj) for obj in objects)
        (self.policies / name).write_text(text)

    def readiness(self) -> tuple[int, dict[str, Any]]:
        assert self.process.poll() is None, self.log.read_text()
        try:
            answer = requests.get(f"http://127.0.0.1:{self.status_port}/readyz", timeout=5)
        except requests.ConnectionError:
            return 0, {}
        return answer.status_code, answer.json()

    def url(self, what: str, endpoint: str = "crm-api") -> str:
        return f"http://127.0.0.1:{self.port}/endpoints/crm/{endpoint}/access/v1/{what}"

    def ask(
        self, action: str = "customers.list", what: str = "evaluation", token: str | None = None, **fields: object
    ) -> Said:
        return questions.post(self.url(what), questions.evaluation(AGENT, action) | fields, token)

    def turns(self, reason: str | None, action: str = "customers.list") -> None:
        """Wait until the answer has this reason, as long as a change may take."""
        until(lambda: self.ask(action).reason == reason, f"the answer is {reason}", TAKEN_UP_SECONDS)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        finally:
            self.process.kill()
