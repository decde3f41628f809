"""The official SDK's server behind the gate, in memory and over HTTP, with the real decision point."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp import Client as OfficialClient, MCPError
from mcp.server import MCPServer
from mcp.server.caching import CacheHint
from mcp_types import PromptReference

from bailiwick.mcp.calls import ToolRule
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.server import guard
from bailiwick.testing import FakePDP, token_for
from support.mcp.mcpserver import AGENT, ENDPOINT, STRANGER, served

TOKEN: Final = token_for(AGENT)
Ran = list[Any]
Opening = Callable[..., AbstractAsyncContextManager[Client[Any]]]
TOOLS: Final[Mapping[str, ToolRule]] = {
    "add": ToolRule(),
    "refund": ToolRule(),
    "secret": ToolRule(),
    "order": ToolRule(action="orders.read", resource=("Order", "{id}")),
}


def server_of(gate: McpGate, ran: Ran) -> MCPServer[Any]:
    @asynccontextmanager
    async def lifespan(_: MCPServer[Any]) -> AsyncIterator[None]:
        yield
        await gate.close()

    server: MCPServer[Any] = MCPServer(
        "tools",
        lifespan=lifespan,
        middleware=[guard(gate)],
        cache_hints={"tools/list": CacheHint(ttl_ms=60_000, scope="public")},
    )

    @server.tool()
    def add(a: int, b: int) -> int:
        ran.append(("add", a, b))
        return a + b

    @server.tool()
    def refund(amount: int) -> str:
        ran.append(("refund", amount))
        return "done"

    @server.tool()
    def secret() -> str:
        ran.append("secret")
        return "secret"

    @server.tool()
    def unruly() -> str:
        ran.append("unruly")
        return "unruly"

    @server.tool()
    def order(id: int) -> str:  # noqa: A002 - the argument's name
        ran.append(("order", id))
        return "order"

    @server.resource("data://closed")
    def closed() -> str:
        ran.append("closed")
        return "closed"

    return server


@pytest.fixture
def ran() -> Ran:
    return []


@pytest.fixture(params=["memory", "http"])
def opening(fake_mcp: FakePDP, ran: Ran, request: pytest.FixtureRequest) -> Opening:
    """Open a client of a guarded server: in memory as the server's own identity, over HTTP with a token."""

    @asynccontextmanager
    async def opened(who: str | None = AGENT) -> AsyncIterator[Client[Any]]:
        token = None if who is None else token_for(who)
        over_http = request.param == "http"
        identity = None if over_http or token is None else lambda: token
        server = server_of(McpGate(fake_mcp.async_client(ENDPOINT), tools=TOOLS, identity=identity), ran)
        if not over_http:
            async with Client(server) as client:
                yield client
            return
        manager = served(server.streamable_http_app())
        url = await asyncio.to_thread(manager.__enter__)
        try:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            async with Client(StreamableHttpTransport(f"{url}/mcp", headers=headers)) as client:
                yield client
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)

    return opened


async def refusal(client: Client[Any], name: str, arguments: dict[str, Any] | None = None) -> MCPError:
    with pytest.raises(MCPError) as caught:
        await client.call_tool(name, arguments or {})
    return caught.value


async def test_only_what_a_rule_allows_is_run(opening: Opening, ran: Ran) -> None:
    async with opening() as client:
        result = await client.call_tool("add", {"a": 1, "b": 2})
        await client.call_tool("order", {"id": 7})
        refused = [
            await refusal(client, "secret"),
            await refusal(client, "refund", {"amount": 1}),
            await refusal(client, "unruly"),
            await refusal(client, "nothing"),
            await refusal(client, "order", {"id": 13}),
            await refusal(client, "order", {"id": "013"}),
        ]
        with pytest.raises(MCPError):
            await client.read_resource("data://closed")
    assert result.structured_content == {"result": 3}
    assert ran == [("add", 1, 2), ("order", 7)]
    assert [error.data["reason"] for error in refused] == [
        "no_rule",
        "approval_required",
        "unmapped",
        "unmapped",
        "policy_denied",
        "bad_request",
    ]


async def test_lists_show_what_may_be_called_or_asked_for(opening: Opening) -> None:
    async with opening() as client:
        assert {one.name for one in await client.list_tools()} == {"add", "refund", "order"}
        assert await client.list_resources() == []


async def test_a_stranger_and_who_has_no_token_may_nothing(opening: Opening, ran: Ran) -> None:
    async with opening(STRANGER) as client:
        assert await client.list_tools() == []
        assert (await refusal(client, "add", {"a": 1, "b": 2})).data["reason"] == "no_rule"
    async with opening(None) as client:
        assert (await refusal(client, "add", {"a": 1, "b": 2})).data["reason"] == "unauthenticated"
    assert ran == []


async def test_the_own_identity_is_not_lent_to_a_network(fake_mcp: FakePDP, ran: Ran) -> None:
    server = server_of(McpGate(fake_mcp.async_client(ENDPOINT), tools=TOOLS, identity=lambda: TOKEN), ran)
    with served(server.streamable_http_app()) as url:
        async with Client(StreamableHttpTransport(f"{url}/mcp")) as client:
            error = await refusal(client, "add", {"a": 1, "b": 2})
    assert (error.data["reason"], ran) == ("unauthenticated", [])


async def test_nobody_may_keep_a_list(fake_mcp: FakePDP, ran: Ran) -> None:
    server = server_of(McpGate(fake_mcp.async_client(ENDPOINT), tools=TOOLS, identity=lambda: TOKEN), ran)
    async with OfficialClient(server) as client:
        listed = await client.list_tools()
    assert (listed.ttl_ms, listed.cache_scope) == (0, "private")


async def test_methods_that_nobody_described_are_denied(fake_mcp: FakePDP, ran: Ran) -> None:
    server = server_of(McpGate(fake_mcp.async_client(ENDPOINT), tools=TOOLS, identity=lambda: TOKEN), ran)

    async with OfficialClient(server) as client:
        with pytest.raises(MCPError) as caught:
            await client.complete(PromptReference(name="greet"), {"name": "a", "value": "b"})
    assert (caught.value.code, caught.value.data["reason"]) == (-32601, "unmapped")
