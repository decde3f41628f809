"""The law of arguments of MCP: a tool runs with those that the rules saw, whatever texts a client sends.

The oracle is the server: it reports with what its tool ran. Servers read some texts as the JSON in them.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from fastmcp import Client, FastMCP
from hypothesis import given, strategies as st
from mcp import MCPError
from mcp.server import MCPServer

from bailiwick import AsyncBailiwick
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.server import guard
from bailiwick.transports.base import HttpRequest, HttpResponse
from support.sdk.script import Script, allow, answer, echoed

KINDS: Final[tuple[Any, ...]] = (
    *(str, int, bool, Any, list[int], str | None, int | str, bool | str),
    *(list[str] | str | None, dict[str, int] | str, list[str] | dict[str, str | None]),
)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("a7n ", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)
SPACES: Final = st.text(" \t\n", max_size=2)
TEXTS: Final = (
    st.sampled_from(("null", "true", "7", "7.0", "NaN", "-0", "[", "[]", "{}", '"null"', "\ufeffnull", "[null]"))
    | st.builds(lambda before, value, after: f"{before}{json.dumps(value)}{after}", SPACES, VALUES, SPACES)
    | st.text(max_size=4)
)


@dataclass
class ToolCall:
    """A call of a tool with one argument: what was asked about, and with what the tool ran; none or one of each."""

    asked: list[Any] = field(default_factory=list)
    ran: list[Any] = field(default_factory=list)


class AllowingScript(Script):
    """Allows every call, and keeps in the last one of `calls` what it was asked about."""

    def __init__(self, calls: list[ToolCall]) -> None:
        super().__init__(allow())
        self._calls = calls

    def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        body = json.loads(request.body or b"{}")
        if "evaluations" in body:
            return echoed(request, answer({"evaluations": [{"decision": True} for _ in body["evaluations"]]}))
        self._calls[-1].asked.append(body["context"]["args"]["value"])
        return super().send(request, seconds)


def official_sdk(tool: Callable[[Any], None], gate: McpGate | None) -> Any:  # noqa: ANN401 - each SDK has a type of its own
    server: MCPServer[Any] = MCPServer("tools", middleware=[] if gate is None else [guard(gate)])
    server.add_tool(tool)
    return server


def fastmcp(tool: Callable[[Any], None], gate: McpGate | None) -> Any:  # noqa: ANN401 - likewise
    server: FastMCP[Any] = FastMCP("tools", middleware=[] if gate is None else [BailiwickMiddleware(gate)])
    server.tool(tool)
    return server


SERVERS: Final = {"official SDK": official_sdk, "FastMCP": fastmcp}


def call_tool(server: str, kind: object, sent: Sequence[object], *, guarded: bool = True) -> list[ToolCall]:
    """Call a tool with each of these. `kind`: the annotation of its parameter."""
    calls: list[ToolCall] = []

    def note(value: Any) -> None:  # noqa: ANN401 - of the kind that is annotated
        calls[-1].ran.append(value)

    note.__annotations__["value"] = kind
    pdp = AsyncBailiwick("https://pdp.example", token=None, transport=AllowingScript(calls).asynchronous)
    gate = McpGate(pdp, identity=lambda: "own") if guarded else None

    async def send() -> None:
        async with Client(SERVERS[server](note, gate)) as client:
            for value in sent:
                calls.append(ToolCall())
                with suppress(MCPError):
                    await client.call_tool("note", {"value": value}, raise_on_error=False)

    asyncio.run(send())
    return calls


@pytest.mark.parametrize("server", SERVERS)
@given(kind=st.sampled_from(KINDS), sent=st.lists(TEXTS | VALUES, min_size=1, max_size=8))
def test_a_tool_runs_with_the_argument_that_the_rules_saw(server: str, kind: object, sent: list[object]) -> None:
    assert all(one.ran in ([], one.asked) for one in call_tool(server, kind, sent))


@pytest.mark.parametrize("server", SERVERS)
def test_arguments_of_the_kind_that_a_tool_takes_reach_it(server: str) -> None:
    # Else the law would hold of a guard that refuses everything, and of servers that take no text for anything else.
    sent = ["null", "13", ["13"], None]
    assert [one.ran for one in call_tool(server, list[str] | str | None, sent)] == [[], ["13"], [["13"]], [None]]
    unguarded = {"official SDK": [None], "FastMCP": ["null"]}
    assert call_tool(server, str | None, ["null"], guarded=False)[0].ran == unguarded[server]
