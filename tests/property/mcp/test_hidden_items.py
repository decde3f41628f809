"""The law of what is hidden: a caller who may not call a tool is answered alike whether it is there or not.

The oracle is a second server, which is the same but for that tool. Both are real ones, of each framework.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Literal

import pytest
from fastmcp import Client, FastMCP
from hypothesis import given, strategies as st
from mcp import MCPError
from mcp.server import MCPServer
from mcp_types import ElicitResult

from bailiwick import AsyncBailiwick
from bailiwick.mcp.calls import APPROVAL_META, REASON_META
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.server import guard
from bailiwick.transports.base import HttpRequest, HttpResponse
from support.sdk.script import Script, answer, deny, echoed

TASK: Final = "agr-k3v9.66506a43-0000"
NAMES: Final = ("order", "Order", "amount", "dev.bailiwick/x", "note")
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
    max_leaves=4,
)
FITTING: Final = st.fixed_dictionaries({"order": st.text(max_size=4), "amount": st.integers(0, 9)})
# What the decision point below does not take.
REFUSED: Final = st.just({"order": "1", "amount": -1})
ARGUMENTS: Final = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4) | FITTING | REFUSED
ACTIONS: Final[Sequence[Literal["accept", "decline", "cancel"]]] = ("accept", "decline", "cancel")
SHOWN: Final = st.sampled_from((TASK, "", 7, {"id": TASK}, {"id": 7}, None, "INC-1"))
ROUNDS: Final = st.sampled_from(
    (
        {},
        *({"request_state": TASK, "input_responses": {"approval": ElicitResult(action=action)}} for action in ACTIONS),
    )
)
METAS: Final = st.dictionaries(st.sampled_from((APPROVAL_META, REASON_META, "traceparent", "example.org/x")), SHOWN)


class DenyingScript(Script):
    """A decision point that allows this caller nothing."""

    def __init__(self) -> None:
        super().__init__(deny())

    def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        path = request.url.rpartition("/")[2]
        if path == "requests":
            refused = {"type": "x", "reason": "not_requestable", "detail": "no rule"}
            return echoed(request, answer(refused, HTTPStatus.BAD_REQUEST))
        if path != "evaluation":
            return echoed(request, answer({}, HTTPStatus.NOT_FOUND))
        if json.loads(request.body or b"{}")["context"].get("args", {}).get("amount") == -1:
            return echoed(request, answer({}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
        return super().send(request, seconds)


def wipe(order: str, amount: int, note: list[str] | str | None = None) -> str:
    raise AssertionError((order, amount, note))


def server_of(kind: str, *, there: bool) -> Any:  # noqa: ANN401 - each SDK has a type of its own
    pdp = AsyncBailiwick("https://pdp.example", token=None, transport=DenyingScript().asynchronous)
    gate = McpGate(pdp, identity=lambda: "own")
    if kind == "FastMCP":
        fast: FastMCP[Any] = FastMCP("tools", middleware=[BailiwickMiddleware(gate)])
        if there:
            fast.tool(wipe)
        return fast
    official: MCPServer[Any] = MCPServer("tools", middleware=[guard(gate)])
    if there:
        official.add_tool(wipe)
    return official


def answers(
    kind: str, arguments: Mapping[str, Any], meta: Mapping[str, Any], round_: Mapping[str, Any]
) -> list[tuple[int, str, Any]]:
    """Return how the server with the tool answers a call of it, and the one without. `round_`: what it goes on with."""

    async def ask(*, there: bool) -> tuple[int, str, Any]:
        async with Client(server_of(kind, there=there)) as client:
            with pytest.raises(MCPError) as caught:
                await client.session.call_tool("wipe", dict(arguments), meta=dict(meta), **round_)
        return caught.value.code, str(caught.value), caught.value.data

    return [asyncio.run(ask(there=there)) for there in (True, False)]


@pytest.mark.parametrize("kind", ["FastMCP", "official SDK"])
@given(arguments=ARGUMENTS, meta=METAS, round_=ROUNDS)
def test_whether_a_hidden_tool_is_there_changes_no_answer(
    kind: str, arguments: Mapping[str, Any], meta: Mapping[str, Any], round_: Mapping[str, Any]
) -> None:
    there, missing = answers(kind, arguments, meta, round_)
    assert there == missing
