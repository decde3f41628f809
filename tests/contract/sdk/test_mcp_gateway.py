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

_OF_ONE_DECISION: Final = frozenset({"evaluation_id", "evaluated_at"})
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
        (AGENT, "get_current_time", {"timezone": 7}, "no_rule"),
        (AGENT, "wipe", {}, "no_rule"),
        (AGENT, "convert_time", {**ZONES, "time": 12}, "bad_request"),
        (STRANGER, "convert_time", ZONES, "no_rule"),
        (STRANGER, "convert_time", {**ZONES, "time": 12}, "no_rule"),
    ],
)
async def test_what_no_rule_allows_does_not(
    url: str, who: str, name: str, arguments: dict[str, Any], reason: str
) -> None:
    async with client_of(url, who) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool(name, arguments)
    assert caught.value.data["reason"] == reason


@pytest.mark.parametrize("who", [AGENT, STRANGER])
@pytest.mark.parametrize(
    "arguments", [{}, {"timezone": "UTC"}, {"timezone": 7}, {"timezone": "UTC", "Timezone": "UTC"}]
)
async def test_who_may_not_call_a_tool_cannot_tell_it_from_one_that_is_not_there(
    url: str, who: str, arguments: dict[str, Any]
) -> None:
    said = []
    async with client_of(url, who) as client:
        for name in ("get_current_time", "set_current_time"):
            with pytest.raises(MCPError) as caught:
                await client.call_tool(name, arguments)
            data = {key: value for key, value in caught.value.data.items() if key not in _OF_ONE_DECISION}
            said.append((caught.value.code, str(caught.value), {*caught.value.data}, data))
    assert said[0] == said[1]
