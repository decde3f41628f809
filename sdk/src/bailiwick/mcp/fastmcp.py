"""`BailiwickMiddleware`: a gate for FastMCP 4. Put it first, before any middleware that caches.

Holds: the check is in `on_message`, the one hook that every message runs through; what is asked about is the tool that
a name resolves to, not the name. A tool that calls tools runs through here again.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import mcp_types
from fastmcp import FastMCP
from fastmcp.prompts.base import Prompt
from fastmcp.resources.base import Resource
from fastmcp.resources.template import ResourceTemplate
from fastmcp.server.dependencies import get_access_token, get_http_request
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.server.providers.addressing import parse_hashed_backend_name
from fastmcp.tools.base import Tool
from fastmcp.utilities.versions import VersionSpec
from mcp import MCPError
from pydantic import BaseModel

from bailiwick.mcp.calls import CALL_TOOL, McpMessage, McpRefusalError, ToolDefinition, bearer
from bailiwick.mcp.gate import McpGate

_LOG: Final = logging.getLogger("bailiwick.mcp")
_T = TypeVar("_T")


class BailiwickMiddleware(Middleware):
    """Asks about every message, and lists only what may be called."""

    def __init__(self, gate: McpGate) -> None:
        """Remember the gate; close its client with the server's lifespan."""
        self._gate = gate

    async def on_message(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:  # noqa: ANN401 - a result of any method
        """Serve a message that may pass. Raises `MCPError`."""
        method = context.method or ""
        if context.type == "notification":
            if self._gate.hears(method):
                return await call_next(context)
            _LOG.warning("dropped the notification %r: no rule says what it does", method[:100])
            return None
        try:
            message = _message(context)
            if method == CALL_TOOL:
                message = await _with_tool(context, message)
            await self._gate.admit(message)
        except McpRefusalError as error:
            raise MCPError(error.code, str(error), error.data) from error
        return await call_next(context)

    async def on_list_tools(
        self, context: MiddlewareContext[Any], call_next: CallNext[Any, Sequence[Tool]]
    ) -> Sequence[Tool]:
        """List the tools that may be called."""
        found = await call_next(context)
        return await self._visible(context, found, lambda one: one.name, _definition)

    async def on_list_resources(
        self, context: MiddlewareContext[Any], call_next: CallNext[Any, Sequence[Resource]]
    ) -> Sequence[Resource]:
        """List the resources that may be read."""
        return await self._visible(context, await call_next(context), lambda one: str(one.uri))

    async def on_list_resource_templates(
        self, context: MiddlewareContext[Any], call_next: CallNext[Any, Sequence[ResourceTemplate]]
    ) -> Sequence[ResourceTemplate]:
        """List the templates of resources that may be read."""
        return await self._visible(context, await call_next(context), lambda one: one.uri_template)

    async def on_list_prompts(
        self, context: MiddlewareContext[Any], call_next: CallNext[Any, Sequence[Prompt]]
    ) -> Sequence[Prompt]:
        """List the prompts that may be got."""
        return await self._visible(context, await call_next(context), lambda one: one.name)

    async def _visible(
        self,
        context: MiddlewareContext[Any],
        found: Sequence[_T],
        name: Callable[[_T], str],
        define: Callable[[_T], ToolDefinition | None] = lambda _: None,
    ) -> Sequence[_T]:
        try:
            shown = await self._gate.visible(_message(context), [(name(one), define(one)) for one in found])
        except McpRefusalError as error:
            raise MCPError(error.code, str(error), error.data) from error
        return [one for one, may in zip(found, shown, strict=True) if may]


def _message(context: MiddlewareContext[Any]) -> McpMessage:
    sent = context.message
    params = sent.model_dump(by_alias=True, exclude_none=True) if isinstance(sent, BaseModel) else sent
    try:
        get_http_request()
        remote = True
    except RuntimeError:
        remote = False
    return McpMessage(
        method=context.method or "",
        params=params if isinstance(params, Mapping) else {},
        meta=_meta(context),
        token=_token(),
        remote=remote,
    )


def _meta(context: MiddlewareContext[Any]) -> Mapping[str, Any]:
    """Return the client's own `_meta`: what `message` carries is FastMCP's."""
    of = context.fastmcp_context
    wire = None if of is None else of.request_context
    found = None if wire is None else wire.meta
    return found if isinstance(found, Mapping) else {}


def _token() -> str | None:
    """Return the token that FastMCP verified, or the bearer token that the decision point will verify."""
    access = get_access_token()
    if access is not None:
        return access.token
    try:
        sent = get_http_request().headers.getlist("authorization")
    except RuntimeError:
        return None
    return bearer(sent)


async def _with_tool(context: MiddlewareContext[Any], message: McpMessage) -> McpMessage:
    server = None if context.fastmcp_context is None else context.fastmcp_context.fastmcp
    if server is None or not isinstance(context.message, mcp_types.CallToolRequestParams):
        return message  # Refused: nobody can tell what the tool is.
    tool = await _resolved(server, context.message.name, _version(context.message))
    return McpMessage(
        method=message.method,
        params=message.params,
        meta=message.meta,
        token=message.token,
        remote=message.remote,
        tool=None if tool is None else _definition(tool),
    )


async def _resolved(server: FastMCP[Any], name: str, version: VersionSpec | None) -> Tool | None:
    """Return the tool that FastMCP will run, in its order: by the listed name, then by the hashed one."""
    tool = await server.get_tool(name, version=version)
    if tool is None and (hashed := parse_hashed_backend_name(name)) is not None:
        tool = await server.get_tool_by_hash(*hashed)
    return tool


def _version(params: mcp_types.CallToolRequestParams) -> VersionSpec | None:
    """Return the version that will run: FastMCP's own mark in the message, a version or its bounds."""
    own: Any = (params.meta or {}).get("fastmcp")
    version = own.get("version") if isinstance(own, Mapping) else None
    if isinstance(version, str):
        return VersionSpec(eq=version)
    return VersionSpec(**version) if isinstance(version, Mapping) else None


def _definition(tool: Tool) -> ToolDefinition:
    wire = tool.to_mcp_tool(name=tool.name).model_dump(mode="json", by_alias=True, exclude_none=True)
    return ToolDefinition.of_wire(wire, tool.version)
