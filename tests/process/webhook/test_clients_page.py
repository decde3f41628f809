"""docs/how-to/clients.md: each client of the page, run against a decision point for development, over TLS."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
import requests

from localcluster.progress import Silent
from localcluster.toolchain import environment as go_environment, find as find_go
from support import npmpackages
from support.pages import DOCS, needs, script
from support.pdp.standalone import Process
from support.proxies.servers import FaultyPoint, ReachedUpstream, Server, faulty

pytestmark = needs("curl", "jq", "openssl")

PAGE: Final = "how-to/clients.md"
FILES: Final = dict(
    re.findall(
        r"Save this as `([^`]+)`:\n\n```\w+\n(.*?)^```$",
        (DOCS / PAGE).read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)
COMPILER: Final = Path(__file__).parents[2] / "support" / "typescript"
# The first Go that has `rand.Text`.
LEAST_GO: Final = (1, 24)
# Each says what an allow says, and is none.
NO_ALLOWS: Final = {
    "a redirect": ("302 Found", '{"decision": true}'),
    "another status": ("202 Accepted", '{"decision": true}'),
    "a text": ("200 OK", '{"decision": "true"}'),
    "a dry run": ("200 OK", '{"decision": true, "context": {"dry_run": true}}'),
}


@pytest.fixture(scope="module")
def point(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The decision point of the page, with its certificate."""
    folder = tmp_path_factory.mktemp("clients")
    certificate, _, start = script(PAGE, "openssl req").partition(".venv/bin/bailiwick-webhook ")
    subprocess.run(["bash", "-euc", certificate], cwd=folder, check=True, capture_output=True)
    (folder / "token").write_text("development\n")
    flags = ["--development", "--tls-cert-file", "ca.crt", "--tls-key-file", "tls.key"]
    assert start.split() == ["--policies", "examples/quickstart", *flags]
    flags = [str(folder / flag) if "." in flag else flag for flag in flags]
    with (folder / "log").open("wb") as log:
        process = Process(folder, DOCS.parent / "examples" / "quickstart", log, *flags)
        yield process
        process.stop()


@pytest.fixture(scope="module")
def odd_point(point: Process) -> Iterator[FaultyPoint]:
    """A server with that certificate, which answers what `fault` says."""
    with faulty(point.log.parent / "ca.crt", point.log.parent / "tls.key") as server:
        yield server


class ForgingPoint(Server):
    """A decision point whose requests say that their status is to be looked at elsewhere, with the client's token."""

    elsewhere = ""

    def respond(self, reached: ReachedUpstream, connection: socket.socket) -> None:
        task = {"id": "agr-1", "status": "pending", "status_endpoint": self.elsewhere}
        match reached.method, reached.target.rpartition("/")[2]:
            case "POST", "evaluation":
                status, body = "200 OK", {"decision": False, "context": {"reason": "r", "next_action": "request"}}
            case "POST", _:
                status, body = "201 Created", {"task": task}
            case _:
                status, body = "200 OK", {"task": {**task, "status": "denied"}}
        sent = json.dumps(body)
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close"
        connection.sendall(f"{head}\r\nContent-Length: {len(sent)}\r\n\r\n{sent}".encode())


@pytest.fixture(scope="module")
def forging_point(point: Process, odd_point: FaultyPoint) -> Iterator[ForgingPoint]:
    """A decision point with that certificate, which sends its clients to `odd_point`."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(point.log.parent / "ca.crt", point.log.parent / "tls.key")
    with ForgingPoint(tls) as server:
        server.elsewhere = f"https://127.0.0.1:{odd_point.port}/status"
        yield server


@pytest.fixture
def folder(point: Process, tmp_path: Path) -> Path:
    """A folder with the page's programs, beside the certificate and the token."""
    for name in ("ca.crt", "token"):
        shutil.copy(point.log.parent / name, tmp_path)
    for name, body in FILES.items():
        (tmp_path / name).write_text(body, encoding="utf-8")
    return tmp_path


def runs(point: Process | Server, folder: Path, command: list[str], more: Mapping[str, str]) -> list[str]:
    """Run a client; approve the call if it waits for that. Return what it printed and, at the end, its exit code."""
    base = f"https://127.0.0.1:{point.port}/endpoints/crm/crm-api"
    own = {"PDP": base, "PDP_CA": "ca.crt", "PDP_TOKEN_FILE": "token", "SUBJECT_TOKEN": ""}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **own, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip()]
        if lines == ["pending"] and isinstance(point, Process):
            review = json.loads(re.findall(r"-d '(.*)'", script(PAGE, "curl --cacert"))[0])
            url = f"{base}/development/reviews"
            approved = requests.post(url, json=review, verify=str(folder / "ca.crt"), timeout=10)
            assert approved.json()["task"]["status"] == "approved", approved.text
        rest, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return [*lines, *rest.splitlines(), str(process.returncode)]


def waits_once_and_is_allowed(printed: list[str]) -> bool:
    return printed[0] == "pending" and printed[-2:] == ["allowed", "0"] and set(printed[1:-2]) <= {"pending"}


def compiled(folder: Path) -> None:
    """Compile the TypeScript with all checks, for a Node that cannot run it as it is."""
    packages = npmpackages.ensure("typescript-compiler", COMPILER)
    options = (
        "--strict",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--typeRoots",
        f"{packages}/node_modules/@types",
    )
    command = ["node", f"{packages}/node_modules/typescript/bin/tsc", *options, "--types", "node", "client.ts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout


class TestEachClient:
    """Asks, has the call approved, and is allowed once; without an answer it is denied."""

    @staticmethod
    def follows_the_rules(
        point: Process,
        odd_point: FaultyPoint,
        forging_point: ForgingPoint,
        folder: Path,
        command: list[str],
        more: Mapping[str, str],
    ) -> None:
        # The second approval is another one: the first had one use.
        for _ in range(2):
            assert waits_once_and_is_allowed(printed := runs(point, folder, command, more)), printed
        for broken in ({"PDP_TOKEN_FILE": "none"}, {"PDP": f"https://127.0.0.1:{point.port}/endpoints/crm/no-such"}):
            *said, code = runs(point, folder, command, {**more, **broken})
            assert code == "1", said
            assert "allowed" not in said
        for what, (status, body) in NO_ALLOWS.items():
            head = f"HTTP/1.1 {status}\r\nLocation: /\r\nContent-Type: application/json"
            odd_point.fault = f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            *said, code = runs(odd_point, folder, command, more)
            assert (code, "allowed" in said) == ("1", False), (what, said)
        asked_before = len(odd_point.asked)
        *said, code = runs(forging_point, folder, command, more)
        assert (said[0], code, "allowed" in said) == ("pending", "1", False), said
        assert forging_point.asked[-2].target.endswith("/access/v1/requests/agr-1")
        assert len(odd_point.asked) == asked_before

    def test_in_shell(self, point: Process, odd_point: FaultyPoint, forging_point: ForgingPoint, folder: Path) -> None:
        assert FILES["client.sh"].startswith("#!/usr/bin/env bash\n")
        self.follows_the_rules(point, odd_point, forging_point, folder, script(PAGE, "bash client.sh").split(), {})

    def test_in_go(self, point: Process, odd_point: FaultyPoint, forging_point: ForgingPoint, folder: Path) -> None:
        go = find_go(LEAST_GO, Silent())
        command = script(PAGE, "go run main.go").split()[1:]
        more = {**go_environment(), "GOFLAGS": "", "HOME": os.environ.get("HOME", str(folder))}
        subprocess.run([go.path, "vet", "main.go"], cwd=folder, env=more, check=True, timeout=300)
        self.follows_the_rules(point, odd_point, forging_point, folder, [str(go.path), *command], more)

    def test_in_typescript(
        self, point: Process, odd_point: FaultyPoint, forging_point: ForgingPoint, folder: Path
    ) -> None:
        compiled(folder)
        setting, *command = script(PAGE, "NODE_EXTRA_CA_CERTS=").split()
        name, _, value = setting.partition("=")
        assert (value, command) == ("$PDP_CA", ["node", "client.ts"])
        self.follows_the_rules(point, odd_point, forging_point, folder, ["node", "client.js"], {name: "ca.crt"})
