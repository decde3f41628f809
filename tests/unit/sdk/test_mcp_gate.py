"""The gate of MCP: what each message is asked about, and what its sender is told."""

import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick import AsyncBailiwick, Principal
from bailiwick.mcp.calls import (
    APPROVAL_META,
    HARMLESS,
    REASON_META,
    McpMessage,
    McpRefusalError,
    ToolDefinition,
    ToolRule,
    bearer,
)
from bailiwick.mcp.gate import McpGate
from support.sdk.outcomes import UNTIL, ReportScript
from support.sdk.script import Script, allow, answer, decisions_in, deny

SCHEMA: Final = {"type": "object", "properties": {"amount": {"type": "integer"}, "id": {"type": "string"}}}
REFUND: Final = McpMessage(
    method="tools/call",
    params={"name": "refund", "arguments": {"amount": 9}},
    token="t",
    tool=ToolDefinition.of_wire({"name": "refund", "inputSchema": SCHEMA}),
)
ASKS: Final = {"endpoint": "e", "template": "t", "expires_at": "x", "binding_token": "b"}
SHOWN: Final = {"id": "g.u", "state": "jws"}
PENDING: Final = {"task": {"id": "g.u", "status": "pending"}}
NEEDED: Final = deny("approval_required")
APPROVED: Final = {"task": {"id": "g.u", "status": "approved", "result": {"mode": "reevaluate", "approval": SHOWN}}}
DENIED: Final = {"task": {"id": "g.u", "status": "denied"}}


def gate(script: Script, **settings: Any) -> McpGate:  # noqa: ANN401 - the gate's own
    return McpGate(AsyncBailiwick("https://pdp.example", token=None, transport=script.asynchronous), **settings)


def asking(meta: Mapping[str, Any], message: McpMessage = REFUND) -> McpMessage:
    return replace(message, meta=meta)


async def refusal(of: McpGate, message: McpMessage) -> McpRefusalError:
    with pytest.raises(McpRefusalError) as caught:
        await of.admit(message)
    return caught.value


async def test_a_call_is_asked_about_with_its_very_arguments() -> None:
    script = Script(allow())
    assert await gate(script).admit(asking({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}))
    (body,) = script.bodies
    assert body["action"] == {"name": "refund"}
    assert (body["resource"]["type"], body["resource"]["id"]) == ("tool", "refund")
    assert body["resource"]["properties"]["definition_digest"].startswith("sha256:")
    assert body["context"]["args"] == {"amount": 9}
    assert body["context"]["evidence"] == {"subject_token": "t"}


@pytest.mark.parametrize("trace", ["x\r\nX-Other: y", "00-abc-def-01", 7, f"00-{'A' * 32}-{'b' * 16}-01"])
async def test_a_trace_that_is_none_becomes_no_header(trace: object) -> None:
    script = Script(allow())
    assert await gate(script).admit(asking({"traceparent": trace}))
    assert script.sent[0].headers.get("traceparent") != trace


@pytest.mark.parametrize("keyword", ["$ref", "$schema", "$dynamicRef"])
async def test_no_schema_is_fetched(keyword: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        tool = ToolDefinition(name="refund", schema={keyword: f"http://127.0.0.1:{listener.getsockname()[1]}/s"})
        assert (await refusal(gate(Script(allow())), replace(REFUND, tool=tool))).data["reason"] == "bad_request"
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_no_schema_is_read_from_a_disk(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text('{"type": "object"}', encoding="utf-8")
    tool = ToolDefinition(name="refund", schema={"$ref": file.as_uri()})
    assert (await refusal(gate(Script(allow())), replace(REFUND, tool=tool))).data["reason"] == "bad_request"


@pytest.mark.parametrize("depth", [30, 900, 100_000])
async def test_how_deep_arguments_are_does_not_end_the_process(depth: int) -> None:
    # Each level of the arguments is many of the schema: without a bound, these overflow the stack of native code.
    inner: dict[str, object] = {"$ref": "#/$defs/node"}
    for _ in range(40):
        inner = {"allOf": [inner]}
    node = {"properties": {"child": inner}}
    tool = ToolDefinition(name="refund", schema={"$ref": "#/$defs/node", "$defs": {"node": node}})
    arguments: dict[str, object] = {}
    for _ in range(depth):
        arguments = {"child": arguments}
    message = replace(REFUND, tool=tool, params={"name": "refund", "arguments": arguments})
    assert (await refusal(gate(Script(allow())), message)).data["reason"] == "bad_request"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        # Each would take an hour or longer of an engine that steps back without bounds, or compares all pairs.
        ({"type": "string", "pattern": "^(a+)+$"}, "a" * 100 + "!"),
        ({"type": "string", "pattern": r"^(?=a)(a|aa)+\1$"}, "a" * 400 + "!"),
        (
            {"type": "object", "patternProperties": {"^(a|a)*$": {}}, "additionalProperties": False},
            {"a" * 100 + "!": 1},
        ),
        ({"type": "array", "uniqueItems": True}, [*({"n": number} for number in range(100_000)), {"n": 0}]),
    ],
)
async def test_what_a_client_sends_does_not_say_how_long_its_check_takes(kind: object, value: object) -> None:
    tool = ToolDefinition(name="refund", schema={"properties": {"value": kind}})
    message = replace(REFUND, tool=tool, params={"name": "refund", "arguments": {"value": value}})
    assert (await refusal(gate(Script(allow())), message)).data["reason"] == "bad_request"


@pytest.mark.parametrize(
    "name", ["date-time", "email", "hostname", "iri", "regex", "time", "uri", "uri-template", "odd"]
)
async def test_a_format_that_servers_do_not_parse_is_held_to_nothing(name: str) -> None:
    tool = ToolDefinition(name="refund", schema={"properties": {"value": {"type": "string", "format": name}}})
    message = replace(REFUND, tool=tool, params={"name": "refund", "arguments": {"value": "( no such thing"}})
    assert await gate(Script(allow())).admit(message)


async def test_a_text_in_another_spelling_is_refused_with_its_own() -> None:
    schema = {"properties": {"value": {"anyOf": [{"type": "string", "format": "uuid"}, {"type": "null"}]}}}
    canonical = "c0ffee00-0000-4000-8000-000000000001"
    message = replace(REFUND, tool=ToolDefinition(name="refund", schema=schema))
    sent = replace(message, params={"name": "refund", "arguments": {"value": canonical.upper()}})
    error = await refusal(gate(Script(allow())), sent)
    assert error.data["reason"] == "ambiguous_request"
    assert f"another spelling, which is '{canonical}'" in str(error)


async def test_a_declared_mapping_says_action_resource_and_intent() -> None:
    script = Script(allow())
    message = replace(REFUND, params={"name": "refund", "arguments": {"id": "8812"}})
    await gate(script, tools={"refund": ToolRule(action="pay", resource=("Order", "{id}"), intent="i")}).admit(message)
    (body,) = script.bodies
    assert (body["action"]["name"], body["resource"]["id"], body["context"]["intent"]) == ("pay", "8812", "i")


FILED: Final = ToolRule(action="read", resource=("Doc", "{folder}/{name}"))
PLACED: Final = ToolRule(action="read", resource=("Doc", "{name}"))


@pytest.mark.parametrize(
    ("rule", "arguments", "identifier"),
    [
        (FILED, {"folder": "public", "name": "a"}, "public/a"),
        (FILED, {"folder": "public", "name": "a/b"}, "public/a/b"),
        (FILED, {"folder": "public", "name": 7}, "public/7"),
        (PLACED, {"name": "/public/a"}, "/public/a"),
        (PLACED, {"name": "..a"}, "..a"),
        # Else it lies in `public/*`, and is of another folder.
        (FILED, {"folder": "public", "name": "../secret/a"}, None),
        (FILED, {"folder": "public", "name": "a/./b"}, None),
        (FILED, {"folder": "public", "name": "/secret/a"}, None),
        (FILED, {"folder": "public", "name": "a//b"}, None),
        (FILED, {"folder": "public", "name": "..\\secret"}, None),
        (FILED, {"folder": "public", "name": "a\n"}, None),
        (FILED, {"folder": "public", "name": "%2e%2e"}, None),
        # Else `public/secret` and `a` come to the same id as `public` and `secret/a`.
        (FILED, {"folder": "public/secret", "name": "a"}, None),
        (PLACED, {"name": "/public/../secret"}, None),
        (PLACED, {"name": "//public"}, None),
    ],
)
async def test_an_id_made_of_arguments_has_one_reading(
    rule: ToolRule, arguments: Mapping[str, Any], identifier: str | None
) -> None:
    script = Script(allow())
    tool = ToolDefinition(name="read")
    message = McpMessage(method="tools/call", params={"name": "read", "arguments": arguments}, token="t", tool=tool)
    of = gate(script, tools={"read": rule})
    if identifier is None:
        assert (await refusal(of, message)).data["reason"] == "ambiguous_request"
        assert decisions_in(script) == []
    else:
        await of.admit(message)
        assert script.bodies[0]["resource"]["id"] == identifier


def test_two_parts_of_an_id_do_not_touch() -> None:
    with pytest.raises(ValueError, match="side by side"):
        ToolRule(resource=("Doc", "{folder}{name}"))


def test_a_tool_that_says_something_else_has_another_digest() -> None:
    tool = {"name": "refund", "description": "one", "inputSchema": {}}
    assert ToolDefinition.of_wire(tool).digest != ToolDefinition.of_wire({**tool, "description": "two"}).digest


@pytest.mark.parametrize("method", sorted(HARMLESS))
async def test_a_harmless_method_passes_unasked(method: str) -> None:
    script = Script(deny())
    assert await gate(script).admit(McpMessage(method=method)) is None
    assert script.sent == []


@pytest.mark.parametrize("method", ["", "completion/complete", "tasks/get", "tools/Call", "Initialize", "wipe"])
async def test_any_other_method_is_denied_unasked(method: str) -> None:
    script = Script(allow())
    assert (await refusal(gate(script), McpMessage(method=method, token="t"))).code == -32601
    assert script.sent == []


@pytest.mark.parametrize(
    ("method", "passes"),
    [
        ("notifications/cancelled", True),
        ("notifications/initialized", True),
        ("notifications/wipe", False),
        ("", False),
    ],
)
def test_a_notification_that_acts_is_not_heard(method: str, passes: bool) -> None:
    assert gate(Script(allow())).hears(method) is passes


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        ({"toolsListChanged": True}, True),
        ({"resourceSubscriptions": ["data://x"]}, False),
        ({"taskIds": ["t"]}, False),
        (None, False),
    ],
)
async def test_only_changes_of_lists_are_listened_to(wanted: object, passes: bool) -> None:
    message = McpMessage(method="subscriptions/listen", params={"notifications": wanted}, token="t")
    if passes:
        assert await gate(Script(deny())).admit(message) is None
    else:
        assert (await refusal(gate(Script(allow())), message)).data["reason"] == "unmapped"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (replace(REFUND, params={"name": "refund", "arguments": ["x"]}), "bad_request"),
        (replace(REFUND, params={"name": "refund", "arguments": {"amount": "9"}}), "bad_request"),
        (replace(REFUND, params={"name": "refund", "arguments": {"amount": 2**60}}), "bad_request"),
        (replace(REFUND, params={"name": 7}), "bad_request"),
        (replace(REFUND, tool=None), "unknown_tool"),
        (replace(REFUND, tool=ToolDefinition(name="refund", schema={"type": 7})), "bad_request"),
        (replace(REFUND, tool=ToolDefinition(name="refund", schema={"$ref": "https://x.example/s"})), "bad_request"),
        (replace(REFUND, token=None), "unauthenticated"),
        (replace(REFUND, token=None, remote=False), "unauthenticated"),
        (replace(REFUND, method="resources/read", params={"uri": ""}), "bad_request"),
        (asking({REASON_META: " "}), "bad_request"),
        (asking({REASON_META: 7}), "bad_request"),
        (asking({APPROVAL_META: {"id": 7}}), "bad_request"),
        (asking({APPROVAL_META: True}), "bad_request"),
    ],
)
async def test_what_cannot_be_asked_about_is_denied_unasked(message: McpMessage, reason: str) -> None:
    script = Script(allow())
    assert (await refusal(gate(script), message)).data["reason"] == reason
    assert decisions_in(script) == []


NULLABLE: Final = {"anyOf": [{"type": "string"}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("schema", "text", "passes"),
    [
        (NULLABLE, "null", False),
        (NULLABLE, "[]", False),
        (NULLABLE, '{"a": 1}', False),
        ({"type": ["string", "null"]}, "null", False),
        ({}, "null", False),
        (True, "null", False),
        (NULLABLE, "", True),
        (NULLABLE, "alice", True),
        (NULLABLE, "7", True),
        (NULLABLE, "true", True),
        (NULLABLE, "[" * 100_000, True),
        (NULLABLE, None, True),
        ({"type": "string"}, "null", True),
        ({"type": "string"}, '{"a": 1}', True),
        (None, "null", True),
    ],
)
async def test_a_text_that_a_server_could_take_for_the_json_in_it_is_denied_unasked(
    schema: object, text: str | None, passes: bool
) -> None:
    properties = {} if schema is None else {"customer": schema}
    tool = ToolDefinition.of_wire({"name": "refund", "inputSchema": {"type": "object", "properties": properties}})
    message = replace(REFUND, tool=tool, params={"name": "refund", "arguments": {"customer": text}})
    script = Script(allow())
    if passes:
        assert await gate(script).admit(message)
    else:
        assert (await refusal(gate(script), message)).data["reason"] == "ambiguous_request"
        assert decisions_in(script) == []


async def test_the_own_identity_is_for_local_messages_without_a_token_only() -> None:
    script = Script(allow())
    own = gate(script, identity=lambda: "own")
    await own.admit(replace(REFUND, token=None, remote=False))
    await own.admit(replace(REFUND, token="t", remote=False))
    named = gate(script, identity=Principal("user", "alice"))
    await named.admit(replace(REFUND, token=None, remote=False))
    assert (await refusal(own, replace(REFUND, token=None))).data["reason"] == "unauthenticated"
    tokens = [body["context"].get("evidence", {}).get("subject_token") for body in script.bodies]
    assert tokens == ["own", "t", None]
    assert script.bodies[2]["subject"] == {"type": "user", "id": "alice"}


@pytest.mark.parametrize("error", [FileNotFoundError, ValueError])
async def test_an_identity_that_cannot_be_read_is_none(error: type[Exception]) -> None:
    def missing() -> str:
        raise error

    message = replace(REFUND, token=None, remote=False)
    assert (await refusal(gate(Script(allow()), identity=missing), message)).data["reason"] == "unauthenticated"


async def test_a_denial_says_how_to_ask() -> None:
    error = await refusal(gate(Script(deny("approval_required", access_request=ASKS))), REFUND)
    assert (error.code, error.data["reason"]) == (-32001, "approval_required")
    assert REASON_META in error.data["how"]
    assert REASON_META in str(error)
    assert "binding_token" not in str(error.data)


async def test_a_denial_that_nobody_can_approve_says_nothing_of_it() -> None:
    error = await refusal(gate(Script(deny("no_rule", reason_admin={"en": "x"}))), REFUND)
    assert "how" not in error.data
    assert "reason_admin" not in error.data


async def test_a_request_for_an_approval_never_runs() -> None:
    script = Script(NEEDED, answer(PENDING, 202))
    error = await refusal(gate(script), asking({REASON_META: " INC-1 please "}))
    assert (error.data["reason"], error.data["task"]["id"]) == ("approval_pending", "g.u")
    assert APPROVAL_META in error.data["how"]
    assert script.bodies[1]["context"]["business_justification"] == "INC-1 please"
    assert script.sent[1].url.endswith("/requests")


async def test_who_must_approve_and_how_is_told() -> None:
    awaiting = [
        {"step": "p.r.owner", "kind": "Human", "groups": ["owners", "leads"]},
        {"step": "p.r.two", "groups": ["leads"]},
    ]
    task = {"id": "agr-1.uid", "status": "pending", "progress": {"total_steps": 2, "awaiting": awaiting}}
    told = gate(Script(NEEDED, answer({"task": task}, 202)), approve_with="kubectl bailiwick approve {grant} -n shop")
    error = await refusal(told, asking({REASON_META: "INC-1"}))
    assert "It waits for owners, leads. To approve, run: kubectl bailiwick approve agr-1 -n shop. " in str(error)
    assert error.data["approve_with"] == "kubectl bailiwick approve agr-1 -n shop"


async def test_a_denial_that_opened_a_request_tells_the_same() -> None:
    task = {"id": "agr-1.uid", "status": "pending"}
    told = gate(Script(deny("approval_pending", task=task)), approve_with="approve {grant}")
    error = await refusal(told, REFUND)
    assert "It waits for an approval. To approve, run: approve agr-1. " in str(error)
    assert APPROVAL_META in error.data["how"]


@pytest.mark.parametrize("identifier", ["$(wipe).uid", "a b.uid", ".uid", "-x.uid"])
async def test_no_command_is_made_of_what_is_no_name(identifier: str) -> None:
    script = Script(NEEDED, answer({"task": {"id": identifier, "status": "pending"}}, 202))
    error = await refusal(gate(script, approve_with="approve {grant}"), asking({REASON_META: "INC-1"}))
    assert "approve_with" not in error.data
    assert "runs:" not in str(error)


async def test_asking_for_an_approval_that_is_there_does_not_run_either() -> None:
    assert (await refusal(gate(Script(NEEDED, answer(APPROVED, 200))), asking({REASON_META: "x"}))).data["task"]


async def test_who_may_not_ask_is_told_why() -> None:
    script = Script(NEEDED, answer({"type": "x", "reason": "not_requestable", "detail": "no"}, 400))
    assert (await refusal(gate(script), asking({REASON_META: "x"}))).data["reason"] == "not_requestable"


@pytest.mark.parametrize(("task", "reason"), [(PENDING, "approval_pending"), (DENIED, "approval_denied")])
async def test_an_approval_that_nobody_gave_is_none(task: object, reason: str) -> None:
    script = Script(NEEDED, answer(task))
    error = await refusal(gate(script), asking({APPROVAL_META: "g.u"}))
    assert error.data["reason"] == reason
    assert [request.method for request in script.sent] == ["POST", "GET"]


@pytest.mark.parametrize("shown", ["g.u", SHOWN])
async def test_the_repeated_call_is_decided_with_its_approval(shown: object) -> None:
    before = [answer(APPROVED)] if shown == "g.u" else []
    script = Script(NEEDED, *before, allow(approval={"id": "g.u"}))
    decision = await gate(script).admit(asking({APPROVAL_META: shown}))
    assert decision is not None
    assert decision.grant == "g.u"
    assert script.bodies[-1]["context"]["approval"] == SHOWN


async def test_approved_is_no_allow() -> None:
    script = Script(NEEDED, answer(APPROVED), deny("approval_mismatch"))
    assert (await refusal(gate(script), asking({APPROVAL_META: "g.u"}))).data["reason"] == "approval_mismatch"


async def test_a_task_that_nobody_can_tell_of_is_no_approval() -> None:
    script = Script(NEEDED, answer({}, 404), allow())
    assert (await refusal(gate(script), asking({APPROVAL_META: "g.u"}))).code == -32603
    assert [request.method for request in script.sent] == ["POST", "GET"]


async def test_a_list_is_asked_about_in_batches() -> None:
    names: list[tuple[str, ToolDefinition | None]] = [(f"t{n}", None) for n in range(150)]
    whole = [{"decision": n % 2 == 0} for n in range(100)]
    script = Script(answer({"evaluations": whole}), answer({"evaluations": whole[:50]}))
    shown = await gate(script).visible(McpMessage(method="tools/list", token="t"), names)
    assert shown == [n % 2 == 0 for n in range(150)]
    assert [len(body["evaluations"]) for body in script.bodies] == [100, 50]


async def test_a_list_asks_by_a_dry_run_and_reports_no_outcome() -> None:
    allowed = {"decision": True, "context": {"evaluation_id": "e-1", "dry_run": True}}
    # Of a decision point that does not know dry runs.
    decided = {"decision": True, "context": {"evaluation_id": "e-2", "outcome": {"handle": "h-1", "until": UNTIL}}}
    script = ReportScript(answer({"evaluations": [allowed, {"decision": False}, decided]}))
    listing = gate(script)
    names = [("a", None), ("b", None), ("c", None)]
    assert await listing.visible(McpMessage(method="tools/list", token="t"), names) == [True, False, True]
    await listing.close()
    assert script.reports == []
    (body,) = script.bodies
    assert [item["context"]["dry_run"] for item in body["evaluations"]] == [True] * 3


async def test_a_call_asks_by_no_dry_run_and_does_not_pass_by_the_answer_to_one() -> None:
    script = Script(allow(dry_run=True))
    assert (await refusal(gate(script), REFUND)).data["reason"] == "dry_run"
    assert "dry_run" not in script.bodies[0]["context"]


@pytest.mark.parametrize(("action", "listed"), [("request", True), ("retry", False), ("none", False)])
async def test_a_list_shows_what_an_approval_can_be_asked_for(action: str, *, listed: bool) -> None:
    context = {"reason": "approval_expired", "next_action": action, "dry_run": True}
    script = Script(answer({"evaluations": [{"decision": False, "context": context}]}))
    assert await gate(script).visible(McpMessage(method="tools/list", token="t"), [("a", None)]) == [listed]


async def test_a_list_that_nobody_decided_about_is_not_shown() -> None:
    with pytest.raises(McpRefusalError) as caught:
        await gate(Script(answer({}, 500))).visible(McpMessage(method="tools/list", token="t"), [("a", None)])
    assert caught.value.code == -32603


async def test_a_tool_without_a_rule_is_not_listed() -> None:
    script = Script(answer({"evaluations": [{"decision": True}]}))
    shown = await gate(script, tools={"b": ToolRule()}).visible(
        McpMessage(method="tools/list", token="t"), [("a", None), ("b", None)]
    )
    assert shown == [False, True]


@pytest.mark.parametrize(
    ("reason", "listed"),
    [
        ("condition_error", True),
        ("context_insufficient", True),
        ("approval_required", True),
        ("history_uncountable", True),
        ("history_unavailable", True),
        ("condition_false", False),
        ("no_rule", False),
        ("policy_denied", False),
        ("identity_invalid", False),
        ("too_costly", False),
    ],
)
async def test_a_list_shows_what_only_its_arguments_decide(reason: str, *, listed: bool) -> None:
    script = Script(answer({"evaluations": [{"decision": False, "context": {"reason": reason}}]}))
    assert await gate(script).visible(McpMessage(method="tools/list", token="t"), [("a", None)]) == [listed]


@pytest.mark.parametrize(
    ("sent", "token"),
    [
        (["Bearer t"], "t"),
        (["bearer  t "], "t"),
        ([], None),
        (["Basic t"], None),
        (["Bearer "], None),
        (["Bearer a"] * 2, None),
    ],
)
def test_one_bearer_token_is_one(sent: list[str], token: str | None) -> None:
    assert bearer(sent) == token
