"""`guard`: a gate for the official SDK 2.3: `MCPServer(..., middleware=[guard(gate)])`.

Holds: the check is before validation, so unknown methods and notifications are seen too. What a tool takes is what the
server itself lists, in the same request.
"""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any, Final

from mcp import MCPError
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from pydantic import BaseModel

from bailiwick.mcp.calls import CALL_TOOL, LISTS, McpMessage, McpRefusalError, ToolDefinition, bearer
from bailiwick.mcp.gate import McpGate

_LOG: Final = logging.getLogger("bailiwick.mcp")
_LIST_TOOLS: Final = "tools/list"
# Pages of a list of tools: what is behind them is unknown, and so denied.
_MAX_PAGES: Final = 100
# From this version on a result says how long and for whom it holds.
_CACHEABLE_SINCE: Final = "2026-07-28"

_Context = ServerRequestContext[Any, Any]


def guard(gate: McpGate) -> ServerMiddleware[Any]:
    """Return the middleware. Put it first; close the gate in the server's lifespan."""

    async def guarded(ctx: _Context, call_next: CallNext) -> HandlerResult:
        if ctx.request_id is None:
            if gate.hears(ctx.method):
                return await call_next(ctx)
            _LOG.warning("dropped the notification %r: no rule says what it does", ctx.method[:100])
            return None
        try:
            message = _message(ctx)
            if ctx.method == CALL_TOOL:
                message = dataclasses.replace(message, tool=await _tool(ctx, call_next))
            await gate.admit(message)
            result = await call_next(ctx)
            return result if ctx.method not in LISTS else await _filtered(gate, ctx, message, _members(result))
        except McpRefusalError as error:
            raise MCPError(error.code, str(error), error.data) from error

    return guarded


def _message(ctx: _Context) -> McpMessage:
    params = ctx.params if isinstance(ctx.params, Mapping) else {}
    meta = params.get("_meta")
    return McpMessage(
        method=ctx.method,
        params=params,
        meta=meta if isinstance(meta, Mapping) else {},
        token=_token(ctx),
        remote=ctx.request is not None,
    )


def _token(ctx: _Context) -> str | None:
    """Return the request's own token: the context's may be an older one of the same connection."""
    if ctx.request is not None:
        return bearer(ctx.request.headers.getlist("authorization"))
    access = get_access_token()
    return None if access is None else access.token


async def _tool(ctx: _Context, call_next: CallNext) -> ToolDefinition | None:
    """Return the tool that a call names, as the server lists it to this caller; None where it lists none."""
    wanted = (ctx.params or {}).get("name")
    meta = (ctx.params or {}).get("_meta")
    cursor: Any = None
    for _ in range(_MAX_PAGES):
        params = {"_meta": meta, "cursor": cursor}
        listing = {name: value for name, value in params.items() if value is not None}
        page = _members(await call_next(dataclasses.replace(ctx, method=_LIST_TOOLS, params=listing or None)))
        for tool in page.get("tools", ()):
            if tool["name"] == wanted:
                return ToolDefinition.of_wire(tool)
        cursor = page.get("nextCursor")
        if cursor is None:
            break
    return None


async def _filtered(gate: McpGate, ctx: _Context, message: McpMessage, result: Mapping[str, Any]) -> dict[str, Any]:
    member, name, _ = LISTS[ctx.method]
    items = result.get(member) or []
    tools = ctx.method == _LIST_TOOLS
    shown = await gate.visible(message, [(one[name], ToolDefinition.of_wire(one) if tools else None) for one in items])
    kept: dict[str, Any] = {**result, member: [one for one, may in zip(items, shown, strict=True) if may]}
    if ctx.protocol_version >= _CACHEABLE_SINCE:
        # It is this caller's list, now.
        kept |= {"ttlMs": 0, "cacheScope": "private"}
    return kept


def _members(result: HandlerResult) -> Mapping[str, Any]:
    if isinstance(result, BaseModel):
        return result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return result or {}
