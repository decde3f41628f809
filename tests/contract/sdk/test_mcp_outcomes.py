"""What became of a message of MCP is reported once, whatever server is behind the gate: it tells what it did."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import mcp_types
import pytest
from fastmcp import Client, Context as FastMcpContext, FastMCP
from fastmcp.client.elicitation import ElicitResult
from fastmcp.exceptions import ToolError
from fastmcp.tools.base import ToolResult
from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context as OfficialContext
from pydantic import BaseModel

from bailiwick import AsyncBailiwick, TransportError
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.gateway.upstream import Upstream, gateway
from bailiwick.mcp.server import guard
from support.mcp.mcpserver import served
from support.sdk.outcomes import ReportScript
from support.sdk.script import Scripted, answer
from support.waits import until

FRONTS: Final = ("FastMCP", "official SDK", "gateway")
SECONDS: Final = 10.0


class Amount(BaseModel):
    """What a tool asks its caller for."""

    amount: int


@dataclass
class FrontedServer:
    """A client of a server behind the gate. `did` is what its tools did."""

    client: Client[Any]
    script: ReportScript
    did: list[str]


@dataclass
class Tools:
    """Tools of which each ends in its own way."""

    did: list[str] = field(default_factory=list)

    def good(self) -> str:
        """Do it."""
        self.did.append("good")
        return "done"

    def bad(self) -> str:
        """Raise."""
        raise RuntimeError("no")

    def slow(self) -> str:
        """Do it after a while, in a thread."""
        self.did.append("begun")
        time.sleep(0.5)
        self.did.append("slow")
        return "done"

    async def endless(self) -> str:
        """Wait."""
        self.did.append("begun")
        await asyncio.Event().wait()
        return "never"


def input_request() -> mcp_types.InputRequiredResult:
    schema = {"type": "object", "properties": {"amount": {"type": "integer"}}}
    params = mcp_types.ElicitRequestFormParams(message="How much?", requested_schema=schema)
    return mcp_types.InputRequiredResult(input_requests={"a": mcp_types.ElicitRequest(params=params)})


def fastmcp_server(tools: Tools, **settings: Any) -> FastMCP[Any]:  # noqa: ANN401 - a server's own
    server: FastMCP[Any] = FastMCP("ends", **settings)
    for tool in (tools.good, tools.bad, tools.slow, tools.endless):
        server.tool(tool)

    @server.tool
    def flagged() -> ToolResult:
        return ToolResult(content="no", is_error=True)

    @server.tool
    def rounds(ctx: FastMcpContext) -> Any:  # noqa: ANN401 - a question first
        return input_request() if ctx.input_responses is None else "done"

    @server.tool
    async def middle(ctx: FastMcpContext) -> str:
        await ctx.elicit("How much?", response_type=Amount)
        return "done"

    @server.resource("data://open")
    def data() -> str:
        return "data"

    @server.resource("data://broken")
    def broken() -> str:
        raise RuntimeError("no")

    @server.prompt
    def greet() -> str:
        return "hello"

    return server


def official_server(tools: Tools, **settings: Any) -> MCPServer[Any]:  # noqa: ANN401 - likewise
    server: MCPServer[Any] = MCPServer("ends", **settings)
    for tool in (tools.good, tools.bad, tools.slow, tools.endless):
        server.tool()(tool)

    @server.tool(structured_output=False)
    def flagged() -> mcp_types.CallToolResult:
        return mcp_types.CallToolResult(content=[mcp_types.TextContent(type="text", text="no")], is_error=True)

    @server.tool(structured_output=False)
    def rounds(ctx: OfficialContext[Any, Any]) -> Any:  # noqa: ANN401 - likewise
        return input_request() if ctx.input_responses is None else "done"

    @server.tool()
    async def middle(ctx: OfficialContext[Any, Any]) -> str:
        await ctx.elicit("How much?", schema=Amount)
        return "done"

    @server.resource("data://open")
    def data() -> str:
        return "data"

    @server.resource("data://broken")
    def broken() -> str:
        raise RuntimeError("no")

    @server.prompt()
    def greet() -> str:
        return "hello"

    return server


async def agree(*_: object) -> ElicitResult[dict[str, int]]:
    return ElicitResult(action="accept", content={"amount": 20})


@asynccontextmanager
async def open_front(
    front: str,
    *reports: Scripted,
    **settings: Any,  # noqa: ANN401 - a client's own
) -> AsyncIterator[FrontedServer]:
    script, tools = ReportScript(reports=list(reports)), Tools()
    pdp = AsyncBailiwick("https://pdp.example", token=None, transport=script.asynchronous)
    gate = McpGate(pdp, identity=lambda: "own")

    @asynccontextmanager
    async def opened(server: Any) -> AsyncIterator[FrontedServer]:  # noqa: ANN401 - of either SDK
        async with Client(server, elicitation_handler=agree, **settings) as client:
            yield FrontedServer(client, script, tools.did)
        await gate.close()

    if front == "FastMCP":
        async with opened(fastmcp_server(tools, middleware=[BailiwickMiddleware(gate)])) as one:
            yield one
    elif front == "official SDK":
        async with opened(official_server(tools, middleware=[guard(gate)])) as one:
            yield one
    else:
        with served(fastmcp_server(tools).http_app(path="/mcp")) as base:
            async with opened(gateway(Upstream(f"{base}/mcp"), gate)) as one:
                yield one


Ask = Callable[[Client[Any]], Awaitable[Any]]
ENDS: Final[dict[str, tuple[Ask, list[str]]]] = {
    "a tool that ends": (lambda client: client.call_tool("good", {}), ["succeeded"]),
    "a tool that raises": (lambda client: client.call_tool("bad", {}), ["failed"]),
    "a tool that says that it failed": (lambda client: client.call_tool("flagged", {}), ["failed"]),
    "a resource": (lambda client: client.read_resource("data://open"), ["succeeded"]),
    "a prompt": (lambda client: client.get_prompt("greet"), ["succeeded"]),
    "a list": (lambda client: client.list_tools(), []),
    # The first round is not over: it neither succeeded nor failed.
    "a call in two rounds": (lambda client: client.call_tool("rounds", {}), ["succeeded"]),
}


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize(("ask", "outcomes"), ENDS.values(), ids=ENDS)
async def test_the_end_of_a_call_is_reported(front: str, ask: Ask, outcomes: list[str]) -> None:
    async with open_front(front) as one:
        with suppress(ToolError, MCPError):
            await ask(one.client)
    assert one.script.outcomes == outcomes


@pytest.mark.parametrize("front", ["FastMCP", "official SDK"])
async def test_a_resource_that_cannot_be_read_has_failed(front: str) -> None:
    async with open_front(front) as one:
        with pytest.raises(MCPError):
            await one.client.read_resource("data://broken")
    assert one.script.outcomes == ["failed"]


@pytest.mark.parametrize("front", FRONTS)
async def test_of_a_call_in_rounds_the_last_decision_is_the_one_that_succeeded(front: str) -> None:
    async with open_front(front) as one:
        await one.client.call_tool("rounds", {})
    assert [report["handle"] for report in one.script.reports] == ["h-2"]


@pytest.mark.parametrize("front", ["FastMCP", "official SDK"])
async def test_each_decision_in_the_middle_of_a_call_has_the_outcome_of_the_call(front: str) -> None:
    async with open_front(front, mode="legacy") as one:
        await one.client.call_tool("middle", {})
    assert [(one["handle"], one["outcome"]) for one in one.script.reports] == [
        ("h-1", "succeeded"),
        ("h-2", "succeeded"),
    ]


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("lost", [answer({}, 403), TransportError("reset")], ids=["refused", "no answer"])
async def test_a_report_that_is_lost_changes_no_result(front: str, lost: Scripted) -> None:
    async with open_front(front, lost) as one:
        came = await one.client.call_tool("good", {})
    assert (came.is_error, one.did) == (False, ["good"])
    assert set(one.script.outcomes) == {"succeeded"}


# The tool in a thread goes on to its end. Behind the gateway, only the upstream knows whether a call was made.
CANCELLED: Final = [
    ("FastMCP", "endless", ["cancelled"]),
    ("official SDK", "endless", ["cancelled"]),
    ("gateway", "endless", []),
    ("FastMCP", "slow", ["succeeded"]),
    ("official SDK", "slow", ["succeeded"]),
    ("gateway", "slow", []),
]


@pytest.mark.parametrize(("front", "tool", "outcomes"), CANCELLED)
async def test_a_caller_that_cancels_does_not_take_back_what_was_done(
    front: str, tool: str, outcomes: list[str]
) -> None:
    async with open_front(front) as one:
        task = asyncio.create_task(one.client.call_tool(tool, {}))
        await asyncio.to_thread(until, lambda: "begun" in one.did, "the tool runs", SECONDS)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if tool == "slow":
            await asyncio.to_thread(until, lambda: "slow" in one.did, "the tool has ended", SECONDS)
        # One that would report: the gate serves after it.
        await one.client.call_tool("good", {})
    assert [report["outcome"] for report in one.script.reports if report["handle"] == "h-1"] == outcomes


async def test_an_upstream_that_is_lost_in_a_call_has_no_outcome() -> None:
    async with open_front("gateway") as one:
        with pytest.raises(MCPError) as caught:
            await one.client.read_resource("data://broken")
    assert caught.value.data["reason"] == "upstream_lost"
    assert one.script.reports == []


async def test_a_resource_that_an_extension_tells_of_is_not_read() -> None:
    script = ReportScript()
    pdp = AsyncBailiwick("https://pdp.example", token=None, transport=script.asynchronous)
    gate = McpGate(pdp, identity=lambda: "own")
    server = fastmcp_server(Tools(), middleware=[BailiwickMiddleware(gate)])
    # What its discovery of skills asks before it names a file.
    await server._check_resource_access("data://open")
    await gate.close()
    assert script.outcomes == ["cancelled"]
