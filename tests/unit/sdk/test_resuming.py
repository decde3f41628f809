"""`resume`: asks, waits, and repeats the very bytes once, and never after an answer that was lost."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Final

import pytest

from bailiwick import AsyncBailiwick, Bailiwick, Call, Decision, NotSentError, Principal, Resource, TransportError
from bailiwick.transports.base import HttpRequest, HttpResponse
from support.sdk.script import Script, Scripted, allow, answer, deny, header

ASKS: Final = {"endpoint": "e", "template": "t", "expires_at": "x", "binding_token": "b"}
SHOWN: Final = {"id": "g.u", "state": "jws"}
NEEDED: Final = deny("approval_required", access_request=ASKS)
PENDING: Final = {"task": {"id": "g.u", "status": "pending"}}
APPROVED: Final = {"task": {"id": "g.u", "status": "approved", "result": {"mode": "reevaluate", "approval": SHOWN}}}
OPENED: Final = answer(PENDING, 202, retry_after="0")
LOST: Final = TransportError("the connection ended")
Resuming = Callable[..., Decision]


def call() -> Call:
    return Call(
        action="export",
        resource=Resource("customer", "42", tier="gold"),
        token="t",
        subject=Principal("user", "alice", {"team": "a"}),
        args={"fields": ["name"]},
        context={"query": {"n": ["1"]}},
    )


def synchronous(script: Script, of: Call, until: float, reason: str = "INC-1") -> Decision:
    with Bailiwick("https://pdp.example", token=None, transport=script) as pdp:
        return pdp.resume(of, reason=reason, until=until)


def asynchronous(script: Script, of: Call, until: float, reason: str = "INC-1") -> Decision:
    async def resumed() -> Decision:
        async with AsyncBailiwick("https://pdp.example", token=None, transport=script.asynchronous) as pdp:
            return await pdp.resume(of, reason=reason, until=until)

    return asyncio.run(resumed())


@pytest.fixture(params=[synchronous, asynchronous], ids=lambda made: made.__name__)
def resume(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Resuming:
    """Either client; its pauses take no time."""
    monkeypatch.setattr("bailiwick.questions._MIN_POLL", 0.0)
    monkeypatch.setattr("bailiwick.questions._POLL", 0.01)
    found: Resuming = request.param
    return found


def paths(script: Script) -> list[str]:
    return [sent.url.partition("/access/v1/")[2] for sent in script.sent]


def soon() -> float:
    return time.time() + 60


def test_a_call_that_needs_no_approval_is_asked_about_once(resume: Resuming) -> None:
    for came in (allow(), deny("no_rule")):
        script = Script(came)
        assert resume(script, call(), soon()).allowed == (came is not NEEDED and b"true" in came.body)
        assert paths(script) == ["evaluation"]


def test_after_an_approval_the_very_same_call_is_asked_about_once_more(resume: Resuming) -> None:
    script = Script(NEEDED, OPENED, answer(PENDING, retry_after="0"), answer(APPROVED), allow(approval={"id": "g.u"}))
    decision = resume(script, call(), soon())
    assert (decision.allowed, decision.grant) == (True, "g.u")
    assert paths(script) == ["evaluation", "requests", "requests/g.u", "requests/g.u", "evaluation"]
    first, asked, *_, last = script.bodies
    assert last["context"].pop("approval") == SHOWN
    assert last == first
    assert asked["context"].pop("business_justification") == "INC-1"
    assert {name: asked[name] for name in first} == first
    # Else an answer of the first time could serve the second.
    assert header(script.sent[0], "x-request-id") != header(script.sent[-1], "x-request-id")


def test_what_the_application_changes_while_it_waits_is_not_asked_about(resume: Resuming) -> None:
    made = call()

    class Changing(Script):
        def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
            for of in (made.args, made.context, made.resource.properties, made.subject and made.subject.properties):
                changed: Any = of
                changed["fields"] = ["name", "revenue"]
            return super().send(request, seconds)

    script = Changing(NEEDED, OPENED, answer(APPROVED), allow())
    assert resume(script, made, soon()).allowed
    for body in script.bodies:
        assert "revenue" not in json.dumps(body)


def test_a_request_that_the_denial_opened_is_waited_for(resume: Resuming) -> None:
    script = Script(deny("approval_pending", **PENDING), answer(APPROVED), allow())
    assert resume(script, call(), soon()).allowed
    assert paths(script) == ["evaluation", "requests/g.u", "evaluation"]


@pytest.mark.parametrize("status", ["denied", "expired", "cancelled", "failed"])
def test_without_an_approval_it_is_not_asked_about_again(resume: Resuming, status: str) -> None:
    script = Script(NEEDED, OPENED, answer({"task": {"id": "g.u", "status": status}}))
    decision = resume(script, call(), soon())
    assert (decision.allowed, decision.reason) == (False, f"approval_{status}")
    assert paths(script) == ["evaluation", "requests", "requests/g.u"]


def test_at_the_end_of_its_time_it_is_pending(resume: Resuming) -> None:
    script = Script(NEEDED, OPENED)
    decision = resume(script, call(), time.time() - 1)
    assert (decision.allowed, decision.reason, decision.task) == (False, "approval_pending", PENDING["task"])
    assert paths(script) == ["evaluation", "requests"]


@pytest.mark.parametrize(
    "came",
    [(LOST,), (NEEDED, LOST), (NEEDED, OPENED, answer(APPROVED), LOST), (answer({}, 500),)],
    ids=["the first", "the request's", "the last", "a failure"],
)
def test_after_an_answer_that_was_lost_nothing_is_asked_again(resume: Resuming, came: tuple[Scripted, ...]) -> None:
    script = Script(*came, allow())
    decision = resume(script, call(), soon())
    assert (decision.allowed, decision.available, decision.reason) == (False, False, "pdp_unavailable")
    assert len(script.sent) == len(came)


def test_what_was_never_sent_is_sent_again_as_ever(resume: Resuming) -> None:
    script = Script(NEEDED, OPENED, answer(APPROVED), NotSentError("refused"), allow())
    assert resume(script, call(), soon()).allowed
    assert [header(one, "x-request-id") for one in script.sent[-2:]] == [header(script.sent[-1], "x-request-id")] * 2


def test_a_look_that_fails_is_made_again(resume: Resuming) -> None:
    script = Script(NEEDED, OPENED, LOST, answer(APPROVED), allow())
    assert resume(script, call(), soon()).allowed


def test_what_cannot_be_asked_for_is_the_denial_of_the_request(resume: Resuming) -> None:
    script = Script(NEEDED, answer({"reason": "approval_throttled", "detail": "Wait."}, 429))
    assert resume(script, call(), soon()).reason == "approval_throttled"


def test_a_reason_that_no_reviewer_sees_is_an_error(resume: Resuming) -> None:
    script = Script(allow())
    with pytest.raises(ValueError, match="a reviewer can see"):
        resume(script, call(), soon(), " ")
    assert script.sent == []


def test_a_request_is_withdrawn_by_its_id() -> None:
    script = Script(
        answer({"task": {"id": "g.u", "status": "cancelled"}}), answer({"type": "x/invalid-task-state"}, 409)
    )
    with Bailiwick("https://pdp.example", token=None, transport=script) as pdp:
        withdrawn, ended = pdp.withdraw("g/u"), pdp.withdraw("g.u")
    assert script.sent[0].url.endswith("/access/v1/requests/g%2Fu/cancel")
    assert (script.sent[0].method, getattr(withdrawn, "status", None)) == ("POST", "cancelled")
    assert isinstance(ended, Decision)
    assert (ended.allowed, ended.reason) == (False, "invalid_task_state")
