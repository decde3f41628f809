"""What FastMCP does around a guard: versions, second names, `_meta`, nested calls, notifications."""

import json
from typing import Any, Final

import pytest
from fastmcp import Client, Context, FastMCP
from fastmcp.server.middleware import MiddlewareContext
from fastmcp.server.providers.addressing import TOOL_HASH_META_KEY, hash_tool, hashed_backend_name
from mcp import MCPError

from bailiwick import AsyncBailiwick
from bailiwick.mcp.calls import APPROVAL_META, REASON_META
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate
from bailiwick.transports.base import HttpRequest, HttpResponse
from support.sdk.script import Script, allow, answer, deny, echoed

SHOWN: Final = {"id": "g.u", "state": "jws"}


class ListingScript(Script):
    """Allows every list: a client lists tools by itself, to check what it got. `bodies` are the other questions."""

    def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        if request.url.endswith("/evaluations"):
            asked = json.loads(request.body or b"{}")["evaluations"]
            return echoed(request, answer({"evaluations": [{"decision": True} for _ in asked]}))
        return super().send(request, seconds)


def middleware(script: Script) -> BailiwickMiddleware:
    pdp = AsyncBailiwick("https://pdp.example", token=None, transport=script.asynchronous)
    return BailiwickMiddleware(McpGate(pdp, identity=lambda: "own"))


def server_of(script: Script, ran: list[str]) -> FastMCP[Any]:
    server: FastMCP[Any] = FastMCP("tools", middleware=[middleware(script)])

    @server.tool(name="pay", version="1.0")
    def old() -> None:
        ran.append("old")

    @server.tool(name="pay", version="2.0")
    def new() -> None:
        ran.append("new")

    identity = {TOOL_HASH_META_KEY: hash_tool("app", "wipe")}

    @server.tool(meta={"fastmcp": identity, "ui": {"visibility": ["app"]}})
    def wipe() -> None:
        ran.append("wipe")

    @server.tool
    async def outer(ctx: Context) -> None:
        await ctx.fastmcp.call_tool("pay", {})

    return server


@pytest.mark.parametrize(
    ("meta", "version", "runs"), [(None, "2.0", "new"), ({"fastmcp": {"version": "1.0"}}, "1.0", "old")]
)
async def test_the_version_that_runs_is_asked_about(meta: dict[str, Any] | None, version: str, runs: str) -> None:
    script, ran = ListingScript(allow()), list[str]()
    async with Client(server_of(script, ran)) as client:
        await client.call_tool("pay", {}, meta=meta)
    assert script.bodies[-1]["resource"]["properties"]["version"] == version
    assert ran == [runs]


async def test_a_tool_by_its_second_name_is_the_same_tool() -> None:
    script, ran = ListingScript(allow()), list[str]()
    async with Client(server_of(script, ran)) as client:
        await client.call_tool(hashed_backend_name("app", "wipe"), {})
    assert (script.bodies[-1]["action"]["name"], ran) == ("wipe", ["wipe"])


async def test_an_approval_comes_in_meta() -> None:
    script, ran = ListingScript(allow()), list[str]()
    async with Client(server_of(script, ran)) as client:
        await client.call_tool("pay", {}, meta={APPROVAL_META: SHOWN})
    assert script.bodies[-1]["context"]["approval"] == SHOWN


async def test_who_asks_for_an_approval_runs_nothing() -> None:
    script, ran = (
        ListingScript(deny("approval_required"), answer({"task": {"id": "g.u", "status": "pending"}}, 202)),
        list[str](),
    )
    async with Client(server_of(script, ran)) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("pay", {}, meta={REASON_META: "INC-1"})
    assert (caught.value.data["task"]["id"], ran) == ("g.u", [])


async def test_a_nested_call_is_asked_about_as_itself() -> None:
    script, ran = ListingScript(deny("approval_required"), allow(), deny()), list[str]()
    async with Client(server_of(script, ran)) as client:
        with pytest.raises(Exception, match="outer"):
            await client.call_tool("outer", {}, meta={APPROVAL_META: SHOWN})
    assert [body["action"]["name"] for body in script.bodies] == ["outer", "outer", "pay"]
    assert ran == []


@pytest.mark.parametrize(("method", "heard"), [("notifications/cancelled", True), ("notifications/wipe", False)])
async def test_a_notification_that_acts_is_dropped(method: str, heard: bool) -> None:
    came: list[str | None] = []

    async def serve(context: MiddlewareContext[Any]) -> None:
        came.append(context.method)

    context: MiddlewareContext[Any] = MiddlewareContext(message={}, type="notification", method=method)
    await middleware(Script(allow())).on_message(context, serve)
    assert came == ([method] if heard else [])
