"""The gateway, as a process, before an MCP server that somebody else wrote (`mcp-server-time`)."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from fastmcp import FastMCP
from fastmcp.client.transports import StdioTransport
from fastmcp.server import create_proxy
from mcp import MCPError

from bailiwick.testing import FakePDP
from support.mcp.gateways import client_of, running
from support.mcp.mcpserver import AGENT, ENDPOINT, STRANGER, served

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
    flags = ("--upstream", upstream, "--pdp", fake_mcp.url, "--endpoint", ENDPOINT)
    with running(tmp_path_factory.mktemp("gateway"), *flags) as gateway:
        yield gateway.url


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
    ],
)
async def test_what_no_rule_allows_does_not(
    url: str, who: str, name: str, arguments: dict[str, Any], reason: str
) -> None:
    async with client_of(url, who) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool(name, arguments)
    assert caught.value.data["reason"] == reason
