"""The gateway as whoever runs it meets it: flags, exit codes, health, TLS, bounds, its end."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from fastmcp import FastMCP
from mcp import MCPError

from bailiwick.mcp.gateway.listener import end_well
from bailiwick.mcp.gateway.main import main
from bailiwick.mcp.gateway.upstream import Upstream
from bailiwick.testing import FakePDP, token_for
from support.certificates import self_signed
from support.mcp.gateways import PROGRAM, GatewayProcess, running
from support.mcp.mcpserver import AGENT, ENDPOINT, served
from support.waits import until

NEEDED: Final = ("--upstream", "http://127.0.0.1:9/mcp", "--pdp", "http://127.0.0.1:9", "--endpoint", ENDPOINT)
ANYBODY: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
MCP: Final = {**ANYBODY, "Authorization": f"Bearer {token_for(AGENT)}"}
LIST: Final = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
NAME: Final = "mcp.example.org"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a certificate and its key."""
    folder = tmp_path_factory.mktemp("tls")
    self_signed(folder)
    return folder


@pytest.fixture(scope="module")
def gateway(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway over TLS, under one name, before an upstream and a decision point that are away."""
    tls = ("--tls-cert-file", str(certificate / "tls.crt"), "--tls-key-file", str(certificate / "tls.key"))
    bounds = ("--allowed-host", NAME, "--max-body-bytes", "2000")
    folder = tmp_path_factory.mktemp("gateway")
    trusted = shutil.copy(certificate / "tls.crt", folder / "ca.crt")
    with running(folder, *NEEDED, "--ca", str(trusted), *tls, *bounds) as gateway:
        yield gateway


def ask(gateway: GatewayProcess, path: str, certificate: Path, **more: Any) -> requests.Response:  # noqa: ANN401 - as requests has it
    method = "POST" if "json" in more or "data" in more else "GET"
    trusted = str(certificate / "tls.crt")
    return requests.request(method, f"{gateway.base}{path}", verify=trusted, timeout=30, **more)


def test_help_says_every_flag_and_how_it_ends() -> None:
    done = subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    for said in ("--upstream-token-file", "--allowed-host", "--max-body-bytes", "SIGTERM with 0", "with 2 if a flag"):
        assert said in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--host", "0.0.0.0"), "would receive tokens in the clear"),  # noqa: S104 - it is refused
        (("--pdp", "http://pdp.example"), "in the clear; where a mesh encrypts them, say --plaintext"),
        (("--pdp", "pdp.example"), "is no base URL of a decision point"),
        (("--endpoint", "tools"), "is no endpoint: <namespace>/<endpoint>"),
        (("--upstream", "ftp://x/mcp"), "is no URL of an MCP server"),
        (("--upstream", "http://user:secret@x/mcp"), "is no URL of an MCP server"),
        (
            ("--upstream", "http://x/mcp", "--upstream-token-file", "t"),
            "-token-file would be sent in the clear",
        ),
        (("--tls-cert-file", "x"), "--tls-cert-file and --tls-key-file need each other"),
        (("--port", "70000"), "'70000' is not a port, 0 to 65535"),
        (("--max-body-bytes", "0"), "'0' is not a number above 0"),
        (("--max-calls", "-1"), "is not a number above 0"),
        (("--upstream-seconds", "inf"), "'inf' is not a number of seconds above 0"),
        (("--drain-seconds", "soon"), "'soon' is not a number of seconds above 0"),
        (("--forward-token",), "unrecognized arguments: --forward-token"),
        (("--plain",), "unrecognized arguments: --plain"),
    ],
)
def test_a_wrong_flag_ends_with_2_and_says_what_is_wrong(
    flags: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*NEEDED, *flags])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.long
def test_what_cannot_be_listened_on_ends_with_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cases = {
            f"cannot listen on 127.0.0.1 port {taken.getsockname()[1]}": ("--port", str(taken.getsockname()[1])),
            "are no certificate and its key": ("--tls-cert-file", str(tmp_path), "--tls-key-file", str(tmp_path)),
        }
        for said, flags in cases.items():
            command = [*PROGRAM, *NEEDED, *flags]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 1, done.stderr
            assert said in done.stderr


def test_it_is_ready_while_it_can_read_its_own_token(gateway: GatewayProcess, certificate: Path) -> None:
    assert ask(gateway, "/healthz", certificate).json() == {"status": "ok"}
    assert ask(gateway, "/readyz", certificate).status_code == 200
    token = gateway.log.with_name("token")
    held = token.read_text(encoding="ascii")
    token.unlink()
    unready = ask(gateway, "/readyz", certificate)
    assert (unready.status_code, unready.json()["unreadable"]) == (503, ["--token-file"])
    assert ask(gateway, "/healthz", certificate).status_code == 200
    token.write_text(held, encoding="ascii")
    assert ask(gateway, "/readyz", certificate).status_code == 200


def test_it_is_not_ready_while_a_file_of_authorities_is_none(gateway: GatewayProcess, certificate: Path) -> None:
    trusted = gateway.log.with_name("ca.crt")
    held = trusted.read_bytes()
    trusted.write_bytes(b"no certificate")
    unready = ask(gateway, "/readyz", certificate)
    assert (unready.status_code, unready.json()["unreadable"]) == (503, ["--ca"])
    trusted.write_bytes(held)
    assert ask(gateway, "/readyz", certificate).status_code == 200


def test_a_request_for_another_name_is_refused(gateway: GatewayProcess, certificate: Path) -> None:
    for host, status in ((NAME, 200), ("evil.example", 421)):
        assert ask(gateway, "/healthz", certificate, headers={"Host": host}).status_code == status


def test_a_page_of_another_origin_is_refused(gateway: GatewayProcess, certificate: Path) -> None:
    headers = {**MCP, "Host": NAME, "Origin": "https://evil.example"}
    assert ask(gateway, "/mcp", certificate, json=LIST, headers=headers).status_code == 403


def test_a_larger_request_than_it_takes_is_refused(gateway: GatewayProcess, certificate: Path) -> None:
    large = {**LIST, "params": {"cursor": "x" * 3000}}
    assert ask(gateway, "/mcp", certificate, json=large, headers=MCP).status_code == 413


def test_it_keeps_no_session(gateway: GatewayProcess, certificate: Path) -> None:
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    begun = ask(gateway, "/mcp", certificate, json={**LIST, "method": "initialize", "params": params}, headers=MCP)
    assert (begun.status_code, begun.headers.get("mcp-session-id")) == (200, None)
    assert ask(gateway, "/mcp", certificate, headers=MCP).status_code == 405


async def test_an_upstream_over_tls_is_believed_by_its_authority_alone(
    gateway: GatewayProcess, certificate: Path
) -> None:
    # The gateway stands in for an MCP server. Its refusal, for want of a decision point, comes over the connection.
    with pytest.raises(MCPError, match="pdp_unavailable"):
        async with Upstream(gateway.url, ca=certificate / "tls.crt", token=lambda: token_for(AGENT))():
            pass
    with pytest.raises(RuntimeError, match="CERTIFICATE_VERIFY_FAILED"):
        async with Upstream(gateway.url)():
            pass


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"X-Remote-User": "admin", "X-Forwarded-User": "admin", "X-Forwarded-For": "10.0.0.1"},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Authorization": "Bearer "},
    ],
)
@pytest.mark.parametrize("method", ["initialize", "tools/list", "resources/read"])
def test_a_call_without_a_token_is_told_to_send_one(
    gateway: GatewayProcess, certificate: Path, shown: dict[str, str], method: str
) -> None:
    body = {**LIST, "method": method, "params": {"uri": "a:b"}}
    answer = ask(gateway, "/mcp", certificate, json=body, headers={**ANYBODY, **shown})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json() == {"error": "send a token: Authorization: Bearer"}


@pytest.mark.long
def test_a_new_certificate_is_served_without_a_restart(
    gateway: GatewayProcess, certificate: Path, tmp_path: Path
) -> None:
    def served_now() -> bytes:
        context = ssl.create_default_context()
        # Which certificate it is, is all that is asked here.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        address = ("127.0.0.1", int(gateway.base.rpartition(":")[2]))
        with socket.create_connection(address, 10) as plain, context.wrap_socket(plain) as connection:
            return connection.getpeercert(binary_form=True) or b""

    before = served_now()
    # Of another key, as it is between the writes of two files.
    other, _ = self_signed(tmp_path)
    (certificate / "tls.crt").write_bytes(other.read_bytes())
    until(lambda: "the last one is served on" in gateway.log.read_text(encoding="utf-8"), "it complains")
    assert served_now() == before
    self_signed(certificate)
    until(lambda: served_now() != before, "the new certificate is served")


def test_a_signal_before_it_serves_ends_it_too() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        end_well()
        for number in before:
            with pytest.raises(SystemExit) as ended:
                signal.raise_signal(number)
            assert ended.value.code == 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def test_one_call_too_many_is_refused_and_a_signal_lets_one_finish(fake_mcp: FakePDP, tmp_path: Path) -> None:
    began, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    slow: FastMCP[Any] = FastMCP("slow")

    @slow.tool
    async def add() -> int:
        loop.call_soon_threadsafe(began.set)
        await asyncio.to_thread(may_end.wait, 60)
        return 1

    with served(slow.http_app(path="/mcp")) as base:
        where = ("--upstream", f"{base}/mcp", "--pdp", fake_mcp.url, "--endpoint", ENDPOINT)
        # Longer than anything below takes on a busy machine: how long it waits is not what this is about.
        flags = (*where, "--max-calls", "1", "--drain-seconds", "60")
        manager = running(tmp_path, *flags)
        gateway = await asyncio.to_thread(manager.__enter__)
        try:
            headers = MCP
            body = {**LIST, "method": "tools/call", "params": {"name": "add", "arguments": {}}}
            call = asyncio.create_task(
                asyncio.to_thread(requests.post, gateway.url, json=body, headers=headers, timeout=60)
            )
            await began.wait()
            busy = await asyncio.to_thread(requests.post, gateway.url, json=body, headers=headers, timeout=60)
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
            healthy = await asyncio.to_thread(requests.get, f"{gateway.base}/healthz", timeout=60)
            assert healthy.status_code == 200
            os.kill(gateway.process.pid, signal.SIGTERM)
            await asyncio.to_thread(until, lambda: not listens(gateway), "nobody new is let in")
            # Longer than the half second after which streams are cut, unless somebody says otherwise.
            await asyncio.wait({call}, timeout=1.5)
            assert not call.done()
            may_end.set()
            answer = await call
            assert (answer.status_code, '"structuredContent":{"result":1}' in answer.text) == (200, True), answer.text
            assert await asyncio.to_thread(gateway.process.wait, 30) == 0
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)


def listens(gateway: GatewayProcess) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(gateway.base.rpartition(":")[2])), 1).close()
    except OSError:
        return False
    return True
