"""Where a guard of MCP could be gone around: rounds of one call, caches, sessions, stdio, names in other spellings."""

import sys
from collections.abc import Callable
from typing import Any, Final

import mcp_types
import pytest
import requests
from fastmcp import Client, Context, FastMCP
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp.server.middleware.caching import ResponseCachingMiddleware
from mcp import MCPError
from mcp.server import MCPServer

from bailiwick import Decision
from bailiwick.mcp.calls import McpMessage
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpAsker, McpGate
from bailiwick.mcp.gateway.upstream import Upstream, gateway
from bailiwick.mcp.resumption import Resumption
from bailiwick.mcp.server import guard
from bailiwick.testing import FakePDP, token_for
from support.mcp.gateways import client_of
from support.mcp.mcpserver import AGENT, ENDPOINT, STRANGER, closing_of, served

HEADERS: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
STDIO: Final = """
import sys
from fastmcp import FastMCP
from bailiwick import AsyncBailiwick
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate
from bailiwick.testing import token_for
url, endpoint, who = sys.argv[1:]
identity = (lambda: token_for(who)) if who else None
pdp = AsyncBailiwick(url, endpoint=endpoint, token=lambda: "test", deadline=10.0)
server = FastMCP("tools", middleware=[BailiwickMiddleware(McpGate(pdp, identity=identity))])
server.tool(lambda: 3, name="add")
server.run(show_banner=False)
"""


class CountingGate(McpGate):
    """Keeps what was admitted."""

    def __init__(self, pdp: McpAsker) -> None:
        super().__init__(pdp)
        self.admitted: list[str] = []

    async def admit(self, message: McpMessage, resumption: Resumption | None = None) -> Decision | None:
        decision = await super().admit(message, resumption)
        if decision is not None:
            self.admitted.append(message.method)
        return decision


def asking(ran: list[str], **settings: Any) -> FastMCP[Any]:  # noqa: ANN401 - a server's own
    """Return a server whose tool asks its caller before it runs."""
    server: FastMCP[Any] = FastMCP("rounds", **settings)

    @server.tool
    def add(ctx: Context) -> Any:  # noqa: ANN401 - a question first
        if ctx.input_responses is None:
            schema = {"type": "object", "properties": {"sure": {"type": "boolean"}}}
            asked = mcp_types.ElicitRequestFormParams(message="Sure?", requested_schema=schema)
            question = mcp_types.ElicitRequest(params=asked)
            return mcp_types.InputRequiredResult(input_requests={"a": question}, request_state="s")
        ran.append("add")
        return "done"

    return server


async def call_in_rounds(url: str) -> None:
    async def answer(*_: object) -> ElicitResult[dict[str, bool]]:
        return ElicitResult(action="accept", content={"sure": True})

    headers = {"Authorization": f"Bearer {token_for(AGENT)}"}
    async with Client(StreamableHttpTransport(url, headers=headers), elicitation_handler=answer) as client:
        await client.call_tool("add", {})


async def test_each_round_of_a_call_is_asked_about(fake_mcp: FakePDP) -> None:
    gate, ran = CountingGate(fake_mcp.async_client(ENDPOINT)), list[str]()
    server = asking(ran, middleware=[BailiwickMiddleware(gate)], lifespan=closing_of(gate))
    with served(server.http_app(path="/mcp")) as base:
        await call_in_rounds(f"{base}/mcp")
    assert (ran, gate.admitted) == (["add"], ["tools/call", "tools/call"])


async def test_each_round_is_asked_about_by_the_gateway_too(fake_mcp: FakePDP) -> None:
    gate, ran = CountingGate(fake_mcp.async_client(ENDPOINT)), list[str]()
    with served(asking(ran).http_app(path="/mcp")) as behind:
        front = gateway(Upstream(f"{behind}/mcp"), gate)
        with served(front.http_app(path="/mcp", stateless_http=True)) as base:
            await call_in_rounds(f"{base}/mcp")
    assert (ran, gate.admitted) == (["add"], ["tools/call", "tools/call"])


async def test_what_a_cache_holds_of_one_caller_is_not_anothers(fake_mcp: FakePDP) -> None:
    gate = McpGate(fake_mcp.async_client(ENDPOINT))
    guards = [BailiwickMiddleware(gate), ResponseCachingMiddleware()]
    server: FastMCP[Any] = FastMCP("cached", middleware=guards, lifespan=closing_of(gate))
    ran: list[int] = []

    @server.tool
    def add() -> int:
        ran.append(1)
        return 3

    @server.tool
    def secret() -> int:
        return 4

    with served(server.http_app(path="/mcp")) as base:
        async with client_of(f"{base}/mcp", AGENT) as agent, client_of(f"{base}/mcp", STRANGER) as stranger:
            for _ in range(2):
                assert [one.name for one in await agent.list_tools()] == ["add"]
                await agent.call_tool("add", {})
            assert ran == [1]
            assert await stranger.list_tools() == []
            with pytest.raises(MCPError) as caught:
                await stranger.call_tool("add", {})
    assert caught.value.data["reason"] == "no_rule"


def fastmcp_app(gate: McpGate) -> Any:  # noqa: ANN401 - an ASGI application
    server: FastMCP[Any] = FastMCP("tools", middleware=[BailiwickMiddleware(gate)], lifespan=closing_of(gate))
    server.tool(lambda: 3, name="add")
    return server.http_app(path="/mcp")


def official_app(gate: McpGate) -> Any:  # noqa: ANN401 - an ASGI application
    server: MCPServer[Any] = MCPServer("tools", middleware=[guard(gate)], lifespan=closing_of(gate))
    server.tool(name="add")(lambda: 3)
    return server.streamable_http_app()


@pytest.mark.parametrize("app", [fastmcp_app, official_app])
def test_a_session_is_nobodys_proof(fake_mcp: FakePDP, app: Callable[[McpGate], Any]) -> None:
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "add", "arguments": {}}}
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    with served(app(McpGate(fake_mcp.async_client(ENDPOINT)))) as base:

        def post(body: object, who: str | None, **more: str) -> requests.Response:
            own = {} if who is None else {"Authorization": f"Bearer {token_for(who)}"}
            return requests.post(f"{base}/mcp", json=body, headers={**HEADERS, **own, **more}, timeout=30)

        begun = post(begin, AGENT)
        session = {"Mcp-Session-Id": begun.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
        post({"jsonrpc": "2.0", "method": "notifications/initialized"}, AGENT, **session)
        assert '"isError":false' in post(call, AGENT, **session).text
        assert '"reason":"no_rule"' in post(call, STRANGER, **session).text
        assert '"reason":"unauthenticated"' in post(call, None, **session).text


@pytest.mark.long
@pytest.mark.parametrize(("who", "reason"), [(AGENT, None), (STRANGER, "no_rule"), ("", "unauthenticated")])
async def test_over_stdio_the_process_is_the_caller(fake_mcp: FakePDP, who: str, reason: str | None) -> None:
    transport = StdioTransport(sys.executable, ["-P", "-c", STDIO, fake_mcp.url, ENDPOINT, who])
    async with Client(transport, init_timeout=120) as client:
        if reason is None:
            assert (await client.call_tool("add", {})).content[0].text == "3"
            return
        with pytest.raises(MCPError) as caught:
            await client.call_tool("add", {})
    assert caught.value.data["reason"] == reason


@pytest.mark.parametrize(
    "uri",
    [
        "data://closed/",
        "DATA://closed",
        "data://CLOSED",
        "data://open/../closed",
        "data://open/%2e%2e/closed",
        "data://%63losed",
        "data://open\\closed",
        "data://open#/closed",
        "data://open?x=data://closed",
        " data://closed",
        "data://closed\x00",
    ],
)
async def test_ab_26_a_resource_in_another_spelling_is_not_read(fake_mcp: FakePDP, uri: str) -> None:
    gate = McpGate(fake_mcp.async_client(ENDPOINT), identity=lambda: token_for(AGENT))
    server: FastMCP[Any] = FastMCP("reads", middleware=[BailiwickMiddleware(gate)], lifespan=closing_of(gate))
    ran: list[str] = []

    @server.resource("data://closed")
    def closed() -> str:
        ran.append("closed")
        return "closed"

    @server.resource("data://open")
    def opened() -> str:
        return "open"

    async with Client(server) as client:
        with pytest.raises(Exception, match=r"."):
            await client.read_resource(uri)
    assert ran == []


@pytest.mark.parametrize("text", ["null", " null\n", '["13"]', '{"id": 13}'])
async def test_a_text_that_the_official_sdk_takes_for_the_json_in_it_does_not_run(fake_mcp: FakePDP, text: str) -> None:
    gate, ran = McpGate(fake_mcp.async_client(ENDPOINT)), list[Any]()
    server: MCPServer[Any] = MCPServer("tools", middleware=[guard(gate)], lifespan=closing_of(gate))

    @server.tool()
    def add(customer: str | list[str] | dict[str, int] | None = "13", note: str = "") -> None:
        ran.append((customer, note))

    with served(server.streamable_http_app()) as base:
        async with client_of(f"{base}/mcp", AGENT) as agent:
            # What takes texts alone gets the text.
            await agent.call_tool("add", {"customer": "13", "note": text})
            with pytest.raises(MCPError) as caught:
                await agent.call_tool("add", {"customer": text})
    assert ran == [("13", text)]
    assert caught.value.data["reason"] == "ambiguous_request"
