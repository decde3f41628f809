"""Calls of MCP that wait for an approval, through each front: what reaches a tool, a prompt or a resource of it.

The oracle is the server, which reports what it got. The decision point is written down: two looks are pending, then it
allows.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import mcp_types
import pytest
from fastmcp import Client, Context as FastMcpContext, FastMCP
from fastmcp.client.elicitation import ElicitResult
from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context as OfficialContext

from bailiwick import AsyncBailiwick
from bailiwick.mcp.calls import APPROVAL_META, REASON_META
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.gateway.upstream import Upstream, gateway
from bailiwick.mcp.server import guard
from bailiwick.transports.base import HttpRequest, HttpResponse
from support.mcp.mcpserver import served
from support.sdk.script import Script, allow, answer, deny, echoed

TASK: Final = "agr-k3v9.66506a43-0000"
PENDING: Final = {"id": TASK, "status": "pending"}
RESPONSES: Final = "dev.bailiwick/inputResponses"
STATE: Final = "dev.bailiwick/requestState"
FRONTS: Final = ("FastMCP", "official SDK", "gateway")
Got = list[Any]
Ask = Callable[[Client[Any], Any], Awaitable[object]]


class ApprovingPoint(Script):
    """Each call waits for an approval of its own, is looked at twice, and is then allowed once."""

    def __init__(self) -> None:
        super().__init__(allow())
        self.looks: dict[str, int] = {}
        self.allowed: list[Any] = []

    def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        self.sent.append(request)
        return echoed(request, self._answer(request))

    def _answer(self, request: HttpRequest) -> HttpResponse:
        body = json.loads(request.body or b"{}")
        if "evaluations" in body:
            return answer({"evaluations": [{"decision": True} for _ in body["evaluations"]]})
        if request.url.endswith("/requests"):
            return answer({"task": PENDING}, 202)
        if request.url.endswith(TASK):
            return answer({"task": PENDING}, retry_after="1")
        call = json.dumps([body["action"], body["resource"]["id"], body["context"].get("args")])
        if not body["context"].get("dry_run"):
            if self.looks.get(call, 0) < 2:
                return deny("approval_pending", task=PENDING)
            self.looks[call] = -1_000_000
            self.allowed.append(body["context"].get("args"))
            return allow()
        self.looks[call] = self.looks.get(call, 0) + 1
        if self.looks[call] < 2:
            return deny("approval_pending", dry_run=True, task=PENDING)
        return (
            answer({"decision": True, "context": {"dry_run": True}})
            if self.looks[call] > 0
            else deny("approval_consumed")
        )


def take_round(ctx: Any, got: Got, done: Any) -> Any:  # noqa: ANN401 - of either SDK
    """Report what came; ask in the first round."""
    answers = ctx.input_responses
    got.append((None if answers is None else sorted(answers), ctx.request_state))
    if answers is None:
        params = mcp_types.ElicitRequestFormParams(
            message="How much?", requested_schema={"type": "object", "properties": {"amount": {"type": "integer"}}}
        )
        request = mcp_types.ElicitRequest(params=params)
        return mcp_types.InputRequiredResult(input_requests={"a": request}, request_state="paid-0")
    return done


def fastmcp_server(got: Got, **settings: Any) -> FastMCP[Any]:  # noqa: ANN401 - a server's own
    server: FastMCP[Any] = FastMCP("rounds", **settings)

    @server.tool
    def pay(to: str, ctx: FastMcpContext) -> Any:  # noqa: ANN401 - a question first
        return take_round(ctx, got, f"paid {to}")

    @server.tool
    async def outer(ctx: FastMcpContext) -> str:
        got.append("outer")
        await ctx.fastmcp.call_tool("pay", {"to": "bob"})
        got.append("paid")
        return "done"

    @server.prompt
    def letter(to: str, ctx: FastMcpContext) -> Any:  # noqa: ANN401 - likewise
        return take_round(ctx, got, f"to {to}")

    @server.resource("crm://customers/{id}")
    def customer(id: str, ctx: FastMcpContext) -> Any:  # noqa: A002, ANN401 - likewise
        return take_round(ctx, got, f"customer {id}")

    return server


def official_server(got: Got, **settings: Any) -> MCPServer[Any]:  # noqa: ANN401 - likewise
    server: MCPServer[Any] = MCPServer("rounds", **settings)

    @server.tool(structured_output=False)
    def pay(to: str, ctx: OfficialContext[Any, Any]) -> Any:  # noqa: ANN401 - likewise
        return take_round(ctx, got, f"paid {to}")

    @server.prompt()
    def letter(to: str, ctx: OfficialContext[Any, Any]) -> Any:  # noqa: ANN401 - likewise
        return take_round(ctx, got, f"to {to}")

    @server.resource("crm://customers/{id}")
    def customer(id: str, ctx: OfficialContext[Any, Any]) -> Any:  # noqa: A002, ANN401 - likewise
        return take_round(ctx, got, f"customer {id}")

    return server


async def call(client: Client[Any], meta: Any) -> object:  # noqa: ANN401 - `_meta`
    return await client.call_tool("pay", {"to": "bob"}, meta=meta)


async def prompt(client: Client[Any], meta: Any) -> object:  # noqa: ANN401 - likewise
    return await client.get_prompt("letter", {"to": "bob"}, meta=meta)


async def read(client: Client[Any], meta: Any) -> object:  # noqa: ANN401 - likewise
    return await client.read_resource("crm://customers/vip", meta=meta)


ASKS: Final[dict[str, Ask]] = {"tool": call, "prompt": prompt, "resource": read}


def gate_of(script: Script) -> McpGate:
    pdp = AsyncBailiwick("https://pdp.example", token=None, transport=script.asynchronous)
    return McpGate(pdp, identity=lambda: "own", wait_seconds=0.05, approve_at="https://c.example/grants/shop/{grant}")


async def play(server: Any, ask: Ask) -> list[str]:  # noqa: ANN401 - of either SDK
    asked: list[str] = []

    async def answered(message: str, *_: object) -> ElicitResult[dict[str, int]]:
        asked.append(message)
        return ElicitResult(action="accept", content={"amount": 20})

    async with Client(server, elicitation_handler=answered) as client:
        await ask(client, {REASON_META: "INC-1"})
    return asked


async def play_through(front: str, script: Script, got: Got, ask: Ask) -> list[str]:
    gate = gate_of(script)
    if front == "FastMCP":
        return await play(fastmcp_server(got, middleware=[BailiwickMiddleware(gate)]), ask)
    if front == "official SDK":
        return await play(official_server(got, middleware=[guard(gate)]), ask)
    with served(fastmcp_server(got).http_app(path="/mcp")) as base:
        return await play(gateway(Upstream(f"{base}/mcp"), gate), ask)


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("what", ASKS)
async def test_the_rounds_of_a_wait_are_none_of_the_server(front: str, what: str) -> None:
    point, got = ApprovingPoint(), Got()
    await play_through(front, point, got, ASKS[what])
    # Its own two rounds, each once and as without a wait.
    assert got == [(None, None), (["a"], "paid-0")]
    first, second = point.allowed
    assert RESPONSES not in (first or {})
    assert set(second[RESPONSES]) == {"a"}
    # The gateway sees what the upstream sealed.
    assert (second[STATE] == "paid-0") == (front != "gateway")


@pytest.mark.parametrize("front", FRONTS)
async def test_a_state_of_a_wait_reaches_no_server_that_has_rounds_of_its_own(front: str) -> None:
    point, got = ApprovingPoint(), Got()
    await play_through(front, point, got, call)
    for body in point.bodies:
        args = (body or {}).get("context", {}).get("args") or {}
        assert not str(args.get(STATE, "")).startswith("agr-")
        assert "approval" not in args.get(RESPONSES, {})


async def test_a_call_within_a_call_is_not_repeated_by_a_tool_that_cannot() -> None:
    class OuterPoint(ApprovingPoint):
        def _answer(self, request: HttpRequest) -> HttpResponse:
            body = json.loads(request.body or b"{}")
            outer = body.get("action", {}).get("name") == "outer"
            return allow() if outer and "requests" not in request.url else super()._answer(request)

    got = Got()
    server = fastmcp_server(got, middleware=[BailiwickMiddleware(gate_of(OuterPoint()))])
    async with Client(server) as client:
        with pytest.raises(Exception, match="approval_pending"):
            await client.call_tool("outer", {})
    assert got == ["outer"]


async def test_a_client_that_drives_the_rounds_itself_is_told_the_task() -> None:
    point, got = ApprovingPoint(), Got()
    server = official_server(got, middleware=[guard(gate_of(point))])
    async with Client(server) as client:
        came = await client.session.call_tool("pay", {"to": "bob"}, meta={REASON_META: "x"}, allow_input_required=True)
        assert isinstance(came, mcp_types.InputRequiredResult)
        assert (came.meta or {})[APPROVAL_META]["task"] == PENDING
        # It declares no links, and gets none.
        assert came.input_requests is None
        # The framework sealed it, and takes no other.
        with pytest.raises(MCPError) as caught:
            await client.session.call_tool("pay", {"to": "bob"}, request_state=TASK, allow_input_required=True)
    assert (caught.value.code, got) == (-32602, [])
