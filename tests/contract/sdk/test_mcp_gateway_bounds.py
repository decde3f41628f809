"""What callers of the gateway can cost each other: bodies that do not come, connections, and calls that last."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from fastmcp import FastMCP

from bailiwick.testing import FakePDP, token_for
from support.mcp.gateways import GatewayProcess, running
from support.mcp.mcpserver import AGENT, ENDPOINT, served
from support.waits import until

CALLS: Final = 16
CONNECTIONS: Final = 40
ANYBODY: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
MCP: Final = {**ANYBODY, "Authorization": f"Bearer {token_for(AGENT)}"}
LIST: Final = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
CALL: Final = {**LIST, "method": "tools/call", "params": {"name": "add", "arguments": {}}}


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Lets the tool of the server end, and does so at the end of the test."""
    may_end = threading.Event()
    yield may_end
    may_end.set()


@pytest.fixture
def gateway(fake_mcp: FakePDP, tmp_path: Path, held: threading.Event) -> Iterator[GatewayProcess]:
    slow: FastMCP[Any] = FastMCP("slow")

    @slow.tool
    async def add() -> int:
        await asyncio.to_thread(held.wait, 60)
        return 1

    with served(slow.http_app(path="/mcp")) as base:
        where = ("--upstream", f"{base}/mcp", "--pdp", fake_mcp.url, "--endpoint", ENDPOINT)
        bounds = ("--max-calls", str(CALLS), "--max-connections", str(CONNECTIONS))
        with running(tmp_path, *where, *bounds) as gateway:
            yield gateway


def begun(gateway: GatewayProcess, sent: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(gateway.base.rpartition(":")[2])), 20)
    connection.sendall(sent.encode())
    return connection


def unfinished(token: str = "anything", size: int = 1000) -> str:
    shown = f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
    return f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n{shown}Content-Length: {size}\r\n\r\n{{"


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def listing(gateway: GatewayProcess) -> int:
    return requests.post(gateway.url, json=LIST, headers=MCP, timeout=20).status_code


def test_bodies_that_do_not_come_take_no_place(gateway: GatewayProcess) -> None:
    with ExitStack() as open_:
        for _ in range(CALLS + 4):
            open_.enter_context(begun(gateway, unfinished()))
        assert [listing(gateway) for _ in range(15)] == [200] * 15


def test_a_body_that_does_not_come_is_not_waited_for(gateway: GatewayProcess) -> None:
    with begun(gateway, unfinished()) as connection:
        said = b"".join(iter(lambda: connection.recv(4096), b""))
        assert (said[:12], b"too slowly" in said) == (b"HTTP/1.1 408", True)


def test_a_body_that_comes_in_pieces_is_taken(gateway: GatewayProcess) -> None:
    body = '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}'
    head = "".join(f"{name}: {value}\r\n" for name, value in MCP.items())
    sent = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}Content-Length: {len(body)}\r\n\r\n"
    with begun(gateway, sent) as connection:
        for letter in body:
            connection.sendall(letter.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", ["", "POST /mcp HTTP/1.1\r\n", unfinished()], ids=["nothing", "half a head", "half"])
def test_connections_that_only_stand_make_room_for_new_ones(gateway: GatewayProcess, sent: str) -> None:
    with ExitStack() as open_:
        stood = [open_.enter_context(begun(gateway, sent)) for _ in range(CONNECTIONS)]
        assert [listing(gateway) for _ in range(5)] == [200] * 5
        stood[0].settimeout(10)
        assert ended(stood[0])


def test_one_caller_leaves_places_for_others(gateway: GatewayProcess, held: threading.Event) -> None:
    with ThreadPoolExecutor(2 * CALLS) as pool:

        def call() -> int:
            return requests.post(gateway.url, json=CALL, headers=MCP, timeout=60).status_code

        calls = [pool.submit(call) for _ in range(2 * CALLS)]
        until(lambda: sum(one.done() for one in calls) >= CALLS + CALLS // 2, "what is too much is refused", 30)
        other = {**MCP, "Authorization": f"Bearer {token_for('system:serviceaccount:agents:other')}"}
        answer = requests.post(gateway.url, json=LIST, headers=other, timeout=20)
        assert answer.status_code == 200
        refused = requests.post(gateway.url, json=LIST, headers=MCP, timeout=20)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        held.set()
        statuses = sorted(one.result() for one in calls)
    assert statuses == [200] * (CALLS // 2) + [429] * (CALLS + CALLS // 2)
