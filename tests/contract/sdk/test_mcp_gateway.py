"""The gateway, as a process, before an MCP server that somebody else wrote (`mcp-server-time`)."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from fastmcp import Client, Context, FastMCP
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp.server import create_proxy
from fastmcp.server.dependencies import get_http_headers
from mcp import MCPError

from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.gateway import gateway, main
from bailiwick.testing import FakePDP, token_for
from support.mcp.serving import AGENT, ENDPOINT, STRANGER, served

ZONES: Final = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """Serve `mcp-server-time` over HTTP; it speaks stdio alone, so FastMCP's own bridge is before it."""
    program = Path(sys.executable).with_name("mcp-server-time")
    assert program.exists()
    bridge: FastMCP[Any] = create_proxy(StdioTransport(str(program), ["--local-timezone", "UTC"]))
    with served(bridge.http_app(path="/mcp")) as url:
        yield f"{url}/mcp"


@pytest.fixture(scope="module")
def url(fake_mcp: FakePDP, upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "token").write_text("own", encoding="ascii")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [sys.executable, "-P", "-m", "bailiwick.mcp.gateway", "--upstream", upstream, "--pdp", fake_mcp.url]
    command += ["--endpoint", ENDPOINT, "--port", str(port), "--token-file", str(folder / "token")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            ends = time.monotonic() + 90
            while process.poll() is None and time.monotonic() < ends:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.terminate()
            process.wait(20)


@asynccontextmanager
async def client_of(url: str, who: str | None) -> AsyncIterator[Client[Any]]:
    headers = {} if who is None else {"Authorization": f"Bearer {token_for(who)}"}
    async with Client(StreamableHttpTransport(url, headers=headers)) as client:
        yield client


async def test_what_a_rule_allows_reaches_the_upstream(url: str) -> None:
    async with client_of(url, AGENT) as client:
        assert [one.name for one in await client.list_tools()] == ["convert_time"]
        result = await client.call_tool("convert_time", ZONES)
    assert "21:00" in str(result.content)


@pytest.mark.parametrize(
    ("who", "name", "arguments", "reason"),
    [
        (AGENT, "get_current_time", {"timezone": "UTC"}, "no_rule"),
        (AGENT, "wipe", {}, "unknown_tool"),
        (AGENT, "convert_time", {**ZONES, "time": 12}, "bad_request"),
        (STRANGER, "convert_time", ZONES, "no_rule"),
        (None, "convert_time", ZONES, "unauthenticated"),
    ],
)
async def test_what_no_rule_allows_does_not(
    url: str, who: str | None, name: str, arguments: dict[str, Any], reason: str
) -> None:
    async with client_of(url, who) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool(name, arguments)
    assert caught.value.data["reason"] == reason


async def test_a_callers_token_goes_no_further(fake_mcp: FakePDP) -> None:
    seen: list[dict[str, str]] = []
    behind: FastMCP[Any] = FastMCP("behind")

    @behind.tool
    def add(ctx: Context) -> int:
        seen.append(get_http_headers(include_all=True))
        return 1

    with served(behind.http_app(path="/mcp")) as base:
        server = gateway(f"{base}/mcp", McpGate(fake_mcp.async_client(ENDPOINT)))
        manager = served(server.http_app(path="/mcp"))
        front = await asyncio.to_thread(manager.__enter__)
        try:
            async with client_of(f"{front}/mcp", AGENT) as client:
                assert (await client.call_tool("add", {})).data == 1
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)
    assert seen
    assert [headers for headers in seen if "authorization" in headers] == []


def test_tokens_in_the_clear_are_refused_at_the_start() -> None:
    with pytest.raises(SystemExit, match="in the clear"):
        main(["--upstream", "http://127.0.0.1:1/mcp", "--pdp", "http://pdp.example", "--endpoint", ENDPOINT])
