"""`guard`: a gate for the official SDK 2.3: `MCPServer(..., middleware=[guard(gate)])`.

Holds: the check is before validation, so unknown methods and notifications are seen too. What a tool takes, and which
resource or template a URI is of, is what the server itself lists, in the same request.
"""

import dataclasses
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from mcp import MCPError
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.shared.uri_template import InvalidUriTemplate, UriTemplate
from mcp_types import METHOD_NOT_FOUND, InputRequiredResult
from pydantic import BaseModel

from bailiwick.mcp.calls import (
    CALL_TOOL,
    GET_PROMPT,
    GUARDED,
    LISTS,
    MODERN_SINCE,
    OF_RESOURCES,
    McpMessage,
    McpRefusalError,
    ServedItem,
    ToolDefinition,
    bearer,
)
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.midcall import declares_urls, follow_call
from bailiwick.mcp.resumption import read_resumption

_LOG: Final = logging.getLogger("bailiwick.mcp")
_LIST_TOOLS: Final = "tools/list"
# Pages of a list: what is behind them is unknown, and so denied.
_MAX_PAGES: Final = 100

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
            message, resumption = read_resumption(_message(ctx))
            await gate.prove(message)
            message = await _with_served_item(ctx, call_next, message)
            decision = await gate.admit(message, resumption)
            if ctx.method in GUARDED:
                with follow_call(ctx.session, gate, message, decision) as call:
                    return call.finish(await call_next(_with_admitted_params(gate, ctx, message)))
            result = await call_next(ctx)
            return result if ctx.method not in LISTS else await _filtered(gate, ctx, message, _members(result))
        except McpRefusalError as error:
            if error.input_required is not None:
                return InputRequiredResult.model_validate(error.input_required)
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
        can_repeat=ctx.protocol_version >= MODERN_SINCE,
        opens_urls=declares_urls(ctx.session),
    )


def _token(ctx: _Context) -> str | None:
    """Return the request's own token: the context's may be an older one of the same connection."""
    if ctx.request is not None:
        return bearer(ctx.request.headers.getlist("authorization"))
    access = get_access_token()
    return None if access is None else access.token


def _with_admitted_params(gate: McpGate, ctx: _Context, message: McpMessage) -> _Context:
    """Return the request as it was asked about, with only that of its `_meta` which was, or changes nothing."""
    meta = message.params.get("_meta")
    if not isinstance(meta, Mapping):
        return dataclasses.replace(ctx, params=message.params if ctx.params is not None else None)
    kept = gate.allowed_meta(meta)
    # The SDK's own reading of it, in which a name may be spelled in another way.
    own: Any = {name: value for name, value in (ctx.meta or {}).items() if name in kept or name not in meta}
    return dataclasses.replace(ctx, params={**message.params, "_meta": kept}, meta=own or None)


async def _with_served_item(ctx: _Context, call_next: CallNext, message: McpMessage) -> McpMessage:
    """Return a message with what the server will serve; without it, the gate refuses what names something."""
    if message.method == CALL_TOOL:
        return dataclasses.replace(message, tool=await _tool(ctx, call_next))
    named = message.params.get("uri" if message.method in OF_RESOURCES else "name")
    if not isinstance(named, str):
        return message
    if message.method == GET_PROMPT:
        # It finds a prompt by its very name, and by nothing else.
        return dataclasses.replace(message, item=ServedItem(name=named))
    if message.method in OF_RESOURCES:
        return dataclasses.replace(message, item=await _resource(ctx, call_next, named))
    return message


async def _tool(ctx: _Context, call_next: CallNext) -> ToolDefinition | None:
    """Return the tool that a call names, as the server lists it to this caller; None where it lists none."""
    wanted = (ctx.params or {}).get("name")
    async for tool in _list_items(ctx, call_next, _LIST_TOOLS):
        if tool["name"] == wanted:
            return ToolDefinition.of_wire(tool)
    return None


async def _resource(ctx: _Context, call_next: CallNext, uri: str) -> ServedItem | None:
    """Return what the server will read, in its order: the resource of this URI, then the first template."""
    async for resource in _list_items(ctx, call_next, "resources/list"):
        if resource["uri"] == uri:
            return ServedItem(name=uri)
    async for listed in _list_items(ctx, call_next, "resources/templates/list"):
        written = listed["uriTemplate"]
        try:
            template = UriTemplate.parse(written)
        except InvalidUriTemplate:
            continue
        found = template.match(uri)
        if found is not None:
            return ServedItem(name=template.expand(found), template=written, parameters=found)
    return None


async def _list_items(ctx: _Context, call_next: CallNext, method: str) -> AsyncIterator[Mapping[str, Any]]:
    """Return what the server lists to this caller, from all pages; nothing where it has no such list."""
    member = LISTS[method][0]
    meta = (ctx.params or {}).get("_meta")
    cursor: Any = None
    for _ in range(_MAX_PAGES):
        params = {"_meta": meta, "cursor": cursor}
        listing = {name: value for name, value in params.items() if value is not None}
        try:
            page = _members(await call_next(dataclasses.replace(ctx, method=method, params=listing or None)))
        except MCPError as error:
            if error.code == METHOD_NOT_FOUND:
                return
            raise
        for item in page.get(member, ()):
            yield item
        cursor = page.get("nextCursor")
        if cursor is None:
            return


async def _filtered(gate: McpGate, ctx: _Context, message: McpMessage, result: Mapping[str, Any]) -> dict[str, Any]:
    member, name, _ = LISTS[ctx.method]
    items = result.get(member) or []
    tools = ctx.method == _LIST_TOOLS
    shown = await gate.visible(message, [(one[name], ToolDefinition.of_wire(one) if tools else None) for one in items])
    kept: dict[str, Any] = {**result, member: [one for one, may in zip(items, shown, strict=True) if may]}
    if ctx.protocol_version >= MODERN_SINCE:
        # It is this caller's list, now.
        kept |= {"ttlMs": 0, "cacheScope": "private"}
    return kept


def _members(result: HandlerResult) -> Mapping[str, Any]:
    if isinstance(result, BaseModel):
        return result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return result or {}
