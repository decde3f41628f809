"""What the official SDK's server does around a guard: notifications, pages of a list, tools that it cannot tell of."""

from collections.abc import Mapping
from typing import Any, Final, cast

import pytest
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from starlette.requests import Request

from bailiwick import AsyncBailiwick
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.server import guard
from support.sdk.script import Script, allow, answer, deny

ADD: Final = {"name": "add", "inputSchema": {"type": "object"}}
OTHER: Final = {**ADD, "name": "other"}
CALL: Final = {"name": "add", "arguments": {}}


class GuardedServer:
    """Serves messages behind a guard, from pages of a list of tools. `came` are the methods that were let through."""

    def __init__(self, script: Script, *pages: Mapping[str, Any], token: str | None = None) -> None:
        self.came: list[str] = []
        headers = [(b"authorization", f"Bearer {token}".encode())]
        self._request = None if token is None else Request({"type": "http", "headers": headers})
        self._pages = list(pages)
        pdp = AsyncBailiwick("https://pdp.example", token=None, transport=script.asynchronous)
        self._guard = guard(McpGate(pdp, identity=lambda: "own"))

    async def __call__(self, method: str, params: Mapping[str, Any] | None, request_id: int | None = 1) -> Any:  # noqa: ANN401 - a result of any method
        context: ServerRequestContext[Any, Any] = ServerRequestContext(
            session=cast("Any", None),
            lifespan_context=None,
            protocol_version="2025-11-25",
            method=method,
            params=params,
            request_id=request_id,
            request=self._request,
        )
        return await self._guard(context, self._serve)

    async def _serve(self, context: ServerRequestContext[Any, Any]) -> Any:  # noqa: ANN401 - likewise
        self.came.append(context.method)
        if context.method == "tools/list":
            return self._pages.pop(0) if len(self._pages) > 1 else self._pages[0]
        return {"content": []}


@pytest.mark.parametrize(("method", "heard"), [("notifications/cancelled", True), ("notifications/wipe", False)])
async def test_a_notification_that_acts_is_dropped(method: str, heard: bool) -> None:
    serving = GuardedServer(Script(allow()), {"tools": []})
    await serving(method, {}, None)
    assert serving.came == ([method] if heard else [])


async def test_a_tool_on_a_later_page_is_found() -> None:
    script = Script(allow())
    serving = GuardedServer(script, {"tools": [OTHER], "nextCursor": "2"}, {"tools": [ADD]})
    await serving("tools/call", CALL)
    assert serving.came == ["tools/list", "tools/list", "tools/call"]
    assert script.bodies[0]["resource"]["properties"]["definition_digest"].startswith("sha256:")


@pytest.mark.parametrize(
    ("page", "looks"),
    [({"tools": [OTHER]}, 1), ({"tools": [OTHER], "nextCursor": "more"}, 100), ({}, 1)],
    ids=["another tool", "pages without end", "no list"],
)
async def test_a_tool_that_the_server_does_not_list_is_not_run(page: Mapping[str, Any], looks: int) -> None:
    serving = GuardedServer(Script(allow()), page)
    with pytest.raises(MCPError) as caught:
        await serving("tools/call", CALL)
    assert caught.value.data["reason"] == "unknown_tool"
    assert serving.came == ["tools/list"] * looks


@pytest.mark.parametrize(
    ("method", "params"),
    [("tools/call", CALL), ("tools/list", None), ("resources/read", {"uri": "data://x"}), ("resources/list", None)],
)
async def test_nothing_is_listed_for_a_token_that_proves_nobody(method: str, params: Mapping[str, Any] | None) -> None:
    serving = GuardedServer(Script(deny("identity_invalid")), {"tools": [ADD]}, token="stolen")
    with pytest.raises(MCPError) as caught:
        await serving(method, params)
    assert caught.value.data["reason"] == "identity_invalid"
    assert serving.came == []


async def test_a_page_of_a_list_keeps_its_cursor() -> None:
    script = Script(answer({"evaluations": [{"decision": True}, {"decision": False}]}))
    listed = await GuardedServer(script, {"tools": [ADD, OTHER], "nextCursor": "2"})("tools/list", None)
    assert listed == {"tools": [ADD], "nextCursor": "2"}
