"""A guard in a server and a proxy before it ask about the same call: the SDK's mapping and the decision point's agree.

The two cannot share code, since the SDK knows nothing of the engine. So what each makes of a message is held together
here. Where the guard asks nobody (it filters lists, and lets pass what is harmless), a proxy asks about the server.
"""

from typing import Any, Final

import pytest

from bailiwick.mcp import calls
from bailiwick.mcp.calls import HARMLESS, LISTS, McpMessage, McpRefusalError, ServedItem, ToolDefinition, call_of
from bailiwick_engine.policy.mcpmessages import APPROVAL, OF_SERVER, MappedMessage, message_call

GUARDED: Final[list[tuple[str, dict[str, Any]]]] = [
    ("tools/call", {"name": "refund", "arguments": {"amount": 9}}),
    ("tools/call", {"name": "refund", "arguments": {}}),
    ("tools/call", {"name": "refund"}),
    ("tools/call", {"name": "refund", "arguments": None}),
    ("tools/call", {"name": "initialize", "arguments": {"a": [1, {"b": None}]}}),
    ("prompts/get", {"name": "greet", "arguments": {"who": "x"}}),
    ("prompts/get", {"name": "greet"}),
    ("resources/read", {"uri": "data://a"}),
    ("resources/subscribe", {"uri": "data://a"}),
    ("tools/call", {"name": "refund", "arguments": {"to": "bob"}, "inputResponses": {"a": {"action": "accept"}}}),
    ("tools/call", {"name": "refund", "requestState": "s", "inputResponses": None}),
    ("prompts/get", {"name": "greet", "arguments": {"who": "x"}, "requestState": "s"}),
    ("resources/read", {"uri": "data://a", "inputResponses": {"a": {"action": "accept"}}, "requestState": "s"}),
    ("tools/call", {"name": "refund", "_meta": {"traceparent": "00", "progressToken": 1}}),
    ("tools/call", {"name": "refund", "_meta": {"tenant": "a", "fastmcp": {"version": "1"}}}),
    ("resources/read", {"uri": "data://a", "_meta": {"tenant": "a"}}),
]
REFUSED: Final[list[tuple[str, dict[str, Any]]]] = [
    ("tools/call", {}),
    ("tools/call", {"name": 3}),
    ("tools/call", {"name": "refund", "arguments": [1]}),
    ("tools/call", {"name": "refund", "arguments": {"amount": 9, "Amount": 9000}}),
    ("prompts/get", {"name": "greet", "arguments": {"who": {"name": "x", "NAME": "y"}}}),
    ("resources/read", {"uri": "data://a", "inputResponses": {"a": {"to": "x", "To": "y"}}}),
    ("tools/call", {"name": "refund", "_meta": {"tenant": "a", "Tenant": "b"}}),
    ("prompts/get", {"name": ""}),
    ("resources/read", {"name": "x"}),
    ("completion/complete", {}),
    ("tools/destroy", {}),
    ("roots/list", {}),
    ("tools/call", {"name": "refund", "task": {"ttl": 1}}),
    ("tools/call", {"name": "refund", "argument": {}}),
    ("prompts/get", {"name": "greet", "uri": "data://a"}),
    ("resources/read", {"uri": "data://a", "arguments": {}}),
    ("resources/subscribe", {"uri": "data://a", "requestState": "s"}),
    ("tools/call", {"name": "refund", "arguments": {"dev.bailiwick/requestState": "s"}}),
    ("prompts/get", {"name": "greet", "arguments": {"dev.bailiwick/x": "s"}}),
    ("resources/read", {"uri": "data://%61"}),
    ("resources/read", {"uri": "data://a#x"}),
    ("resources/subscribe", {"uri": "data://a/../b"}),
]


def by_guard(method: str, params: dict[str, Any]) -> tuple[str, str, str, Any] | None:
    name = params.get("name", params.get("uri"))
    tool = ToolDefinition(name=name) if isinstance(name, str) and name else None
    item = ServedItem(name=name) if isinstance(name, str) and name else None
    meta = params.get("_meta", {})
    message = McpMessage(method=method, params=params, meta=meta, tool=tool, item=item)
    try:
        asked = call_of(message, None, ("t", None), tuple(meta))
    except McpRefusalError:
        return None
    return asked.action, asked.resource.type, asked.resource.id, asked.args


def by_proxy(method: str, params: dict[str, Any]) -> tuple[str, str, str, Any] | None:
    found = message_call({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, "shop/tools", {})
    if not isinstance(found, MappedMessage):
        return None
    return found.call.action.name, found.call.resource.type, found.call.resource.id, found.call.args


@pytest.mark.parametrize(("method", "params"), GUARDED)
def test_a_guarded_message_is_the_same_call_to_both(method: str, params: dict[str, Any]) -> None:
    assert by_guard(method, params) == by_proxy(method, params)
    assert by_proxy(method, params) is not None


@pytest.mark.parametrize(("method", "params"), REFUSED)
def test_what_one_refuses_the_other_refuses(method: str, params: dict[str, Any]) -> None:
    assert by_guard(method, params) is None
    assert by_proxy(method, params) is None


def test_what_the_guard_lets_pass_or_filters_is_what_the_proxy_asks_about_as_the_server() -> None:
    assert HARMLESS | LISTS.keys() == OF_SERVER


def test_both_read_an_approval_in_the_same_place() -> None:
    assert APPROVAL == calls.APPROVAL_META
