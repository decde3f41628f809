"""What reaches a tool, a resource or a prompt of MCP beside its arguments, and under which names it is asked about.

Standing: beside `mcpmessages`; needs nothing but the standard library, since the SDK has a copy that `make generate`
writes. Holds: a member of `params` is asked about, or known to change nothing of what happens, or refused; an argument
of a tool cannot take the place of what is added here.
"""

from collections.abc import Mapping
from typing import Any, Final

RESERVED: Final = "dev.bailiwick/"
"""How the names of added arguments begin. Arguments of a client that begin so are refused."""
INPUT_RESPONSES: Final = "dev.bailiwick/inputResponses"
"""The argument that holds what the caller answered to a server's `input_required`."""
REQUEST_STATE: Final = "dev.bailiwick/requestState"
"""The argument that holds the state that a server gave its caller with `input_required`."""
META: Final = "dev.bailiwick/meta"
"""The argument that holds the members of `_meta` that reach the server and are not in `HARMLESS_META`."""
HARMLESS_META: Final = frozenset(
    {
        "baggage",
        "dev.bailiwick/approval",
        "dev.bailiwick/approval-reason",
        "io.modelcontextprotocol/clientCapabilities",
        "io.modelcontextprotocol/clientInfo",
        "io.modelcontextprotocol/logLevel",
        "io.modelcontextprotocol/protocolVersion",
        "progressToken",
        "traceparent",
        "tracestate",
    }
)
"""Members of `_meta` that belong to the connection, to traces and progress, or to us."""
_ROUNDS: Final = {"inputResponses": INPUT_RESPONSES, "requestState": REQUEST_STATE}
_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "tools/call": frozenset({"_meta", "arguments", "inputResponses", "name", "requestState"}),
    "resources/read": frozenset({"_meta", "inputResponses", "requestState", "uri"}),
    "resources/subscribe": frozenset({"_meta", "uri"}),
    "prompts/get": frozenset({"_meta", "arguments", "inputResponses", "name", "requestState"}),
}


def unknown_member(method: str, params: Mapping[str, Any]) -> str | None:
    """Return an unknown member of the params of a guarded method, such as `task`; None where there is none."""
    return next((str(name)[:64] for name in sorted(params.keys() - _KNOWN[method])), None)


def reserved_argument(arguments: Mapping[str, Any]) -> str | None:
    """Return an argument whose name is reserved for what is added; None where there is none."""
    return next((name for name in arguments if name.startswith(RESERVED)), None)


def added_arguments(params: Mapping[str, Any], meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is asked about beside the client's own arguments. `meta` is of `_meta` what reaches the server."""
    added = {name: params[member] for member, name in _ROUNDS.items() if params.get(member) is not None}
    telling = {name: value for name, value in meta.items() if name not in HARMLESS_META}
    return added | ({META: telling} if telling else {})
