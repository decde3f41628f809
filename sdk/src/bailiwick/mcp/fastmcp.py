"""`BailiwickMiddleware`: a gate for FastMCP 4. Put it first, before any middleware that caches.

Holds: the check is in `on_message`, the one hook that every message runs through; what is asked about is the tool,
resource, template or prompt that a name resolves to, not the name. A tool that calls tools runs through here again.
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import mcp_types
from fastmcp import FastMCP
from fastmcp.prompts.base import InputRequiredPromptResult, Prompt
from fastmcp.resources.base import InputRequiredResourceResult, Resource, ResourceResult
from fastmcp.resources.template import ResourceTemplate, expand_uri_template
from fastmcp.server.dependencies import FastMCPRequestContext, get_access_token, get_http_request
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.server.providers.addressing import parse_hashed_backend_name
from fastmcp.tools.base import InputRequiredToolResult, Tool
from fastmcp.utilities.versions import VersionSpec
from mcp import MCPError
from pydantic import BaseModel

from bailiwick.decision import AccessDecision
from bailiwick.mcp.calls import (
    CALL_TOOL,
    GET_PROMPT,
    GUARDED,
    MODERN_SINCE,
    OF_RESOURCES,
    READ_RESOURCE,
    McpMessage,
    McpRefusalError,
    ServedItem,
    ToolDefinition,
    bearer,
)
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.midcall import calls_another, declares_urls, follow_call
from bailiwick.mcp.resumption import read_resumption
from bailiwick.outcomes import CANCELLED

_LOG: Final = logging.getLogger("bailiwick.mcp")
_T = TypeVar("_T")
# Of these FastMCP's own message tells, also where it is about a nested call.
_OF_MESSAGE: Final = frozenset({"_meta", "arguments", "name", "uri"})
# Results that ask the client to repeat its call, as FastMCP's handlers take them.
_REPEATING: Final = {
    CALL_TOOL: InputRequiredToolResult,
    GET_PROMPT: InputRequiredPromptResult,
    READ_RESOURCE: InputRequiredResourceResult,
}


class BailiwickMiddleware(Middleware):
    """Asks about every message, and lists only what may be called."""

    def __init__(self, gate: McpGate, *, sends_on: bool = False) -> None:
        """Remember the gate; close its client with the server's lifespan.

        `sends_on`: the server is a proxy. So a call that its caller cancels may be made all the same, and no outcome of
        it is reported. And every message reaches the server behind it, so each sender must be proven.
        """
        self._gate = gate
        self._sends_on = sends_on

    async def on_message(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:  # noqa: ANN401 - a result of any method
        """Serve a message that may pass. Raises `MCPError`."""
        method = context.method or ""
        if context.type == "notification":
            if self._gate.hears(method):
                return await call_next(context)
            _LOG.warning("dropped the notification %r: no rule says what it does", method[:100])
            return None
        try:
            message, decision = await self._admit(context)
        except McpRefusalError as error:
            if error.input_required is None:
                raise MCPError(error.code, str(error), error.data) from error
            return _REPEATING[method](mcp_types.InputRequiredResult.model_validate(error.input_required))
        if method not in GUARDED:
            return await call_next(context)
        self._keep_allowed_meta(context)
        _keep_admitted_round(context, message)
        wire = _wire(context)
        session = None if wire is None else wire.session
        with follow_call(session, self._gate, message, decision, sent_on=self._sends_on) as call:
            return call.finish(await call_next(context))

    async def on_read_resource(
        self,
        context: MiddlewareContext[mcp_types.ReadResourceRequestParams],
        call_next: CallNext[mcp_types.ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        """Read a resource. `on_message` has asked about it."""
        return await call_next(context)

    async def check_resource_access(self, context: MiddlewareContext[mcp_types.ReadResourceRequestParams]) -> None:
        """Refuse what an extension of the server tells of a resource that may not be read. Raises `MCPError`."""
        try:
            _, decision = await self._admit(context)
        except McpRefusalError as error:
            raise MCPError(error.code, str(error), error.data) from error
        if decision is not None:
            # The resource is not read.
            self._gate.report(decision, CANCELLED)

    async def _admit(self, context: MiddlewareContext[Any]) -> tuple[McpMessage, AccessDecision | None]:
        """Ask about a message, and return it as it was asked about. Raises `McpRefusalError`."""
        message, resumption = read_resumption(_message(context))
        await self._gate.prove(message, sent_on=self._sends_on)
        message = await _with_served_item(context, message)
        return message, await self._gate.admit(message, resumption)

    def _keep_allowed_meta(self, context: MiddlewareContext[Any]) -> None:
        """Take out of the client's `_meta` what is not in the question."""
        meta = _meta(context)
        if isinstance(meta, dict):
            kept = self._gate.allowed_meta(meta)
            meta.clear()
            meta.update(kept)

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
    told = params if isinstance(params, Mapping) else {}
    wire = _wire(context)
    return McpMessage(
        method=context.method or "",
        params={**told, **_other_members(context)},
        meta=_meta(context),
        token=_token(),
        remote=remote,
        # A tool that calls another one cannot be asked to repeat it.
        can_repeat=wire is not None and wire.protocol_version >= MODERN_SINCE and not calls_another(),
        opens_urls=declares_urls(None if wire is None else wire.session),
    )


def _meta(context: MiddlewareContext[Any]) -> Mapping[str, Any]:
    """Return the client's own `_meta`: what `message` carries is FastMCP's."""
    wire = _wire(context)
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


def _other_members(context: MiddlewareContext[Any]) -> dict[str, Any]:
    """Return the members of the client's own message that FastMCP does not repeat, with the state of a round unsealed.

    A nested call sees the answers of the round that it is part of.
    """
    wire = _wire(context)
    # Their escape hatch: FastMCP has no other way to these members.
    sent = None if wire is None else wire._srctx  # noqa: SLF001
    if sent is None or sent.method not in GUARDED or not isinstance(sent.params, Mapping):
        return {}
    return {name: value for name, value in sent.params.items() if name not in _OF_MESSAGE}


def _keep_admitted_round(context: MiddlewareContext[Any], message: McpMessage) -> None:
    """Give the server the answers and the state that were asked about: those of a wait for an approval are not its."""
    wire = _wire(context)
    sent = None if wire is None else wire._srctx.params  # noqa: SLF001 - as above
    if not isinstance(sent, dict):
        return
    for name in ("inputResponses", "requestState"):
        sent.pop(name, None)
        if name in message.params:
            sent[name] = message.params[name]


def _wire(context: MiddlewareContext[Any]) -> FastMCPRequestContext | None:
    """Return the request of the client that a message is part of; None within a process."""
    of = context.fastmcp_context
    return None if of is None else of.request_context


async def _with_served_item(context: MiddlewareContext[Any], message: McpMessage) -> McpMessage:
    """Return a message with what FastMCP will serve; without it, the gate refuses what names something."""
    server = None if context.fastmcp_context is None else context.fastmcp_context.fastmcp
    if server is None or message.method not in GUARDED:
        return message
    named = message.params.get("uri" if message.method in OF_RESOURCES else "name")
    if not isinstance(named, str):
        return message
    version = _version(context.message)
    if message.method == CALL_TOOL:
        tool = await _tool(server, named, version)
        return dataclasses.replace(message, tool=None if tool is None else _definition(tool))
    if message.method == GET_PROMPT:
        prompt = await server.get_prompt(named, version=version)
        item = None if prompt is None else ServedItem(name=prompt.name, version=prompt.version)
        return dataclasses.replace(message, item=item)
    return dataclasses.replace(message, item=await _resource(server, named, version))


async def _tool(server: FastMCP[Any], name: str, version: VersionSpec | None) -> Tool | None:
    """Return the tool that FastMCP will run, in its order: by the listed name, then by the hashed one."""
    tool = await server.get_tool(name, version=version)
    if tool is None and (hashed := parse_hashed_backend_name(name)) is not None:
        tool = await server.get_tool_by_hash(*hashed)
    return tool


async def _resource(server: FastMCP[Any], uri: str, version: VersionSpec | None) -> ServedItem | None:
    """Return what FastMCP will read, in its order: the resource of this URI, then a template that matches it."""
    resource = await server.get_resource(uri, version=version)
    if resource is not None:
        return ServedItem(name=str(resource.uri), version=resource.version)
    template = await server.get_resource_template(uri, version=version)
    found = None if template is None else template.matches(uri)
    if template is None or found is None:
        # What FastMCP makes when it is read is in its lists alone.
        listed = await server.list_resources(run_middleware=False)
        return next((ServedItem(name=uri) for one in listed if str(one.uri) == uri), None)
    written = template.uri_template
    return ServedItem(
        name=expand_uri_template(written, found), template=written, parameters=found, version=template.version
    )


def _version(sent: object) -> VersionSpec | None:
    """Return the version that will run: FastMCP's own mark in the message, a version or its bounds."""
    meta = sent.meta if isinstance(sent, mcp_types.RequestParams) else None
    own: Any = (meta or {}).get("fastmcp")
    version = own.get("version") if isinstance(own, Mapping) else None
    if isinstance(version, str):
        return VersionSpec(eq=version)
    return VersionSpec(**version) if isinstance(version, Mapping) else None


def _definition(tool: Tool) -> ToolDefinition:
    wire = tool.to_mcp_tool(name=tool.name).model_dump(mode="json", by_alias=True, exclude_none=True)
    return ToolDefinition.of_wire(wire, tool.version)
