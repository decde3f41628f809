"""A gate and a call that is repeated: what it asks first, when it waits, and what it says to whom."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from bailiwick import Approval, AsyncBailiwick
from bailiwick.mcp.calls import APPROVAL_META, REASON_META, McpMessage, McpRefusalError, ToolDefinition
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.places import RUNNING_PLACE, GatewayQuota, RunningPlace, WaitingCalls
from bailiwick.mcp.resumption import read_resumption
from support.sdk.script import Script, Scripted, allow, answer, deny

pytestmark = pytest.mark.invariant(31)

TASK: Final = "agr-k3v9.66506a43-0000"
OTHER: Final = "agr-zzzz.66506a43-0000"
PAGE: Final = "https://console.example/grants/shop/{grant}?uid={uid}"
GROUPS: Final = {"progress": {"awaiting": [{"step": "owner", "groups": ["owners"]}]}}
CALL: Final = McpMessage(
    method="tools/call",
    params={"name": "refund", "arguments": {"order": "1"}},
    token="t",
    tool=ToolDefinition.of_wire({"name": "refund", "inputSchema": {"type": "object"}}),
    can_repeat=True,
)
WAITS: Final = deny("approval_pending", dry_run=True, task={"id": TASK, "status": "pending"})
MAY: Final = answer({"decision": True, "context": {"dry_run": True}})
NEEDED: Final = deny("approval_required", dry_run=True)
LOST: Final = answer({}, 500)


def task(status: str = "pending") -> Scripted:
    result = (
        {"result": {"mode": "reevaluate", "approval": {"id": TASK, "state": "jws"}}} if status == "approved" else {}
    )
    return answer({"task": {"id": TASK, "status": status, **GROUPS, **result}}, retry_after="0")


def gate(script: Script, **settings: Any) -> McpGate:  # noqa: ANN401 - the gate's own
    pdp = AsyncBailiwick("https://pdp.example", token=None, transport=script.asynchronous)
    return McpGate(pdp, approve_at=PAGE, **{"wait_seconds": 0.01, **settings})


def repeated(action: str | None = None, state: str = TASK, message: McpMessage = CALL) -> McpMessage:
    answers = {} if action is None else {"inputResponses": {"approval": {"action": action}}}
    return replace(message, params={**message.params, "requestState": state, **answers})


async def admitted(of: McpGate, message: McpMessage) -> Any:  # noqa: ANN401 - a decision
    return await of.admit(*read_resumption(message))


async def refusal(of: McpGate, message: McpMessage) -> McpRefusalError:
    with pytest.raises(McpRefusalError) as caught:
        await admitted(of, message)
    return caught.value


def steps(script: Script) -> list[str]:
    """Return what was asked, in short."""
    found: list[str] = []
    for sent, body in zip(script.sent, script.bodies, strict=True):
        path = sent.url.partition("/access/v1/")[2]
        dry = " dry" if body and body.get("context", {}).get("dry_run") else ""
        shown = " shown" if body and "approval" in body.get("context", {}) else ""
        found.append(f"{path.replace(TASK, 'TASK')}{dry}{shown}")
    return found


async def test_a_pending_request_is_an_error_and_what_makes_its_client_repeat_the_call() -> None:
    script = Script(NEEDED, task())
    asking = replace(CALL, meta={REASON_META: "INC-1"})
    error = await refusal(gate(script), asking)
    assert error.data["reason"] == "approval_pending"
    assert error.input_required is not None
    about = error.input_required["_meta"][APPROVAL_META]
    assert error.input_required["requestState"] == TASK
    assert "inputRequests" not in error.input_required
    assert about["task"] == {"id": TASK, "status": "pending"}
    assert about["approve_at"] == "https://console.example/grants/shop/agr-k3v9?uid=66506a43-0000"

    linked = await refusal(gate(Script(NEEDED, task())), replace(asking, opens_urls=True))
    assert linked.input_required is not None
    assert linked.input_required["inputRequests"]["approval"] == {
        "method": "elicitation/create",
        "params": {
            "mode": "url",
            "url": "https://console.example/grants/shop/agr-k3v9?uid=66506a43-0000",
            "message": "owners must approve refund. The page approves nothing by itself.",
        },
    }
    # An older client, and a method that has no such result.
    assert (await refusal(gate(Script(task())), replace(asking, can_repeat=False))).input_required is None
    # A task of another decision point has no form of ours.
    foreign = Script(answer({"task": {"id": "task-1", "status": "pending"}}, 202))
    assert (await refusal(gate(foreign), asking)).input_required is None


@pytest.mark.parametrize("uid", ["66506a43/../x", "66506a43?x", "", "A b"])
async def test_no_link_is_made_of_what_is_no_name(uid: str) -> None:
    script = Script(answer({"task": {"id": f"agr-k3v9.{uid}", "status": "pending"}}, 202))
    error = await refusal(gate(script), replace(CALL, meta={REASON_META: "INC-1"}, opens_urls=True))
    assert ("approve_at" in error.data, error.input_required) == (False, None)


FLOWS: Final[dict[str, tuple[list[Scripted], list[str], object]]] = {
    "pending, then still": ([WAITS, task()], ["evaluation dry", "requests/TASK"], TASK),
    "pending, then approved": ([WAITS, task("approved")], ["evaluation dry", "requests/TASK"], TASK),
    "pending, then denied": ([WAITS, task("denied")], ["evaluation dry", "requests/TASK"], "approval_denied"),
    "approved": ([MAY, allow()], ["evaluation dry", "evaluation"], True),
    "approved, and used by another call": (
        [MAY, deny("approval_consumed")],
        ["evaluation dry", "evaluation"],
        "approval_consumed",
    ),
    "approved, by a token": (
        [deny("approval_token_required"), task("approved"), allow()],
        ["evaluation dry", "requests/TASK", "evaluation shown"],
        True,
    ),
    "spent": ([deny("approval_consumed")], ["evaluation dry"], "approval_consumed"),
    "denied": ([deny("approval_denied")], ["evaluation dry"], "approval_denied"),
    "revoked": ([deny("approval_revoked")], ["evaluation dry"], "approval_revoked"),
    "expired": ([deny("approval_expired")], ["evaluation dry"], "approval_expired"),
    "of another call that waits": (
        [deny("approval_pending", task={"id": OTHER, "status": "pending"})],
        ["evaluation dry"],
        OTHER,
    ),
    "not known here yet, pending": (
        [NEEDED, deny("approval_pending", task={"id": TASK, "status": "pending"}), task()],
        ["evaluation dry", "evaluation shown", "requests/TASK"],
        TASK,
    ),
    "not known here yet, approved": ([NEEDED, allow()], ["evaluation dry", "evaluation shown"], True),
    "not known here yet, approved, by a token": (
        [NEEDED, deny("approval_token_required"), task("approved"), allow()],
        ["evaluation dry", "evaluation shown", "requests/TASK", "evaluation shown"],
        True,
    ),
    "not known here yet, denied": (
        [NEEDED, deny("approval_denied")],
        ["evaluation dry", "evaluation shown"],
        "approval_denied",
    ),
    # Nothing is asked about the task, and the answer has nothing of it.
    "of no approval of this call": (
        [NEEDED, deny("approval_required")],
        ["evaluation dry", "evaluation shown"],
        "bad_request",
    ),
    "of another call, whose own denial asks": (
        [NEEDED, deny("approval_pending", task={"id": OTHER, "status": "pending"})],
        ["evaluation dry", "evaluation shown"],
        "bad_request",
    ),
    # Whatever it is, the decision itself says so.
    "not allowed any more": ([deny("no_rule")], ["evaluation dry"], "no_rule"),
    "a token that does not count": ([deny("identity_invalid")], ["evaluation dry"], "identity_invalid"),
    "no answer": ([LOST], ["evaluation dry"], "pdp_unavailable"),
    "no answer in the end": ([MAY, LOST], ["evaluation dry", "evaluation"], "pdp_unavailable"),
}


@pytest.mark.parametrize(("answers", "asked", "outcome"), FLOWS.values(), ids=FLOWS)
async def test_a_repeated_call_is_asked_about_before_anything_else(
    answers: list[Scripted], asked: list[str], outcome: object
) -> None:
    script = Script(*answers)
    if outcome is True:
        assert (await admitted(gate(script), repeated())).allowed
    else:
        error = await refusal(gate(script), repeated())
        # A state, where its client is to repeat the call; else why not.
        state = None if error.input_required is None else error.input_required["requestState"]
        assert (state or error.data["reason"]) == outcome
    assert steps(script) == asked
    # With the caller's own token and arguments each time.
    for body in script.bodies:
        if body is not None:
            assert body["context"]["evidence"] == {"subject_token": "t"}
            assert body["context"]["args"] == {"order": "1"}


@pytest.mark.parametrize("reason", [{}, {REASON_META: "INC-1"}, {APPROVAL_META: OTHER}])
async def test_what_its_client_said_in_the_first_round_is_not_done_again(reason: Mapping[str, str]) -> None:
    script = Script(WAITS, task())
    await refusal(gate(script), replace(repeated(), meta=reason))
    assert steps(script) == ["evaluation dry", "requests/TASK"]


async def test_a_link_is_shown_once() -> None:
    script = Script(WAITS, task())
    error = await refusal(gate(script), replace(repeated("accept"), opens_urls=True))
    assert error.input_required is not None
    assert "inputRequests" not in error.input_required
    # What its user did with the link is no argument of the call.
    assert script.bodies[0]["context"]["args"] == {"order": "1"}


async def test_who_declines_withdraws_what_waits_and_runs_nothing() -> None:
    script = Script(WAITS, task("cancelled"))
    error = await refusal(gate(script), repeated("decline"))
    assert (error.data["reason"], error.input_required) == ("approval_cancelled", None)
    assert steps(script) == ["evaluation dry", "requests/TASK/cancel"]
    ended = Script(WAITS, answer({"type": "x:invalid_task_state", "detail": "It has ended."}, 409))
    assert (await refusal(gate(ended), repeated("decline"))).data["reason"] == "invalid_task_state"


@pytest.mark.parametrize(
    "look",
    [MAY, NEEDED, deny("approval_pending", task={"id": OTHER, "status": "pending"})],
    ids=["approved meanwhile", "not known", "of another call"],
)
async def test_who_declines_what_is_not_theirs_withdraws_nothing_and_runs_nothing(look: Scripted) -> None:
    script = Script(look)
    error = await refusal(gate(script), repeated("decline"))
    assert (error.data["reason"], error.input_required) == ("approval_cancelled", None)
    assert steps(script) == ["evaluation dry"]


async def test_who_cancels_leaves_the_request() -> None:
    script = Script(WAITS)
    error = await refusal(gate(script), repeated("cancel"))
    assert (error.data["reason"], error.input_required) == ("approval_pending", None)
    assert steps(script) == ["evaluation dry"]


FORGED: Final[dict[str, dict[str, Any]]] = {
    "no task": {"requestState": "agr-"},
    "a path": {"requestState": "agr-a/../b.c"},
    "long": {"requestState": "agr-a.b~" + "A" * 70_000},
    "long and whole": {
        "requestState": TASK + "~" + b64encode(b'{"requestState":"' + b"s" * 70_000 + b'"}').decode().rstrip("=")
    },
    "no JSON": {"requestState": f"{TASK}~AAAA"},
    "no object": {"requestState": f"{TASK}~W10"},
    "another member": {"requestState": f"{TASK}~eyJuYW1lIjoiYXNrIn0"},
    "a member twice": {"requestState": f"{TASK}~eyJyZXF1ZXN0U3RhdGUiOiJhIiwicmVxdWVzdFN0YXRlIjoiYiJ9"},
    "an unknown answer": {"requestState": TASK, "inputResponses": {"approval": {"action": "approve"}}},
    "two answers": {"requestState": TASK, "inputResponses": {"approval": {"action": "accept"}, "a": {}}},
    "another's answer": {"requestState": TASK, "inputResponses": {"a": {"action": "accept"}}},
    "no answer": {"requestState": TASK, "inputResponses": {"approval": "accept"}},
    "a list of answers": {"requestState": TASK, "inputResponses": ["accept"]},
}


@pytest.mark.parametrize("sent", FORGED.values(), ids=FORGED)
async def test_what_is_not_as_the_gate_gave_it_is_refused_unasked(sent: dict[str, Any]) -> None:
    script = Script(allow())
    error = await refusal(gate(script), replace(CALL, params={**CALL.params, **sent}))
    assert (error.code, error.data["reason"], script.sent) == (-32602, "bad_request", [])


@pytest.mark.parametrize("state", ["v1.sealed", "AGR-K3V9.uid", "", "x-agr-k3v9"])
async def test_a_state_of_the_server_is_an_argument_as_ever(state: str) -> None:
    script = Script(allow())
    await admitted(gate(script), repeated("accept", state))
    args = script.bodies[0]["context"]["args"]
    assert args["dev.bailiwick/requestState"] == state
    assert args["dev.bailiwick/inputResponses"] == {"approval": {"action": "accept"}}


async def test_an_older_client_repeats_nothing() -> None:
    script = Script(deny("approval_required"))
    error = await refusal(gate(script), repeated(message=replace(CALL, can_repeat=False)))
    assert (error.data["reason"], steps(script)) == ("approval_required", ["evaluation"])
    assert script.bodies[0]["context"]["args"]["dev.bailiwick/requestState"] == TASK


async def test_a_round_of_the_server_is_kept_by_its_caller() -> None:
    sent = {"inputResponses": {"a": {"action": "accept", "content": {"amount": 9}}}, "requestState": "s"}
    message = replace(CALL, params={**CALL.params, **sent})
    error = await refusal(gate(Script(NEEDED, task())), replace(message, meta={REASON_META: "INC-1"}))
    assert error.input_required is not None
    state = error.input_required["requestState"]
    assert state.startswith(f"{TASK}~")
    again, resumption = read_resumption(replace(CALL, params={**CALL.params, "requestState": state}))
    assert again == message
    assert (resumption and resumption.task) == TASK


async def test_a_round_that_is_too_long_to_be_kept_is_an_error() -> None:
    params = {**CALL.params, "requestState": "s" * 70_000}
    error = await refusal(gate(Script(NEEDED, task())), replace(CALL, params=params, meta={REASON_META: "INC-1"}))
    assert (error.data["reason"], error.input_required) == ("approval_pending", None)


async def test_one_call_too_many_is_told_so_and_its_request_stays() -> None:
    script = Script(WAITS)
    error = await refusal(gate(script, waiting_calls=0), repeated())
    assert (error.data["reason"], error.input_required) == ("approval_pending", None)
    assert "Too many calls wait" in str(error)
    assert steps(script) == ["evaluation dry"]


class TestPlaces:
    async def waits(self, calls: WaitingCalls, who: str, for_: float = 60.0) -> object:
        async def look(approval: Approval, until: float) -> Approval:
            await asyncio.sleep(for_)
            return approval

        return await calls.wait(who, Approval(id=TASK), look)

    async def test_no_caller_takes_all(self) -> None:
        calls = WaitingCalls(8, 60.0)
        held = [asyncio.create_task(self.waits(calls, "one")) for _ in range(4)]
        await asyncio.sleep(0)
        assert await self.waits(calls, "one") is None
        others = [asyncio.create_task(self.waits(calls, "two")) for _ in range(2)]
        await asyncio.sleep(0)
        assert await self.waits(calls, "two") is None
        assert await self.waits(calls, "three", 0.0) is not None
        calls.end()
        assert [isinstance(one, Approval) for one in await asyncio.gather(*held, *others)] == [True] * 6

    async def test_an_ended_server_lets_none_wait(self) -> None:
        calls = WaitingCalls(8, 60.0)
        calls.end()
        async with asyncio.timeout(5):
            assert await self.waits(calls, "one") is not None

    async def test_however_it_ends_a_place_is_free_again(self) -> None:
        async def failing(_: Approval, until: float) -> Approval:
            raise ConnectionError

        calls = WaitingCalls(1, 60.0)
        for _ in range(3):
            with pytest.raises(ConnectionError):
                await calls.wait("one", Approval(id=TASK), failing)
            waiting = asyncio.create_task(self.waits(calls, "one"))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert await self.waits(calls, "one", 0.0) is not None

    async def test_who_waits_gives_its_place_among_those_that_run_back_once(self) -> None:
        running, calls = GatewayQuota(2), WaitingCalls(2, 60.0)
        assert running.take("one")
        place = RunningPlace(running, "one")
        token = RUNNING_PLACE.set(place)
        try:
            waiting = asyncio.create_task(self.waits(calls, "one"))
            await asyncio.sleep(0)
            assert running.free == 2
            calls.end()
            await waiting
        finally:
            RUNNING_PLACE.reset(token)
        place.give_back()
        assert running.free == 2
