"""A decision point in a process of its own, over TLS, with the certification's fixture as its only policy."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from support.certificates import self_signed
from support.pdp.alone import HARNESS
from support.pdp.questions import TIMEOUT, Said, post, said
from support.waits import until

ROOT: Final = Path(__file__).resolve().parents[2]
FIXTURE: Final = ROOT / "examples" / "authzen-certification"
PROGRAM: Final = "bailiwick_webhook"
TENANT: Final = "/endpoints/certification/records"


class Pdp:
    """The decision point under test, as the harness sees it."""

    def __init__(self, origin: str, certificate: Path) -> None:
        self.origin = origin
        self.base = origin + TENANT
        self.certificate = str(certificate)

    def post(self, path: str, body: object, **headers: str) -> Said:
        """Post to an API by its default path."""
        return post(f"{self.base}/access/v1/{path}", body, HARNESS, headers, self.certificate)

    def decide(self, body: object, **headers: str) -> Said:
        """Ask for one evaluation, which must be answered with a decision."""
        answer = self.post("evaluation", body, **headers)
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"].startswith("application/json")
        assert isinstance(answer.decision, bool)
        assert isinstance(answer.body.get("context", {}), dict)
        return answer

    def decisions(self, body: object) -> list[bool]:
        """Ask for a batch and return its decisions."""
        answer = self.post("evaluations", body)
        assert answer.status == 200, answer
        assert "decision" not in answer.body
        decisions = [one["decision"] for one in answer.body["evaluations"]]
        assert all(isinstance(one, bool) for one in decisions)
        return decisions

    def search(self, kind: str, body: object) -> list[dict[str, Any]]:
        """Search, and return what was found."""
        answer = self.post(f"search/{kind}", body)
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"].startswith("application/json")
        results = answer.body["results"]
        assert isinstance(results, list)
        return results

    def metadata(self) -> Said:
        """Read the metadata, without a token: the well-known part stands between host and path."""
        url = f"{self.origin}/.well-known/authzen-configuration{TENANT}"
        return said(requests.get(url, timeout=TIMEOUT, verify=self.certificate))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def pdp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pdp]:
    """The decision point under test."""
    folder = tmp_path_factory.mktemp("certification")
    certificate, key = self_signed(folder)
    port = free_port()
    flags = [
        "--policies",
        FIXTURE,
        "--development",
        "--host",
        "127.0.0.1",
        "--port",
        port,
        "--status-port",
        free_port(),
    ]
    flags += ["--tls-cert-file", certificate, "--tls-key-file", key]
    paths = [str(ROOT / "tests"), *(path for path in sys.path if path), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", PROGRAM, *map(str, flags)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    try:
        found = Pdp(f"https://127.0.0.1:{port}", certificate)

        def serving() -> bool:
            assert process.poll() is None
            try:
                return found.metadata().status == 200
            except requests.ConnectionError:
                return False

        until(serving, "the decision point serves")
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
