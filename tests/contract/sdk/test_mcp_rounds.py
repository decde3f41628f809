"""Later rounds of a call of MCP, and `_meta`: what reaches a tool, a prompt or a resource is in the question.

The oracle is the server, which reports what it got; the questions are those that a decision point received.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import mcp_types
import pytest
import requests
from fastmcp import Client, Context as FastMcpContext, FastMCP
from fastmcp.client.elicitation import ElicitResult
from fastmcp.exceptions import ToolError
from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context as OfficialContext
from pydantic import BaseModel

from bailiwick import AsyncBailiwick
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.gateway.upstream import Upstream, gateway
from bailiwick.mcp.server import guard
from bailiwick.transports.base import HttpRequest, HttpResponse
from support.mcp.mcpserver import served
from support.sdk.script import Script, allow, answer, decisions_in, deny, echoed

RESPONSES: Final = "dev.bailiwick/inputResponses"
STATE: Final = "dev.bailiwick/requestState"
META: Final = "dev.bailiwick/meta"
Got = list[dict[str, Any]]


class Amount(BaseModel):
    """What a tool asks its caller for."""

    amount: int


class AnswersScript(Script):
    """Denies a call whose caller answered with an amount of more than 500, as a rule on its arguments would."""

    def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        body = json.loads(request.body or b"{}")
        if "evaluations" in body:
            return echoed(request, answer({"evaluations": [{"decision": True} for _ in body["evaluations"]]}))
        came = super().send(request, seconds)
        answers = body.get("context", {}).get("args", {}).get(RESPONSES, {})
        over = any(one["content"]["amount"] > 500 for one in answers.values())
        return echoed(request, deny("condition_false")) if over else came

    @property
    def args(self) -> list[Any]:
        return [body["context"].get("args") for body in self.bodies]


def input_request() -> mcp_types.InputRequiredResult:
    schema = {"type": "object", "properties": {"amount": {"type": "integer"}}}
    params = mcp_types.ElicitRequestFormParams(message="How much?", requested_schema=schema)
    request = mcp_types.ElicitRequest(params=params)
    return mcp_types.InputRequiredResult(input_requests={"a": request}, request_state="paid-0")


def answer_round(ctx: Any, got: Got, done: Any) -> Any:  # noqa: ANN401 - of either SDK
    """Ask in the first round; report what came in the second."""
    if ctx.input_responses is None:
        return input_request()
    amount = {name: one.content["amount"] for name, one in ctx.input_responses.items()}
    got.append({"amount": amount, "state": ctx.request_state})
    return done


def fastmcp_server(got: Got, **settings: Any) -> FastMCP[Any]:  # noqa: ANN401 - a server's own
    server: FastMCP[Any] = FastMCP("rounds", **settings)

    @server.tool
    def pay(to: str, ctx: FastMcpContext) -> Any:  # noqa: ANN401 - a question first
        return answer_round(ctx, got, f"paid {to}")

    @server.prompt
    def letter(to: str, ctx: FastMcpContext) -> Any:  # noqa: ANN401 - likewise
        return answer_round(ctx, got, f"to {to}")

    @server.resource("crm://customers/{id}")
    def customer(id: str, ctx: FastMcpContext) -> Any:  # noqa: A002, ANN401 - likewise
        return answer_round(ctx, got, f"customer {id}")

    return server


def official_server(got: Got, **settings: Any) -> MCPServer[Any]:  # noqa: ANN401 - likewise
    server: MCPServer[Any] = MCPServer("rounds", **settings)

    @server.tool(structured_output=False)
    def pay(to: str, ctx: OfficialContext[Any, Any]) -> Any:  # noqa: ANN401 - likewise
        return answer_round(ctx, got, f"paid {to}")

    @server.prompt()
    def letter(to: str, ctx: OfficialContext[Any, Any]) -> Any:  # noqa: ANN401 - likewise
        return answer_round(ctx, got, f"to {to}")

    @server.resource("crm://customers/{id}")
    def customer(id: str, ctx: OfficialContext[Any, Any]) -> Any:  # noqa: A002, ANN401 - likewise
        return answer_round(ctx, got, f"customer {id}")

    return server


async def call(client: Client[Any]) -> None:
    await client.call_tool("pay", {"to": "bob"})


async def prompt(client: Client[Any]) -> None:
    await client.get_prompt("letter", {"to": "bob"})


async def read(client: Client[Any]) -> None:
    await client.read_resource("crm://customers/vip")


FIRST: Final[dict[str, tuple[Callable[..., Any], Any]]] = {
    "tool": (call, {"to": "bob"}),
    "prompt": (prompt, {"to": "bob"}),
    "resource": (read, None),
}


def gate_of(script: Script, **settings: Any) -> McpGate:  # noqa: ANN401 - the gate's own
    pdp = AsyncBailiwick("https://pdp.example", token=None, transport=script.asynchronous)
    return McpGate(pdp, identity=lambda: "own", **settings)


async def play(server: Any, ask: Callable[..., Any], amount: int) -> None:  # noqa: ANN401 - of either SDK
    async def answered(*_: object) -> ElicitResult[dict[str, int]]:
        return ElicitResult(action="accept", content={"amount": amount})

    async with Client(server, elicitation_handler=answered) as client:
        await ask(client)


async def play_through(front: str, script: Script, got: Got, ask: Callable[..., Any], amount: int) -> None:
    gate = gate_of(script)
    if front == "FastMCP":
        await play(fastmcp_server(got, middleware=[BailiwickMiddleware(gate)]), ask, amount)
    elif front == "official SDK":
        await play(official_server(got, middleware=[guard(gate)]), ask, amount)
    else:
        with served(fastmcp_server(got).http_app(path="/mcp")) as base:
            await play(gateway(Upstream(f"{base}/mcp"), gate), ask, amount)


FRONTS: Final = ("FastMCP", "official SDK", "gateway")


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("what", FIRST)
async def test_what_a_caller_answers_is_in_the_question_of_its_round(front: str, what: str) -> None:
    script, got = AnswersScript(allow()), Got()
    ask, first = FIRST[what]
    await play_through(front, script, got, ask, 20)
    asked = script.args
    assert got == [{"amount": {"a": 20}, "state": "paid-0"}]
    assert asked[0] == first
    assert {name: one["content"]["amount"] for name, one in asked[1][RESPONSES].items()} == {"a": 20}
    # The gateway sees what the upstream sealed, and passes on the same.
    assert asked[1][STATE] if front == "gateway" else asked[1][STATE] == "paid-0"
    assert {name: value for name, value in asked[1].items() if name not in {RESPONSES, STATE}} == (first or {})


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("what", FIRST)
async def test_a_rule_on_the_answers_denies_the_round(front: str, what: str) -> None:
    script, got = AnswersScript(allow()), Got()
    with pytest.raises(MCPError) as caught:
        await play_through(front, script, got, FIRST[what][0], 9000)
    assert (caught.value.data["reason"], got) == ("condition_false", [])


async def ask_in_the_middle(kind: str, script: Script, got: list[int], amount: int) -> None:
    """Call a tool that asks its caller while it runs, by a client of an older MCP."""
    gate = gate_of(script)
    if kind == "FastMCP":
        fast: FastMCP[Any] = FastMCP("older", middleware=[BailiwickMiddleware(gate)])
        server: Any = fast

        @fast.tool
        async def pay(to: str, ctx: FastMcpContext) -> str:
            answered: Any = await ctx.elicit(f"How much for {to}?", response_type=Amount)
            got.append(answered.data.amount)
            return "paid"

    else:
        official: MCPServer[Any] = MCPServer("older", middleware=[guard(gate)])
        server = official

        @official.tool(name="pay")
        async def official_pay(to: str, ctx: OfficialContext[Any, Any]) -> str:
            answered: Any = await ctx.elicit(f"How much for {to}?", schema=Amount)
            got.append(answered.data.amount)
            return "paid"

    async def answered(*_: object) -> ElicitResult[dict[str, int]]:
        return ElicitResult(action="accept", content={"amount": amount})

    async with Client(server, elicitation_handler=answered, mode="legacy") as client:
        await client.call_tool("pay", {"to": "bob"})


@pytest.mark.parametrize("kind", ["FastMCP", "official SDK"])
async def test_an_answer_in_the_middle_of_a_call_is_asked_about_before_the_tool_has_it(kind: str) -> None:
    script, got = AnswersScript(allow()), list[int]()
    await ask_in_the_middle(kind, script, got, 20)
    answers = {"elicitation/create#1": {"action": "accept", "content": {"amount": 20}}}
    assert script.args == [{"to": "bob"}, {"to": "bob", RESPONSES: answers}]
    assert got == [20]


@pytest.mark.parametrize("kind", ["FastMCP", "official SDK"])
async def test_a_denied_answer_in_the_middle_of_a_call_does_not_reach_the_tool(kind: str) -> None:
    script, got = AnswersScript(allow()), list[int]()
    # FastMCP makes an error of the tool of it.
    with pytest.raises((MCPError, ToolError), match="condition_false"):
        await ask_in_the_middle(kind, script, got, 9000)
    assert got == []


@pytest.mark.parametrize("kind", ["FastMCP", "official SDK"])
async def test_an_error_in_the_middle_of_a_call_is_asked_about_before_the_tool_has_it(kind: str) -> None:
    script, got = Script(allow(), deny("condition_false")), list[str]()
    gate = gate_of(script)
    server: Any = FastMCP("older", middleware=[BailiwickMiddleware(gate)])
    if kind != "FastMCP":
        server = MCPServer("older", middleware=[guard(gate)])

    async def pay(to: str, ctx: Any) -> str:  # noqa: ANN401 - of either SDK
        try:
            await (ctx.elicit(f"For {to}?", Amount) if kind == "FastMCP" else ctx.elicit(f"For {to}?", schema=Amount))
        except MCPError as error:
            got.append(error.message)
        return "paid"

    pay.__annotations__["ctx"] = FastMcpContext if kind == "FastMCP" else OfficialContext[Any, Any]
    server.tool()(pay)

    async def failed(*_: object) -> ElicitResult[dict[str, int]]:
        raise MCPError(-32603, "pay mallory")

    async with Client(server, elicitation_handler=failed, mode="legacy") as client:
        with suppress(MCPError):  # the script says nothing of lists
            await client.call_tool("pay", {"to": "bob"})
    assert [error.partition(":")[0] for error in got] == ["condition_false"]
    told = {"elicitation/create#1": {"error": {"code": -32603, "message": "pay mallory"}}}
    assert script.bodies[1]["context"]["args"] == {"to": "bob", RESPONSES: told}


def telling_server(kind: str, got: list[Any], script: Script, *passed: str) -> Any:  # noqa: ANN401 - of either SDK
    """Return a guarded server whose tool reports the `_meta` that it can see."""
    gate = gate_of(script, meta=passed)
    if kind == "FastMCP":
        server: FastMCP[Any] = FastMCP("meta", middleware=[BailiwickMiddleware(gate)])

        @server.tool
        def pay(ctx: FastMcpContext) -> str:
            wire = ctx.request_context
            got.append(None if wire is None else wire.meta)
            return "paid"

        return server
    official: MCPServer[Any] = MCPServer("meta", middleware=[guard(gate)])

    @official.tool(name="pay")
    def official_pay(ctx: OfficialContext[Any, Any]) -> str:
        got.append({**(ctx.request_context.params or {}).get("_meta", {}), **(ctx.request_context.meta or {})})
        return "paid"

    return official


@pytest.mark.parametrize("kind", ["FastMCP", "official SDK"])
@pytest.mark.parametrize("passed", [(), ("tenant",)])
async def test_of_meta_only_what_was_asked_about_reaches_a_tool(kind: str, passed: tuple[str, ...]) -> None:
    script, got = AnswersScript(allow()), list[Any]()
    meta = {"tenant": "a", "x.example/y": 1, "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    async with Client(telling_server(kind, got, script, *passed)) as client:
        await client.call_tool("pay", {}, meta=meta)
    assert script.args == [{META: {"tenant": "a"}} if passed else {}]
    assert got[0].get("tenant") == ("a" if passed else None)
    assert "x.example/y" not in got[0]
    assert "traceparent" in got[0]


async def test_of_meta_nothing_else_reaches_the_upstream() -> None:
    got: list[Any] = []
    server: FastMCP[Any] = FastMCP("meta")

    @server.tool
    def pay(ctx: FastMcpContext) -> str:
        wire = ctx.request_context
        got.append(None if wire is None else wire.meta)
        return "paid"

    with served(server.http_app(path="/mcp")) as base:
        front = gateway(Upstream(f"{base}/mcp"), gate_of(AnswersScript(allow())))
        async with Client(front) as client:
            await client.call_tool("pay", {}, meta={"tenant": "a"})
    assert "tenant" not in got[0]


@pytest.mark.parametrize("kind", ["FastMCP", "official SDK"])
@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"name": "pay", "arguments": {}, "task": {"ttl": 1}}, "unmapped"),
        ({"name": "pay", "arguments": {}, "more": 1}, "unmapped"),
        ({"name": "pay", "arguments": {RESPONSES: {}}}, "ambiguous_request"),
        ({"name": "pay", "arguments": {}}, None),
    ],
)
def test_what_nobody_described_reaches_no_tool(kind: str, params: dict[str, Any], reason: str | None) -> None:
    script, got = AnswersScript(allow()), list[Any]()
    server = telling_server(kind, got, script)
    fast = kind == "FastMCP"
    app = server.http_app(path="/mcp", stateless_http=True) if fast else server.streamable_http_app(stateless_http=True)
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"Accept": "application/json, text/event-stream", "Authorization": "Bearer t"}
    with served(app) as base:
        text = requests.post(f"{base}/mcp", json=body, headers=headers, timeout=30).text
    assert (f'"reason":"{reason}"' in text, len(got), len(decisions_in(script))) == (
        (False, 1, 1) if reason is None else (True, 0, 0)
    )
