"""MCP messages: map the body of a proxied call to an action and a resource.

Standing: beside `routes`, for endpoints with `http.mcp` (JSON-RPC 2.0; MCP 2026-07-28, and 2025-11-25 for `initialize`
and `ping`). Holds: a call with an unknown method is denied. So is a notification, because it has no response that could
report a denial. A message that two readers could interpret differently is refused. Everything that reaches a tool, a
resource or a prompt is part of the evaluated call.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from bailiwick_engine.call import Action, Json, Resource
from bailiwick_engine.policy.mcpparams import added_arguments, reserved_argument, unknown_member
from bailiwick_engine.policy.membernames import twin_members
from bailiwick_engine.policy.resourceuri import uri_defect
from bailiwick_engine.policy.routes import MAX_VALUE, MappedCall, RouteRefusal
from bailiwick_engine.reasons import Reason

APPROVAL: Final = "dev.bailiwick/approval"
"""The member of `params._meta` by which a client shows an approval: its id, or an object with `id` and `state`."""
SERVER: Final = "mcp_server"
"""The type of what a message is about that names nothing: the server itself, whose id is `<namespace>/<endpoint>`."""
OF_SERVER: Final = frozenset(
    {
        "initialize",
        "logging/setLevel",
        "ping",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "resources/unsubscribe",
        "server/discover",
        "tools/list",
    }
)
"""Methods whose action is their name and whose resource is the server."""
_MEMBERS: Final = frozenset({"jsonrpc", "id", "method", "params"})
# How FastMCP names a tool a second time, for the user interfaces of applications.
_HASHED: Final = re.compile(r"__[0-9a-f]{12}_.+", re.DOTALL)
_ENCODED: Final = re.compile(r"=\?base64\?([A-Za-z0-9+/]*={0,2})\?=")


class MappedMessage(NamedTuple):
    """What a message stands for, and the approval that it shows: id and token."""

    call: MappedCall
    approval: tuple[str, str | None] | None


def message_call(document: Json, server: str, headers: Mapping[str, Sequence[str]]) -> MappedMessage | RouteRefusal:
    """Return what a message stands for. `server` is `<namespace>/<endpoint>`; names in `headers` are in small letters.

    MCP wants method and name in headers too, so that they can be routed by. Where they are there, they say the same.
    """
    if not isinstance(document, Mapping) or document.get("jsonrpc") != "2.0" or not document.keys() <= _MEMBERS:
        return _refused("the body is not one JSON-RPC 2.0 request")
    method, params = document.get("method"), document.get("params", {})
    if not isinstance(method, str) or not isinstance(params, Mapping):
        return _refused("the body is not one JSON-RPC 2.0 request")
    identifier = document.get("id")
    if isinstance(identifier, bool) or not isinstance(identifier, str | int):
        return RouteRefusal(Reason.UNMAPPED, "a notification has no answer, so it cannot be denied: it is dropped")
    approval = _approval(params.get("_meta", {}))
    if isinstance(approval, RouteRefusal):
        return approval
    found = _mapped(method, params, server)
    if isinstance(found, RouteRefusal):
        return found
    name = None if found.resource.type == SERVER else found.resource.id
    if not _says(headers, "mcp-method", method) or not _says(headers, "mcp-name", name):
        return _refused("the headers Mcp-Method and Mcp-Name do not say what the body says")
    return MappedMessage(found, approval)


def _mapped(method: str, params: Mapping[str, Json], server: str) -> MappedCall | RouteRefusal:
    match method:
        case "tools/call":
            return _map_named_call(method, params, "name", "tool", None)
        case "prompts/get":
            return _map_named_call(method, params, "name", "prompt", method)
        case "resources/read" | "resources/subscribe":
            # Who may not read a resource need not know when it changes.
            return _of_resource(_map_named_call(method, params, "uri", "resource", "resources/read"))
        case _ if method in OF_SERVER:
            return MappedCall(Action(method), Resource(SERVER, server), None)
    return RouteRefusal(Reason.UNMAPPED, "this MCP method is unknown")


def _of_resource(found: MappedCall | RouteRefusal) -> MappedCall | RouteRefusal:
    if isinstance(found, RouteRefusal):
        return found
    defect = uri_defect(found.resource.id)
    return found._replace(args=found.args or None) if defect is None else _refused(defect)


def _map_named_call(
    method: str, params: Mapping[str, Json], member: str, kind: str, action: str | None
) -> MappedCall | RouteRefusal:
    name, args = params.get(member), params.get("arguments")
    if not isinstance(name, str) or not name or len(name) > MAX_VALUE:
        return _refused(f"params.{member} is missing, or is no text of at most {MAX_VALUE} characters")
    if kind == "tool" and _HASHED.fullmatch(name) is not None:
        return _refused("the tool is named by a hash, which stands for another name")
    if not isinstance(args, Mapping | None):
        return _refused("params.arguments is not an object")
    unknown = unknown_member(method, params)
    if unknown is not None:
        return RouteRefusal(Reason.UNMAPPED, f"the member {unknown} of this MCP method is unknown")
    reserved = reserved_argument(args or {})
    if reserved is not None:
        return _refused(f"the argument {reserved[:64]} has a reserved name")
    meta = params.get("_meta")
    # A proxy sends the whole message on.
    whole = {**(args or {}), **added_arguments(params, meta if isinstance(meta, Mapping) else {})}
    twin = twin_members(whole)
    if twin is not None:
        return _refused(f"some servers take the argument {twin} for another one")
    return MappedCall(Action(action or name), Resource(kind, name), whole)


def _approval(meta: Json) -> tuple[str, str | None] | RouteRefusal | None:
    if not isinstance(meta, Mapping):
        return _refused("params._meta is not an object")
    shown = meta.get(APPROVAL)
    if shown is None:
        return None
    identifier, state = (shown.get("id"), shown.get("state")) if isinstance(shown, Mapping) else (shown, None)
    if isinstance(identifier, str) and identifier and isinstance(state, str | None):
        return identifier, state
    return _refused(f"params._meta of {APPROVAL} is neither an id nor an approval")


def _says(headers: Mapping[str, Sequence[str]], header: str, expected: str | None) -> bool:
    """Tell whether a header, where it is there at all, is there once and says this. None: it has nothing to say."""
    sent = headers.get(header, ())
    if not sent:
        return True
    return len(sent) == 1 and expected is not None and _plain(sent[0].strip()) == expected


def _plain(value: str) -> str | None:
    found = _ENCODED.fullmatch(value)
    if found is None:
        return value
    try:
        return base64.b64decode(found[1], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _refused(detail: str) -> RouteRefusal:
    return RouteRefusal(Reason.AMBIGUOUS_REQUEST, detail)
