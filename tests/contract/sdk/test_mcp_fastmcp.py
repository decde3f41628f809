"""FastMCP behind the gate, in memory and over HTTP, with the real decision point."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import pytest
from fastmcp import Client, Context, FastMCP
from fastmcp.client.transports import StreamableHttpTransport
from mcp import MCPError

from bailiwick import AsyncBailiwick, Principal
from bailiwick.mcp.calls import ToolRule
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate
from bailiwick.testing import FakePDP, token_for
from support.mcp.mcpserver import AGENT, ENDPOINT, STRANGER, served

TOKEN: Final = token_for(AGENT)
Ran = list[Any]
Opening = Callable[..., AbstractAsyncContextManager[Client[Any]]]
TOOLS: Final = {
    "add": ToolRule(),
    "outer": ToolRule(),
    "refund": ToolRule(),
    "secret": ToolRule(),
    "transfer": ToolRule(),
    "order": ToolRule(action="orders.read", resource=("Order", "{id}")),
}


def closing(gate: McpGate) -> Any:  # noqa: ANN401 - as FastMCP has it
    """Close the gate's client where it was used: in the event loop of the server."""

    @asynccontextmanager
    async def lifespan(_: FastMCP[Any]) -> AsyncIterator[dict[str, Any]]:
        yield {}
        await gate.close()

    return lifespan


def server_of(gate: McpGate, ran: Ran) -> FastMCP[Any]:
    server: FastMCP[Any] = FastMCP("tools", middleware=[BailiwickMiddleware(gate)], lifespan=closing(gate))

    @server.tool
    def add(a: int, b: int) -> int:
        ran.append(("add", a, b))
        return a + b

    @server.tool
    def refund(amount: int) -> str:
        ran.append(("refund", amount))
        return "done"

    @server.tool
    def secret() -> str:
        ran.append("secret")
        return "secret"

    @server.tool
    def transfer(amount: int) -> str:
        ran.append(("transfer", amount))
        return "sent"

    @server.tool
    def unruly() -> str:
        ran.append("unruly")
        return "unruly"

    @server.tool
    def order(id: int) -> str:  # noqa: A002 - the argument's name
        ran.append(("order", id))
        return "order"

    @server.tool
    async def outer(ctx: Context) -> str:
        await ctx.fastmcp.call_tool("secret", {})
        return "outer"

    add_reads(server, ran)
    return server


def add_reads(server: FastMCP[Any], ran: Ran) -> None:
    @server.resource("data://open")
    def opened() -> str:
        return "open"

    @server.resource("data://closed")
    def closed() -> str:
        ran.append("closed")
        return "closed"

    @server.resource("data://items/{name}")
    def item(name: str) -> str:
        ran.append("item")
        return name

    @server.prompt
    def greet() -> str:
        return "hello"

    @server.prompt
    def hidden() -> str:
        ran.append("hidden")
        return "hidden"


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
        pdp: AsyncBailiwick = fake_mcp.async_client(ENDPOINT)
        server = server_of(McpGate(pdp, tools=TOOLS, identity=identity), ran)
        if not over_http:
            async with Client(server) as client:
                yield client
            return
        manager = served(server.http_app(path="/mcp"))
        url = await asyncio.to_thread(manager.__enter__)
        try:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            async with Client(StreamableHttpTransport(f"{url}/mcp", headers=headers)) as client:
                yield client
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)

    return opened


async def refusal(
    client: Client[Any], name: str, arguments: dict[str, Any] | None = None, meta: dict[str, Any] | None = None
) -> MCPError:
    with pytest.raises(MCPError) as caught:
        await client.call_tool(name, arguments or {}, meta=meta)
    return caught.value


async def test_what_a_rule_allows_is_run(opening: Opening, ran: Ran) -> None:
    async with opening() as client:
        result = await client.call_tool("add", {"a": 1, "b": 2})
    assert result.data == 3
    assert ran == [("add", 1, 2)]


@pytest.mark.parametrize(
    ("name", "arguments", "code", "reason"),
    [
        ("secret", {}, -32001, "no_rule"),
        ("refund", {"amount": 1}, -32001, "approval_required"),
        ("transfer", {"amount": 501}, -32001, "condition_false"),
        ("unruly", {}, -32001, "unmapped"),
        ("nothing", {}, -32001, "unmapped"),
        ("order", {"id": 13}, -32001, "policy_denied"),
        ("order", {"id": "13"}, -32001, "policy_denied"),
        ("order", {"id": "013"}, -32602, "bad_request"),
        ("order", {"id": 13.0}, -32602, "bad_request"),
        ("order", {}, -32602, "bad_request"),
    ],
)
async def test_what_no_rule_allows_is_not_run(
    opening: Opening, ran: Ran, name: str, arguments: dict[str, Any], code: int, reason: str
) -> None:
    async with opening() as client:
        error = await refusal(client, name, arguments)
    assert (error.code, error.data["reason"], ran) == (code, reason, [])
    assert error.message.startswith(f"{reason}: ")


async def test_a_tool_of_which_its_arguments_decide_is_listed_and_decided_when_it_is_called(
    opening: Opening, ran: Ran
) -> None:
    async with opening() as client:
        assert "transfer" in {one.name for one in await client.list_tools()}
        await client.call_tool("transfer", {"amount": 500})
    assert ran == [("transfer", 500)]


async def test_an_argument_names_what_is_acted_on(opening: Opening, ran: Ran) -> None:
    async with opening() as client:
        await client.call_tool("order", {"id": 7})
    assert ran == [("order", 7)]


async def test_a_stranger_may_nothing_and_sees_nothing(opening: Opening, ran: Ran) -> None:
    async with opening(STRANGER) as client:
        assert await client.list_tools() == []
        assert (await refusal(client, "add", {"a": 1, "b": 2})).code == -32001
    assert ran == []


async def test_who_has_no_token_is_denied(opening: Opening, ran: Ran) -> None:
    async with opening(None) as client:
        error = await refusal(client, "add", {"a": 1, "b": 2})
        with pytest.raises(MCPError):
            await client.list_tools()
    assert (error.data["reason"], ran) == ("unauthenticated", [])


async def test_lists_show_what_may_be_called_or_asked_for(opening: Opening) -> None:
    async with opening() as client:
        assert {one.name for one in await client.list_tools()} == {"add", "outer", "refund", "order", "transfer"}
        assert [str(one.uri) for one in await client.list_resources()] == ["data://open"]
        assert await client.list_resource_templates() == []
        assert [one.name for one in await client.list_prompts()] == ["greet"]


async def test_resources_and_prompts_are_asked_about(opening: Opening, ran: Ran) -> None:
    async with opening() as client:
        assert await client.read_resource("data://open")
        assert (await client.get_prompt("greet")).messages
        for uri in ("data://closed", "data://items/x"):
            with pytest.raises(MCPError):
                await client.read_resource(uri)
        with pytest.raises(MCPError):
            await client.get_prompt("hidden")
    assert ran == []


async def test_a_tool_that_calls_a_tool_is_asked_again(opening: Opening, ran: Ran) -> None:
    async with opening() as client:
        with pytest.raises(Exception, match="outer"):
            await client.call_tool("outer", {})
    assert ran == []


async def test_the_own_identity_is_not_lent_to_a_network(fake_mcp: FakePDP, ran: Ran) -> None:
    pdp = fake_mcp.async_client(ENDPOINT)
    server = server_of(McpGate(pdp, tools=TOOLS, identity=lambda: TOKEN), ran)
    with served(server.http_app(path="/mcp")) as url:
        async with Client(StreamableHttpTransport(f"{url}/mcp")) as client:
            error = await refusal(client, "add", {"a": 1, "b": 2})
    assert (error.data["reason"], ran) == ("unauthenticated", [])


async def test_a_parent_guards_what_is_mounted(fake_mcp: FakePDP, ran: Ran) -> None:
    child: FastMCP[Any] = FastMCP("child")

    @child.tool
    def wipe() -> str:
        ran.append("wipe")
        return "gone"

    server = server_of(McpGate(fake_mcp.async_client(ENDPOINT), identity=lambda: TOKEN), ran)
    server.mount(child, namespace="sub")
    async with Client(server) as client:
        error = await refusal(client, "sub_wipe")
    assert (error.data["reason"], ran) == ("no_rule", [])


async def test_nobody_who_decides_means_no(ran: Ran) -> None:
    pdp = AsyncBailiwick("http://127.0.0.1:9", endpoint=ENDPOINT, token=lambda: "t", deadline=0.5)
    server = server_of(McpGate(pdp, identity=Principal("user", "alice")), ran)
    async with Client(server) as client:
        error = await refusal(client, "add", {"a": 1, "b": 2})
        with pytest.raises(MCPError):
            await client.list_tools()
    assert (error.code, error.data["reason"], ran) == (-32603, "pdp_unavailable", [])
