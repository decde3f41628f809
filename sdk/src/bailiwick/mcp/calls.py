"""From an MCP message to the call that it stands for. Pure: nothing is asked here.

Holds: a method is harmless by name, or it is guarded, or it is denied. What a call is made of is what the server
resolved, and all that reaches it: arguments that the tool's schema does not take as they are would be changed between
the decision and the tool, and so would a URI that the server takes for another one.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from bailiwick import sentences
from bailiwick.call import AccessCall, AccessResource, Principal
from bailiwick.mcp.mcpparams import HARMLESS_META, added_arguments, reserved_argument, unknown_member
from bailiwick.mcp.membernames import twin_members
from bailiwick.mcp.resourceuri import is_one_uri, uri_defect
from bailiwick.mcp.toolarguments import argument_defect
from bailiwick.targets import OddTargetError, argument_id, parts_of
from bailiwick.web import BAD_REQUEST, UNAUTHENTICATED, UNMAPPED

# What a client puts into `_meta` of the very request, to show an approval or to ask for one in its own words.
APPROVAL_META: Final = "dev.bailiwick/approval"
REASON_META: Final = "dev.bailiwick/approval-reason"
CALL_TOOL: Final = "tools/call"
READ_RESOURCE: Final = "resources/read"
GET_PROMPT: Final = "prompts/get"
LISTEN: Final = "subscriptions/listen"
# From this version on a server can answer a call with `input_required`, and a result says how long it holds.
MODERN_SINCE: Final = "2026-07-28"
GUARDED: Final = frozenset({CALL_TOOL, GET_PROMPT, READ_RESOURCE, "resources/subscribe"})
# They tell nothing that a list would not, and change nothing but the caller's own session.
HARMLESS: Final = frozenset({"initialize", "logging/setLevel", "ping", "resources/unsubscribe", "server/discover"})
HARMLESS_NOTIFICATIONS: Final = frozenset(
    {
        "notifications/cancelled",
        "notifications/initialized",
        "notifications/progress",
        "notifications/roots/list_changed",
    }
)
# The member of a list's items that the guarded call would name, and that call.
LISTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "tools/list": ("tools", "name", CALL_TOOL),
    "resources/list": ("resources", "uri", READ_RESOURCE),
    "resources/templates/list": ("resourceTemplates", "uriTemplate", READ_RESOURCE),
    "prompts/list": ("prompts", "name", GET_PROMPT),
}
DENIED_CODE: Final = -32001
METHOD_CODE: Final = -32601
PARAMS_CODE: Final = -32602
INTERNAL_CODE: Final = -32603
# The gateway's word for a call of which it does not know whether its upstream made it.
UPSTREAM_LOST: Final = "upstream_lost"
UNKNOWN_TOOL: Final = "unknown_tool"
UNKNOWN_RESOURCE: Final = "unknown_resource"
UNKNOWN_PROMPT: Final = "unknown_prompt"
AMBIGUOUS: Final = "ambiguous_request"
# Methods that name a resource. Who may not read a resource need not know when it changes.
OF_RESOURCES: Final = GUARDED - {CALL_TOOL, GET_PROMPT}
_HOLE: Final = re.compile(r"\{([^{}]+)\}")
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_ANY: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRule:
    """What a tool does. `resource` is type and id, in which `{name}` stands for an argument, a text or an integer.

    What is left out: the action is the tool's name, the resource is the tool.
    """

    action: str | None = None
    resource: tuple[str, str] | None = None
    intent: str | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` where two arguments of an id touch."""
        if self.resource is not None:
            parts_of(self.resource[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDefinition:
    """A tool as its server defines it, under the one name that it is listed by."""

    name: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    version: str | None = None
    # All that a model reads of it: a tool that says something else today is another tool.
    digest: str | None = None

    @classmethod
    def of_wire(cls, tool: Mapping[str, Any], version: str | None = None) -> "ToolDefinition":
        """Return it from an item of `tools/list`."""
        said = {name: tool.get(name) for name in ("name", "description", "inputSchema", "outputSchema", "annotations")}
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return cls(name=tool["name"], schema=tool.get("inputSchema") or {}, version=version, digest=digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedItem:
    """What its server resolved a URI, or the name of a prompt, to.

    `name` is the item's own: its URI, or its template with the parameters that the server extracted, or its name.
    """

    name: str
    template: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class McpMessage:
    """One message of a client. `remote`: it came over a network, so only its own token says whose it is.

    `tool`, or `item` for a resource or a prompt, is what the server resolved; None: it does not know what was named.
    `can_repeat`: its client repeats a call that is answered with `input_required`. `opens_urls`: it declares that it
    shows its user a link on the way.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    token: str | None = None
    remote: bool = True
    tool: ToolDefinition | None = None
    item: ServedItem | None = None
    can_repeat: bool = False
    opens_urls: bool = False


class McpRefusalError(Exception):
    """The message must not be served: a JSON-RPC error for its sender.

    `task` is the pending request for approval that it waits for. `input_required` is the result that a client which
    repeats its call gets in place of the error.
    """

    task: Mapping[str, Any] | None = None
    input_required: Mapping[str, Any] | None = None

    def __init__(self, code: int, reason: str, detail: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.code = code
        self.data = {**(data or {}), "reason": reason}


def bearer(sent: Sequence[str]) -> str | None:
    """Return the bearer token of a request that has one `Authorization`."""
    if len(sent) != 1:
        return None
    scheme, _, token = sent[0].partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def unmapped(what: str) -> McpRefusalError:
    """Return the refusal of a tool, resource or prompt without a description."""
    return McpRefusalError(DENIED_CODE, UNMAPPED, sentences.unmapped(what))


def bad_request(detail: str) -> McpRefusalError:
    """Return the refusal of what cannot be asked about."""
    return McpRefusalError(PARAMS_CODE, BAD_REQUEST, detail)


def ambiguous(detail: str) -> McpRefusalError:
    """Return the refusal of what two readers could take for different things."""
    return McpRefusalError(DENIED_CODE, AMBIGUOUS, sentences.ambiguous(detail))


def unauthenticated() -> McpRefusalError:
    """Return the refusal of a message whose sender is unknown."""
    detail = f"{sentences.NO_TOKEN} Without HTTP, configure the identity of the server itself."
    return McpRefusalError(DENIED_CODE, UNAUTHENTICATED, detail, {"status": int(HTTPStatus.UNAUTHORIZED)})


def allowed_meta(meta: Mapping[str, Any], *passed: str) -> dict[str, Any]:
    """Return what of a client's `_meta` may reach the server: what changes nothing, and what is `passed`."""
    return {name: value for name, value in meta.items() if name in HARMLESS_META or name in passed}


def call_of(
    message: McpMessage,
    tools: Mapping[str, ToolRule] | None,
    who: tuple[str | None, Principal | None],
    passed: Sequence[str] = (),
) -> AccessCall:
    """Return the call that a guarded message is. `who` is token and subject. Raises `McpRefusalError`.

    `passed` are members of `_meta` that reach the server.
    """
    params = message.params
    if message.method not in GUARDED:
        raise McpRefusalError(METHOD_CODE, UNMAPPED, sentences.unmapped(f"The method {message.method}"))
    unknown = unknown_member(message.method, params)
    if unknown is not None:
        raise unmapped(f"The member {unknown} of {message.method}")
    added = added_arguments(params, {name: message.meta[name] for name in passed if name in message.meta})
    twin = twin_members({"arguments": params.get("arguments"), **added})
    if twin is not None:
        raise ambiguous(f"some servers take the argument {twin} for another one")
    match message.method:
        case "tools/call":
            return _tool_call(message, tools, who, added)
        case "prompts/get":
            return _prompt_call(message, who, added)
        case _:
            return _resource_call(message, who, added)


def bare_call(method: str, who: tuple[str | None, Principal | None]) -> AccessCall:
    """Return the call that tells whose a token is: of the method itself, on anything."""
    return _call({}, who, method, AccessResource(_kind_of(method), _ANY), None, None)


def listed_call(
    method: str,
    name: str,
    tool: ToolDefinition | None,
    tools: Mapping[str, ToolRule] | None,
    who: tuple[str | None, Principal | None],
    arguments: object = None,
) -> AccessCall | None:
    """Return the call that tells whether an item is listed: without arguments, of any object. None: unmapped.

    Where a call has `arguments` that make an id, it is of that object.
    """
    if method != CALL_TOOL:
        action = READ_RESOURCE if method in OF_RESOURCES else method
        return _call({}, who, action, AccessResource(_kind_of(method), name), None, None)
    rule = _rule(name, tools)
    if rule is None:
        return None
    kind, pattern = rule.resource or ("tool", name)
    identifier = _HOLE.sub(_ANY, pattern)
    if rule.resource is not None and isinstance(arguments, Mapping):
        with contextlib.suppress(McpRefusalError):
            identifier = _identifier(pattern, arguments)
    return _call({}, who, rule.action or name, _resource(kind, identifier, tool), None, rule.intent)


def _kind_of(method: str) -> str:
    """Return the type of what a method is about."""
    guarded = LISTS[method][2] if method in LISTS else method
    kinds = {CALL_TOOL: "tool", GET_PROMPT: "prompt"} | dict.fromkeys(OF_RESOURCES, "resource")
    return kinds.get(guarded, "server")


def _tool_call(
    message: McpMessage,
    tools: Mapping[str, ToolRule] | None,
    who: tuple[str | None, Principal | None],
    added: Mapping[str, Any],
) -> AccessCall:
    name = _text(message.params, "name")
    if message.tool is None:
        raise McpRefusalError(
            DENIED_CODE,
            UNKNOWN_TOOL,
            "There is no such tool, or its parameters are unknown. Call a tool of tools/list.",
        )
    name = message.tool.name
    rule = _rule(name, tools)
    if rule is None:
        raise unmapped(f"The tool {name}")
    arguments = _arguments(message.params)
    defect = argument_defect(arguments, message.tool.schema)
    if defect is not None:
        raise ambiguous(defect.detail) if defect.ambiguous else bad_request(defect.detail)
    kind, pattern = rule.resource or ("tool", name)
    identifier = pattern if rule.resource is None else _identifier(pattern, arguments)
    resource = _resource(kind, identifier, message.tool)
    return _call(message.meta, who, rule.action or name, resource, {**arguments, **added}, rule.intent)


def _prompt_call(message: McpMessage, who: tuple[str | None, Principal | None], added: Mapping[str, Any]) -> AccessCall:
    _text(message.params, "name")
    if message.item is None:
        raise McpRefusalError(DENIED_CODE, UNKNOWN_PROMPT, "There is no such prompt. Get a prompt of prompts/list.")
    resource = AccessResource("prompt", message.item.name, **_properties(message.item))
    return _call(message.meta, who, GET_PROMPT, resource, {**_arguments(message.params), **added}, None)


def _resource_call(
    message: McpMessage, who: tuple[str | None, Principal | None], added: Mapping[str, Any]
) -> AccessCall:
    uri = _text(message.params, "uri")
    defect = uri_defect(uri, query=True)
    if defect is not None:
        raise ambiguous(defect)
    if message.item is None:
        detail = "There is no such resource, and no template of it. Read a resource of resources/list."
        raise McpRefusalError(DENIED_CODE, UNKNOWN_RESOURCE, detail)
    if not is_one_uri(uri, message.item.name):
        raise ambiguous("the server takes this URI for another one, or ignores a part of it")
    args = dict(added)
    if message.item.template is not None and "?" in message.item.template:
        # A query holds arguments, which may be left out for their defaults: the name is what is before it.
        uri = uri.partition("?")[0]
        args = {**message.item.parameters, **args}
    resource = AccessResource("resource", uri, **_properties(message.item))
    return _call(message.meta, who, READ_RESOURCE, resource, args or None, None)


def _properties(item: ServedItem) -> dict[str, Any]:
    found: dict[str, Any] = {} if item.version is None else {"version": item.version}
    if item.template is not None:
        found |= {"uri_template": item.template, "parameters": dict(item.parameters)}
    return found


def _rule(name: str, tools: Mapping[str, ToolRule] | None) -> ToolRule | None:
    return ToolRule() if tools is None else tools.get(name)


def _resource(kind: str, identifier: str, tool: ToolDefinition | None) -> AccessResource:
    found = {"version": tool and tool.version, "definition_digest": tool and tool.digest}
    return AccessResource(kind, identifier, **{name: value for name, value in found.items() if value is not None})


def _call(
    meta: Mapping[str, Any],
    who: tuple[str | None, Principal | None],
    action: str,
    resource: AccessResource,
    args: Mapping[str, Any] | None,
    intent: str | None,
) -> AccessCall:
    trace = meta.get("traceparent")
    return AccessCall(
        action=action,
        resource=resource,
        token=who[0],
        subject=who[1],
        args=args,
        intent=intent,
        # It becomes a header of our own request.
        traceparent=trace if isinstance(trace, str) and _TRACEPARENT.fullmatch(trace) else None,
    )


def _arguments(params: Mapping[str, Any]) -> Mapping[str, Any]:
    arguments = params.get("arguments")
    if arguments is None:
        return {}
    if not isinstance(arguments, Mapping):
        raise bad_request("arguments must be an object.")
    reserved = reserved_argument(arguments)
    if reserved is not None:
        raise ambiguous(f"the argument {reserved[:64]} has a reserved name")
    return arguments


def _identifier(pattern: str, arguments: Mapping[str, Any]) -> str:
    try:
        return argument_id(pattern, {name: _part(arguments, name) for name in parts_of(pattern)})
    except OddTargetError as error:
        raise ambiguous(str(error)) from error


def _part(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise bad_request(f"The argument {name} must be a text or an integer: it names what is acted on.")
    return str(value)


def _text(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise bad_request(f"{name} must be a text.")
    return value
