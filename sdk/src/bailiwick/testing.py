"""`FakePDP`: a decision point for an application's own tests (extra `[testing]`).

Standing: it is the real decision point, as a process of its own over a folder of policies, so a test sees the answers
that production gives. It is fake in what surrounds it: any caller may ask, any name is believed, and anyone can approve
and deny requests, which live in its memory.
"""

import base64
import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Self

from bailiwick.aio import AsyncBailiwick, default_transport as async_transport
from bailiwick.client import Bailiwick, default_transport
from bailiwick.fakeoutcomes import ActionOutcome, AsyncCountingTransport, CountingTransport, OutcomeLedger

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0
_TRIES: Final = 3
_HOST: Final = "127.0.0.1"
_OK: Final = 200


class StartError(Exception):
    """The decision point did not become ready; the message ends with its last words."""


class ReviewError(Exception):
    """The decision point did not accept the review; the message says why."""


class FakePDP:
    """A decision point over a folder of policies: `with FakePDP("policies/") as pdp: ... pdp.client("crm/crm-api")`."""

    def __init__(self, policies: Path | str, *, outcomes: bool = False) -> None:
        """Remember the folder. Changes in it take effect while the decision point runs.

        `outcomes`: each allow of its clients has a handle, and `outcomes` shows what they report.
        """
        self._policies = Path(policies)
        self._ledger = OutcomeLedger() if outcomes else None
        self._stack = ExitStack()
        self._port = 0

    @property
    def url(self) -> str:
        """The URL of the decision point."""
        return f"http://{_HOST}:{self._port}"

    def client(self, endpoint: str) -> Bailiwick:
        """Return a client for an endpoint."""
        ledger = self._ledger
        transport = None if ledger is None else CountingTransport(default_transport(None), ledger)
        return Bailiwick(self.url, endpoint=endpoint, token=lambda: "test", transport=transport)

    def async_client(self, endpoint: str) -> AsyncBailiwick:
        """Return a client for an endpoint, for asyncio."""
        ledger = self._ledger
        transport = None if ledger is None else AsyncCountingTransport(async_transport(None), ledger)
        return AsyncBailiwick(self.url, endpoint=endpoint, token=lambda: "test", transport=transport)

    @property
    def outcomes(self) -> list[ActionOutcome]:
        """What the clients reported so far, as pairs of action and outcome. Guards report after their answers."""
        return [] if self._ledger is None else list(self._ledger.reports)

    def approve(
        self, endpoint: str, *, reviewer: str = "reviewer", groups: Iterable[str] = (), task: str | None = None
    ) -> None:
        """Approve the request with this task id, or the only one of the endpoint that is pending.

        `endpoint` is as for `client`, `groups` are those of the reviewer. The review counts if the rule accepts it in
        production. Raises `ReviewError`.
        """
        self._review(endpoint, "Approve", reviewer, groups, task)

    def deny(
        self, endpoint: str, *, reviewer: str = "reviewer", groups: Iterable[str] = (), task: str | None = None
    ) -> None:
        """Deny a request. Arguments and errors are those of `approve`."""
        self._review(endpoint, "Deny", reviewer, groups, task)

    def _review(self, endpoint: str, decision: str, reviewer: str, groups: Iterable[str], task: str | None) -> None:
        body = {"reviewer": reviewer, "groups": list(groups), "decision": decision}
        if task is not None:
            body["task"] = task
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=_START_SECONDS)
        try:
            path = f"/endpoints/{endpoint}/development/reviews"
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status != _OK:
            raise ReviewError(f"{answer.status}: {_detail(said)}")

    def __enter__(self) -> Self:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bailiwick-")))
        for left in reversed(range(_TRIES)):
            try:
                self._port = self._stack.enter_context(_running(self._policies, folder))
                break
            except StartError as error:
                # Somebody may have taken the port between choosing and listening.
                if not left or "address already in use" not in str(error).lower():
                    self._stack.close()
                    raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _detail(said: bytes) -> str:
    """Return what a problem (RFC 9457) says, or the body if it is none."""
    try:
        return str(json.loads(said)["detail"])
    except (ValueError, LookupError, TypeError):
        return said.decode(errors="replace")


def token_for(subject: str) -> str:
    """Return a token that claims to be a service account's, by its full name, or a person's. It is not signed."""
    parts = ({"alg": "none"}, {"sub": subject})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join((*encoded, ""))


@contextmanager
def _running(policies: Path, folder: Path) -> Iterator[int]:
    port, status_port = _free_port(), _free_port()
    command = [sys.executable, "-P", "-m", "bailiwick_webhook", "--development", "--policies", str(policies)]
    command += ["--port", str(port), "--status-port", str(status_port)]
    command += ["--record-file", str(folder / "records.jsonl"), "--drain-seconds", "0.1"]
    log = folder / "log"
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=written)  # noqa: S603 - our own program and flags
        try:
            _await(process, status_port, log)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    ends = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < ends:
        connection = http.client.HTTPConnection(_HOST, port, timeout=1.0)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == _OK:
                return
        except OSError:
            pass  # Not listening yet.
        finally:
            connection.close()
        time.sleep(0.05)
    raise StartError(f"the decision point did not become ready:\n{log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((_HOST, 0))
        return int(taken.getsockname()[1])
