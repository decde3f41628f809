"""Who is not proven, or may not call what they name: what is done for them, and what they learn.

The gate looks nothing up for the first, and the second cannot tell what the server has from what it has not.
"""

from dataclasses import replace
from typing import Any, Final

import pytest

from bailiwick import AsyncBailiwick
from bailiwick.mcp.calls import McpMessage, McpRefusalError, ServedItem, ToolDefinition, ToolRule
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.proventokens import UNPROVEN, ProvenTokens
from bailiwick.transports.base import HttpResponse
from bailiwick_engine.reasonrow import ReasonState
from bailiwick_engine.reasons import reasons_of
from support.sdk.script import Script, allow, answer, decisions_in, deny

REFUND: Final = McpMessage(
    method="tools/call",
    params={"name": "refund", "arguments": {"amount": 9}},
    token="t",
    tool=ToolDefinition(name="refund", schema={"properties": {"amount": {"type": "integer"}}}),
)


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
@pytest.mark.parametrize("message", [REFUND, LISTED])
async def test_nothing_is_looked_up_for_a_token_that_proves_nobody(message: McpMessage, reason: str) -> None:
    script = Script(deny(reason))
    of = gate(script)
    assert [await proven(of, message), await proven(of, message)] == [reason, reason]
    assert decisions_in(script) == []


@pytest.mark.parametrize("answers", [deny("no_rule"), allow(), deny("endpoint_unconfigured")])
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


def test_only_so_many_tokens_are_remembered_and_the_one_not_seen_for_longest_goes() -> None:
    tokens = ProvenTokens(2)
    tokens.add("a")
    tokens.add("b")
    assert tokens.has("a")
    tokens.add("c")
    assert [tokens.has(token) for token in "abc"] == [True, False, True]
