"""What a message of MCP stands for, and what is refused of it."""

from typing import Any, Final

import pytest
from fastmcp.server.providers.addressing import hashed_backend_name

from bailiwick_api.kinds.httproutes import HttpSettings
from bailiwick_engine.compile.routes import compile_routes, route_warnings
from bailiwick_engine.policy.mcpmessages import APPROVAL, OF_SERVER, MappedMessage, message_call
from bailiwick_engine.policy.mcpparams import INPUT_RESPONSES, META, REQUEST_STATE
from bailiwick_engine.policy.routes import McpMatch, RouteRefusal, RouteTable
from bailiwick_engine.reasons import Reason

SERVER: Final = "shop/tools"
HOST: Final = "tools.example.com"
ROUTE: Final = {"methods": ["POST"], "path": "/mcp", "action": "a", "resource": {"type": "t", "id": "i"}}


def message(method: str, params: Any = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    said = {"jsonrpc": "2.0", "id": 1, "method": method, **({} if params is None else {"params": params}), **more}
    return {name: value for name, value in said.items() if value is not ...}


def mapped(document: Any, **headers: str | list[str]) -> MappedMessage | RouteRefusal:  # noqa: ANN401 - any JSON value
    sent = {name.replace("_", "-"): [value] if isinstance(value, str) else value for name, value in headers.items()}
    return message_call(document, SERVER, sent)


def call(document: Any, **headers: str) -> tuple[str, str, str, Any]:  # noqa: ANN401 - any JSON value
    found = mapped(document, **headers)
    assert isinstance(found, MappedMessage), found
    return found.call.action.name, found.call.resource.type, found.call.resource.id, found.call.args


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            message("tools/call", {"name": "refund", "arguments": {"amount": 9}}),
            ("refund", "tool", "refund", {"amount": 9}),
        ),
        (message("tools/call", {"name": "refund"}), ("refund", "tool", "refund", {})),
        (message("tools/call", {"name": "refund", "arguments": None}), ("refund", "tool", "refund", {})),
        (message("tools/call", {"name": "initialize"}), ("initialize", "tool", "initialize", {})),
        (
            message("prompts/get", {"name": "greet", "arguments": {"who": "x"}}),
            ("prompts/get", "prompt", "greet", {"who": "x"}),
        ),
        (
            message(
                "tools/call", {"name": "pay", "arguments": {"to": "b"}, "inputResponses": {"a": 1}, "_meta": {"x": 2}}
            ),
            ("pay", "tool", "pay", {"to": "b", INPUT_RESPONSES: {"a": 1}, META: {"x": 2}}),
        ),
        (
            message("resources/read", {"uri": "data://a", "requestState": "s"}),
            ("resources/read", "resource", "data://a", {REQUEST_STATE: "s"}),
        ),
        (message("resources/read", {"uri": "data://a"}), ("resources/read", "resource", "data://a", None)),
        (message("resources/subscribe", {"uri": "data://a"}), ("resources/read", "resource", "data://a", None)),
        *((message(method), (method, "mcp_server", SERVER, None)) for method in sorted(OF_SERVER)),
        (message("tools/list", {"cursor": "x"}, id="a"), ("tools/list", "mcp_server", SERVER, None)),
    ],
)
def test_a_method_is_an_action_on_what_it_names(document: Any, expected: tuple[str, str, str, Any]) -> None:  # noqa: ANN401 - any JSON value
    assert call(document) == expected


@pytest.mark.parametrize(
    "document",
    [
        None,
        "text",
        [],
        [message("tools/list")],
        {},
        message("tools/list", jsonrpc="1.0"),
        message("tools/list", jsonrpc=...),
        message("tools/list", result={}),
        message("tools/list", error={}),
        message("tools/list", more=1),
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        message("tools/list", []),
        message("tools/list", "x"),
        {"jsonrpc": "2.0", "id": 1, "method": 3},
        message("tools/call", {}),
        message("tools/call", {"name": ""}),
        message("tools/call", {"name": 3}),
        message("tools/call", {"name": "x" * 1025}),
        message("tools/call", {"name": hashed_backend_name("app", "wipe")}),
        message("tools/call", {"name": "refund", "arguments": {REQUEST_STATE: "s"}}),
        message("prompts/get", {"name": "greet", "arguments": {"dev.bailiwick/x": "y"}}),
        message("resources/read", {"uri": "crm://customers/%76ip"}),
        message("resources/read", {"uri": "crm://customers/vip?view=short"}),
        message("resources/subscribe", {"uri": "crm://customers/vip#x"}),
        message("tools/call", {"name": "refund", "arguments": []}),
        message("tools/call", {"name": "refund", "arguments": {"amount": 9, "Amount": 9000}}),
        message("prompts/get", {"name": "greet", "arguments": {"to": {"name": "x", "NAME": "y"}}}),
        message("tools/call", {"name": "refund", "inputResponses": {"a": {"amount": 9, "Amount": 9000}}}),
        message("resources/read", {"name": "x"}),
        message("prompts/get", {"uri": "x"}),
        message("tools/list", {"_meta": []}),
        message("tools/list", {"_meta": {APPROVAL: 3}}),
        message("tools/list", {"_meta": {APPROVAL: ""}}),
        message("tools/list", {"_meta": {APPROVAL: {"state": "x"}}}),
        message("tools/list", {"_meta": {APPROVAL: {"id": "x", "state": 3}}}),
    ],
)
def test_what_is_not_one_plain_request_is_refused(document: Any) -> None:  # noqa: ANN401 - any JSON value
    found = mapped(document)
    assert isinstance(found, RouteRefusal)
    assert found.reason is Reason.AMBIGUOUS_REQUEST


@pytest.mark.parametrize(
    "document",
    [
        message("notifications/initialized", id=...),
        message("tools/call", {"name": "refund"}, id=...),
        message("tools/call", {"name": "refund"}, id=None),
        message("tools/call", {"name": "refund"}, id=True),
        message("tools/call", {"name": "refund"}, id=1.5),
        message("tools/call", {"name": "refund", "task": {"ttl": 1}}),
        message("resources/read", {"uri": "data://a", "arguments": {}}),
        message("tools/destroy"),
        message("Tools/Call", {"name": "refund"}),
        message("tools/call ", {"name": "refund"}),
        message("subscriptions/listen", {}),
        message("completion/complete", {}),
        message(""),
    ],
)
def test_a_notification_and_a_method_that_nobody_knows_stand_for_nothing(document: Any) -> None:  # noqa: ANN401 - any JSON value
    found = mapped(document)
    assert isinstance(found, RouteRefusal)
    assert found.reason is Reason.UNMAPPED


@pytest.mark.parametrize(
    ("shown", "approval"),
    [
        ({}, None),
        ({"progressToken": 1}, None),
        ({APPROVAL: None}, None),
        ({APPROVAL: "g.u"}, ("g.u", None)),
        ({APPROVAL: {"id": "g.u", "state": "jws"}}, ("g.u", "jws")),
        ({APPROVAL: {"id": "g.u", "approved_at": "now"}}, ("g.u", None)),
    ],
)
def test_an_approval_is_shown_in_meta(shown: dict[str, Any], approval: tuple[str, str | None] | None) -> None:
    found = mapped(message("tools/call", {"name": "refund", "_meta": shown}))
    assert isinstance(found, MappedMessage)
    assert found.approval == approval


@pytest.mark.parametrize(
    ("headers", "fits"),
    [
        ({}, True),
        ({"mcp_method": "tools/call"}, True),
        ({"mcp_method": "tools/call", "mcp_name": "refund"}, True),
        ({"mcp_name": "=?base64?cmVmdW5k?="}, True),
        ({"mcp_method": "tools/list"}, False),
        ({"mcp_name": "orders"}, False),
        ({"mcp_name": "=?base64?b3JkZXJz?="}, False),
        ({"mcp_name": "=?base64?!!?="}, False),
        ({"mcp_name": "=?base64?/w==?="}, False),
        ({"mcp_name": ["refund", "refund"]}, False),
        ({"mcp_method": ["tools/call", "tools/list"]}, False),
    ],
)
def test_headers_say_what_the_message_says(headers: dict[str, Any], *, fits: bool) -> None:
    found = mapped(message("tools/call", {"name": "refund"}), **headers)
    assert isinstance(found, MappedMessage) is fits
    if isinstance(found, RouteRefusal):
        assert found.reason is Reason.AMBIGUOUS_REQUEST


def test_a_header_that_names_something_where_nothing_is_named_is_refused() -> None:
    assert isinstance(mapped(message("tools/list"), mcp_name="refund"), RouteRefusal)


def table(**fields: Any) -> RouteTable:  # noqa: ANN401 - fields of the settings
    made = compile_routes(HttpSettings.model_validate({"hosts": [HOST], "mcp": True, **fields}))
    assert isinstance(made, RouteTable)
    return made


class TestThePath:
    @pytest.mark.parametrize("target", ["/mcp", "/mcp?x=1"])
    def test_is_where_messages_are_posted_to(self, target: str) -> None:
        assert isinstance(table().find("POST", HOST, target), McpMatch)

    @pytest.mark.parametrize(
        ("method", "host", "target", "reason"),
        [
            ("GET", HOST, "/mcp", Reason.UNMAPPED),
            ("DELETE", HOST, "/mcp", Reason.UNMAPPED),
            ("POST", HOST, "/mcp/", Reason.UNMAPPED),
            ("POST", HOST, "/MCP", Reason.UNMAPPED),
            ("POST", HOST, "/other", Reason.UNMAPPED),
            ("POST", "other.example.com", "/mcp", Reason.UNMAPPED),
            ("POST", HOST, "/x/../mcp", Reason.AMBIGUOUS_REQUEST),
            ("POST", HOST, "//mcp", Reason.AMBIGUOUS_REQUEST),
            ("POST", HOST, "/mcp?_method=GET", Reason.AMBIGUOUS_REQUEST),
        ],
    )
    def test_is_that_one_alone(self, method: str, host: str, target: str, reason: Reason) -> None:
        found = table().find(method, host, target)
        assert isinstance(found, RouteRefusal)
        assert found.reason is reason

    def test_can_be_another_one(self) -> None:
        assert isinstance(table(mcpPath="/tools/v1").find("POST", HOST, "/tools/v1"), McpMatch)
        assert isinstance(table(mcpPath="/tools/v1").find("POST", HOST, "/mcp"), RouteRefusal)

    def test_is_nothing_without_mcp(self) -> None:
        assert isinstance(table(mcp=False, routes=[{**ROUTE, "path": "/x"}]).find("POST", HOST, "/mcp"), RouteRefusal)

    def test_that_no_call_can_have_does_not_compile(self) -> None:
        made = compile_routes(HttpSettings.model_validate({"hosts": [HOST], "mcp": True, "mcpPath": "/a/../b"}))
        assert not isinstance(made, RouteTable)
        assert made[0].path == "spec.endpointSettings.http.mcpPath"

    def test_leaves_other_routes_beside_it(self) -> None:
        both = table(routes=[{**ROUTE, "methods": ["GET"]}])
        assert not isinstance(both.find("GET", HOST, "/mcp"), RouteRefusal)
        assert isinstance(both.find("POST", HOST, "/mcp"), McpMatch)

    def test_is_told_of_where_a_route_has_it_too(self) -> None:
        settings = HttpSettings.model_validate({"hosts": [HOST], "mcp": True, "routes": [ROUTE]})
        (warning,) = route_warnings(settings)
        assert "unreachable" in str(warning)


def test_settings_that_say_nothing_do_not_compile() -> None:
    made = compile_routes(HttpSettings.model_validate({"hosts": [HOST]}))
    assert not isinstance(made, RouteTable)
    assert "http needs routes, mcp: true or both" in str(made[0])
