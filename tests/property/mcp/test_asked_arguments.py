"""The law of arguments of MCP: a tool runs with those that the rules saw, whatever texts a client sends.

The oracle is the server: it reports with what its tool ran. Servers read some texts as the JSON in them.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import PurePosixPath
from typing import Any, Final
from uuid import UUID

import pytest
from fastmcp import Client, FastMCP
from hypothesis import given, strategies as st
from mcp import MCPError
from mcp.server import MCPServer
from pydantic import IPvAnyAddress, IPvAnyNetwork

from bailiwick import AsyncBailiwick
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.server import guard
from bailiwick.transports.base import HttpRequest, HttpResponse
from support.sdk.script import Script, allow, answer, echoed

# No annotation at all: the official SDK lists such a parameter as a text, and takes anything for it.
UNANNOTATED: Final = "no annotation"
KINDS: Final[tuple[Any, ...]] = (
    *(UNANNOTATED, str, int, bool, Any, list[int], str | None, int | str, bool | str),
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
    """Call a tool with each of these. `kind`: the annotation of its parameter, or `UNANNOTATED`."""
    calls: list[ToolCall] = []

    def note(value: Any) -> None:  # noqa: ANN401 - of the kind that is annotated
        calls[-1].ran.append(value)

    if kind == UNANNOTATED:
        del note.__annotations__["value"]
    else:
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


# Of these a server makes values of its own, of texts in more than one spelling.
PARSED: Final[Mapping[Any, st.SearchStrategy[object]]] = {
    UUID: st.uuids(),
    UUID | None: st.uuids(),
    list[UUID]: st.uuids(),
    date: st.dates(),
    IPv4Address: st.ip_addresses(v=4),
    IPv6Address: st.ip_addresses(v=6) | st.just(IPv6Address("2001:db8::1")),
    IPv4Network: st.ip_addresses(v=4).map(IPv4Network),
    IPv6Network: st.ip_addresses(v=6).map(IPv6Network),
    IPvAnyAddress: st.ip_addresses(),
    IPvAnyNetwork: st.ip_addresses().map(ip_network),
    PurePosixPath: st.lists(st.sampled_from(("a", "b", "..", "A")), min_size=1).map(
        lambda parts: PurePosixPath(*parts)
    ),
}
RESPELLED: Final[tuple[Callable[[str], str], ...]] = (
    *(str, str.upper, str.title, lambda text: text.replace("-", ""), lambda text: f"urn:uuid:{text}"),
    *(lambda text: f"{{{text}}}", lambda text: f" {text}", lambda text: f"{text}\n", lambda text: f"{text}/"),
    *(lambda text: f"./{text}", lambda text: text.replace("/", "//"), lambda text: text.replace("/32", "")),
    *(
        lambda text: text.replace("/128", ""),
        lambda text: text.replace("::", ":0:"),
        lambda text: text.replace(":0:", "::"),
    ),
    *(
        lambda text: f"{text}T00:00:00",
        lambda text: f"{text} 00:00",
        lambda text: text.replace("/32", "/255.255.255.255"),
    ),
    lambda text: text.replace("0", "\u0660"),
)


@pytest.mark.parametrize("server", SERVERS)
@given(data=st.data())
def test_two_texts_that_reach_a_tool_as_one_value_are_one_text(server: str, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(PARSED)))
    text = str(data.draw(PARSED[kind]))
    sent = [spelled(text) for spelled in data.draw(st.lists(st.sampled_from(RESPELLED), min_size=1, max_size=6))]
    calls = call_tool(server, kind, [[one] if kind == list[UUID] else one for one in [text, *sent]])
    assert calls[0].ran, "the canonical text is refused"
    for one in calls:
        assert one.ran != calls[0].ran or one.asked == calls[0].asked


@pytest.mark.parametrize("server", SERVERS)
def test_arguments_of_the_kind_that_a_tool_takes_reach_it(server: str) -> None:
    # Else the law would hold of a guard that refuses everything, and of servers that take no text for anything else.
    sent = ["null", "13", ["13"], None]
    assert [one.ran for one in call_tool(server, list[str] | str | None, sent)] == [[], ["13"], [["13"]], [None]]
    unguarded = {"official SDK": [None], "FastMCP": ["null"]}
    assert call_tool(server, str | None, ["null"], guarded=False)[0].ran == unguarded[server]


def test_a_parameter_without_an_annotation_takes_no_text_for_the_json_in_it() -> None:
    sent = ["null", "[13]", '{"a": 1}', "13", "text"]
    unguarded = call_tool("official SDK", UNANNOTATED, sent, guarded=False)
    assert [one.ran for one in unguarded] == [[None], [[13]], [{"a": 1}], ["13"], ["text"]]
    assert [one.ran for one in call_tool("official SDK", UNANNOTATED, sent)] == [[], [], [], ["13"], ["text"]]


@pytest.mark.parametrize("server", SERVERS)
def test_a_text_that_holds_json_reaches_a_parameter_that_takes_texts_alone(server: str) -> None:
    sent = ["null", "[13]", '{"a": 1}']
    assert [one.ran for one in call_tool(server, str, sent)] == [[one] for one in sent]
