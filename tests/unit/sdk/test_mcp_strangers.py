"""Who is not proven, or may not call what they name: what is done for them, and what they learn.

The gate looks nothing up for the first, and the second cannot tell what the server has from what it has not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

import pytest

from bailiwick import AsyncBailiwick
from bailiwick.mcp.calls import (
    APPROVAL_META,
    REASON_META,
    McpMessage,
    McpRefusalError,
    ServedItem,
    ToolDefinition,
    ToolRule,
)
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.proventokens import UNDECIDED, UNPROVEN, ProvenTokens
from bailiwick.mcp.resumption import Resumption
from bailiwick.transports.base import HttpRequest, HttpResponse
from bailiwick_engine.reasonrow import ReasonState
from bailiwick_engine.reasons import EXPLAINED, Reason, reasons_of
from support.sdk.script import Script, allow, answer, decisions_in, deny

REFUND: Final = McpMessage(
    method="tools/call",
    params={"name": "refund", "arguments": {"amount": 9}},
    token="t",
    tool=ToolDefinition(name="refund", schema={"properties": {"amount": {"type": "integer"}}}),
)


class AnsweringScript(Script):
    """Answers each request by what it is."""

    def __init__(self, answering: Callable[[HttpRequest], HttpResponse]) -> None:
        super().__init__()
        self._answering = answering

    def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        self._answers = [self._answering(request)]
        return super().send(request, seconds)


def gate(script: Script, **settings: Any) -> McpGate:  # noqa: ANN401 - the gate's own
    return McpGate(AsyncBailiwick("https://pdp.example", token=None, transport=script.asynchronous), **settings)


async def refusal(of: McpGate, message: McpMessage) -> McpRefusalError:
    with pytest.raises(McpRefusalError) as caught:
        await of.admit(message)
    return caught.value


HIDDEN: Final = (
    replace(REFUND, tool=None),
    replace(REFUND, params={"name": "refund", "arguments": {"amount": "9"}}),
    replace(REFUND, params={"name": "refund", "arguments": {"id": "1", "ID": "2"}}),
    replace(REFUND, params={"name": "refund", "arguments": 7}),
    replace(REFUND, params={"name": "refund", "taske": {}}),
    McpMessage(method="prompts/get", params={"name": "refund"}, token="t"),
    McpMessage(method="resources/read", params={"uri": "data://refund"}, token="t"),
    McpMessage(method="resources/read", params={"uri": "data://a/../refund"}, token="t"),
)


@pytest.mark.parametrize("message", HIDDEN)
async def test_who_may_not_call_it_does_not_learn_what_it_is_or_takes(message: McpMessage) -> None:
    script = Script(deny("no_rule", evaluation_id="e"))
    error = await refusal(gate(script), message)
    (body,) = script.bodies
    assert body["context"]["dry_run"] is True
    assert "args" not in body["context"] or body["context"]["args"] == {}
    found = replace(REFUND, method=message.method, item=ServedItem(name="refund"))
    if message.method == "tools/call":
        known = await refusal(gate(Script(deny("no_rule", evaluation_id="e"))), found)
        assert (error.code, str(error), error.data) == (known.code, str(known), known.data)
    assert error.data["reason"] == "no_rule"


APPROVALS: Final[Sequence[Mapping[str, Any]]] = (
    {REASON_META: ""},
    {REASON_META: 7},
    {REASON_META: "INC-1"},
    {APPROVAL_META: "agr-abc.123"},
    {APPROVAL_META: 7},
    {APPROVAL_META: {"id": "agr-abc.123"}},
)


@pytest.mark.parametrize("meta", APPROVALS)
async def test_nor_does_an_approval_that_they_show_or_ask_for_say_what_there_is(meta: Mapping[str, Any]) -> None:
    def answering(request: HttpRequest) -> HttpResponse:
        if request.url.endswith("/evaluation"):
            return deny("no_rule")
        return answer({"type": "x", "reason": "not_requestable", "detail": "no"}, 400)

    there = await refusal(gate(AnsweringScript(answering)), replace(REFUND, meta=meta))
    missing = await refusal(gate(AnsweringScript(answering)), replace(REFUND, meta=meta, tool=None))
    assert (there.code, str(there), there.data) == (missing.code, str(missing), missing.data)


@pytest.mark.parametrize("action", ["accept", "decline", "cancel"])
async def test_nor_does_the_answer_to_a_link(action: Literal["accept", "decline", "cancel"]) -> None:
    resumed = Resumption("agr-abc.123", action)
    with pytest.raises(McpRefusalError) as there:
        await gate(Script(deny("no_rule"))).admit(REFUND, resumed)
    missing = await refusal(gate(Script(deny("no_rule"))), replace(REFUND, tool=None))
    assert (there.value.code, str(there.value), there.value.data) == (missing.code, str(missing), missing.data)


async def test_nor_do_arguments_that_the_decision_point_does_not_take() -> None:
    error = await refusal(gate(Script(answer({"reason": "bad_request"}, 400), deny("no_rule"))), REFUND)
    assert error.data["reason"] == "no_rule"


async def test_arguments_that_the_decision_point_does_not_take_are_a_bad_request_to_who_may_call() -> None:
    error = await refusal(gate(Script(answer({"reason": "bad_request"}, 413), allow())), REFUND)
    assert (error.code, error.data["reason"]) == (-32602, "bad_request")


async def test_a_decision_point_that_does_not_answer_is_asked_once() -> None:
    script = Script(answer({}, 500))
    assert (await refusal(gate(script), REFUND)).data["reason"] == "pdp_unavailable"
    assert {"dry_run" in body["context"] for body in script.bodies} == {False}


@pytest.mark.parametrize("reason", [one for one in Reason if one.startswith("approval_")])
def test_what_is_said_of_approvals_is_said_only_where_a_rule_asks_for_one(reason: Reason) -> None:
    assert ReasonState.GATE in EXPLAINED[reason].states


async def test_who_is_allowed_one_object_alone_learns_what_is_wrong_with_the_arguments() -> None:
    rule = ToolRule(resource=("Order", "{id}"))
    script = Script(allow())
    message = replace(REFUND, params={"name": "refund", "arguments": {"id": "7", "amount": "x"}})
    assert (await refusal(gate(script, tools={"refund": rule}), message)).data["reason"] == "bad_request"
    assert script.bodies[0]["resource"]["id"] == "7"


async def test_of_a_subscription_the_question_is_that_of_reading() -> None:
    script = Script(deny("no_rule"))
    message = McpMessage(method="resources/subscribe", params={"uri": "data://x"}, token="t")
    await refusal(gate(script), message)
    assert script.bodies[0]["action"]["name"] == "resources/read"


async def test_a_tool_that_no_rule_maps_is_unmapped_whether_it_is_there_or_not() -> None:
    mapped = gate(Script(allow()), tools={"other": ToolRule()})
    there, missing = await refusal(mapped, REFUND), await refusal(mapped, replace(REFUND, tool=None))
    assert (there.code, str(there), there.data) == (missing.code, str(missing), missing.data)


async def test_without_an_answer_nothing_is_told_of_a_tool() -> None:
    error = await refusal(gate(Script(answer({}, 500))), replace(REFUND, tool=None))
    assert (error.code, error.data["reason"]) == (-32603, "pdp_unavailable")


@pytest.mark.parametrize("reason", ["approval_required", "condition_error"])
async def test_who_may_call_it_with_an_approval_or_some_arguments_learns_what_is_wrong(reason: str) -> None:
    script = Script(deny(reason, next_action="request" if reason == "approval_required" else "none"))
    assert (await refusal(gate(script), replace(REFUND, tool=None))).data["reason"] == "unknown_tool"


async def proven(of: McpGate, message: McpMessage, *, sent_on: bool = False) -> str | None:
    """Return why a message goes no further than to its proof; None where it does."""
    try:
        await of.prove(message, sent_on=sent_on)
    except McpRefusalError as error:
        return str(error.data["reason"])
    return None


LISTED: Final = McpMessage(method="tools/list", token="t")


@pytest.mark.parametrize("reason", sorted(UNPROVEN))
@pytest.mark.parametrize("message", [REFUND, LISTED, McpMessage(method="subscriptions/listen", token="t")])
async def test_nothing_is_looked_up_for_a_token_that_proves_nobody(message: McpMessage, reason: str) -> None:
    script = Script(deny(reason))
    of = gate(script)
    assert [await proven(of, message), await proven(of, message)] == [reason, reason]
    assert decisions_in(script) == []


@pytest.mark.parametrize("reason", sorted(UNDECIDED))
async def test_what_is_denied_whoever_asks_proves_nobody(reason: str) -> None:
    script = Script(deny(reason), deny("identity_invalid"))
    of = gate(script)
    assert [await proven(of, LISTED), await proven(of, LISTED)] == [reason, "identity_invalid"]


@pytest.mark.parametrize("answers", [deny("no_rule"), allow(), deny("condition_false")])
async def test_a_token_that_proves_somebody_is_asked_about_once(answers: HttpResponse) -> None:
    script = Script(answers)
    of = gate(script)
    assert [await proven(of, LISTED), await proven(of, REFUND), await proven(of, REFUND)] == [None] * 3
    assert await proven(of, replace(REFUND, token="u")) is None
    assert [body["context"]["evidence"]["subject_token"] for body in script.bodies] == ["t", "u"]
    assert {body["action"]["name"] for body in script.bodies} == {"tools/list", "tools/call"}
    assert decisions_in(script) == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (replace(LISTED, token=None), "unauthenticated"),
        (replace(REFUND, token=None), "unauthenticated"),
        (replace(REFUND, token=None, remote=False), "unauthenticated"),
        (McpMessage(method="initialize"), None),
        (McpMessage(method="ping"), None),
    ],
)
async def test_who_sends_no_token_is_refused_unasked_unless_nothing_is_looked_up(
    message: McpMessage, reason: str | None
) -> None:
    script = Script(deny("identity_invalid"))
    assert await proven(gate(script), message) == reason
    assert script.sent == []


@pytest.mark.parametrize("method", ["initialize", "server/discover", "ping", "subscriptions/listen"])
async def test_before_a_server_behind_that_hears_of_it_every_message_needs_a_proof(method: str) -> None:
    message = McpMessage(method=method, token="t")
    assert await proven(gate(Script(deny("identity_invalid"))), message, sent_on=True) == "identity_invalid"
    assert await proven(gate(Script(deny("no_rule"))), message, sent_on=True) is None
    assert await proven(gate(Script()), replace(message, token=None), sent_on=True) == "unauthenticated"


async def test_the_own_identity_needs_no_proof() -> None:
    script = Script(deny("identity_invalid"))
    assert await proven(gate(script, identity=lambda: "own"), replace(LISTED, token=None, remote=False)) is None
    assert script.sent == []


async def test_without_an_answer_nobody_is_proven() -> None:
    assert await proven(gate(Script(answer({}, 500))), LISTED) == "pdp_unavailable"


def test_the_reasons_that_prove_nobody_are_those_of_the_decision_point() -> None:
    assert {*map(str, reasons_of(ReasonState.IDENTITY)), "identity_revoked"} == UNPROVEN


def test_only_so_many_tokens_are_remembered_each_for_a_minute() -> None:
    now = 0.0
    tokens = ProvenTokens(2, lambda: now)
    tokens.add("a")
    tokens.add("b")
    tokens.add("a")
    tokens.add("c")
    assert [tokens.has(token) for token in "abc"] == [True, False, True]
    now = 60.0
    assert [tokens.has(token) for token in "abc"] == [False] * 3
