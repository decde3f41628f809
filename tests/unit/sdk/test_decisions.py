"""What is not a well-formed `decision: true`, of the very evaluation that was asked, is a denial."""

import inspect
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import pytest

from bailiwick import (
    Approval,
    ApprovalNeeded,
    AsyncBailiwick,
    Bailiwick,
    Call,
    Decision,
    Denied,
    NotSentError,
    Principal,
    Resource,
    TransportError,
    Unavailable,
)
from bailiwick.call import decoded, encoded
from support.pdp.alone import subject_token
from support.sdk.script import Script, Scripted, allow, answer, deny, header

AGENT: Final = "system:serviceaccount:agents:crm-agent"
CALL: Final = Call(token=subject_token(AGENT), action="export", resource=Resource("customer", "42"), args={"n": 1})


def client(*answers: Scripted) -> tuple[Bailiwick, Script]:
    script = Script(*answers)
    return Bailiwick("https://pdp.example/", endpoint="crm/crm-api", token=lambda: "own", transport=script), script


NO_ALLOWS: Final[dict[str, Scripted]] = {
    "a denial": deny(),
    "a word": answer({"decision": "true"}),
    "a number": answer({"decision": 1}),
    "null": answer({"decision": None}),
    "nothing": answer({}),
    "an array": answer([{"decision": True}]),
    "a bare true": answer(True),
    "a batch": answer({"evaluations": [{"decision": True}]}),
    "an allow with another status": answer({"decision": True}, 202),
    "an allow in an error": answer({"decision": True}, 500),
    "an allow to strangers": answer({"decision": True}, 403),
    "an obligation": allow(obligations=[{"id": "1", "type": "step-up"}]),
    "an obligation that is no list": allow(obligations={}),
    "a context that is a list": answer({"decision": True, "context": [{"obligations": [{"id": "1"}]}]}),
    "a context that is a text": answer({"decision": True, "context": "obligations"}),
    "a context that is null": answer({"decision": True, "context": None}),
    "an allow by a dry run": allow(dry_run=True),
    "an allow by a dry run of a word": allow(dry_run="true"),
    "an answer to nobody": answer({"decision": True}, x_request_id=""),
    "an answer to another": answer({"decision": True}, x_request_id="another"),
    "a lost connection": TransportError("reset"),
    "no connection": NotSentError("refused"),
}


@pytest.mark.parametrize("came", NO_ALLOWS.values(), ids=NO_ALLOWS)
def test_everything_but_an_allow_is_a_denial(came: Scripted) -> None:
    pdp, _ = client(came)
    decision = pdp.evaluate(CALL)
    assert not decision.allowed
    assert decision.reason
    with pytest.raises(Denied):
        pdp.require(CALL)


@pytest.mark.parametrize("came", NO_ALLOWS.values(), ids=NO_ALLOWS)
async def test_it_is_a_denial_under_asyncio_too(came: Scripted) -> None:
    pdp = AsyncBailiwick("https://pdp.example", token=None, transport=Script(came).asynchronous)
    assert not (await pdp.evaluate(CALL)).allowed
    with pytest.raises(Denied):
        await pdp.require(CALL)


ASKS_BY_A_DRY_RUN: Final[dict[str, tuple[Scripted, bool]]] = {
    "an allow by a dry run": (allow(dry_run=True), True),
    # A decision point that does not know dry runs, and decided.
    "an allow": (allow(), True),
    "a denial": (deny(), False),
    "an obligation": (allow(dry_run=True, obligations=[{"id": "1"}]), False),
    "a word": (answer({"decision": "true"}), False),
    "no connection": (NotSentError("refused"), False),
}


@pytest.mark.parametrize(("came", "expected"), ASKS_BY_A_DRY_RUN.values(), ids=ASKS_BY_A_DRY_RUN)
def test_a_dry_run_never_allows_and_says_what_the_call_would_come_to(came: Scripted, *, expected: bool) -> None:
    pdp, script = client(came)
    decision = pdp.evaluate(CALL, dry_run=True)
    assert (bool(decision), decision.allowed, decision.would_allow) == (False, False, expected)
    assert decision.outcome is None
    assert script.bodies[0]["context"]["dry_run"] is True


async def test_a_dry_run_never_allows_under_asyncio_either() -> None:
    items = [{"decision": True, "context": {"dry_run": True}}, {"decision": False}, {"decision": True}]
    script = Script(allow(dry_run=True), answer({"evaluations": items}))
    pdp = AsyncBailiwick("https://pdp.example", token=None, transport=script.asynchronous)
    alone = await pdp.evaluate(CALL, dry_run=True)
    batch = await pdp.evaluate_many([CALL] * 3, dry_run=True)
    assert [(one.allowed, one.would_allow) for one in (alone, *batch)] == [
        *((False, True), (False, True), (False, False), (False, True)),
    ]
    assert [item["context"]["dry_run"] for item in script.bodies[1]["evaluations"]] == [True] * 3


def test_only_a_dry_run_says_what_a_call_would_come_to() -> None:
    pdp, script = client(allow(), deny())
    assert [pdp.evaluate(CALL).would_allow for _ in range(2)] == [False, False]
    assert all("dry_run" not in body["context"] for body in script.bodies)


@pytest.mark.parametrize("more", [{"would_allow": True}, {"context": {"dry_run": True}}])
def test_nothing_makes_an_allow_of_the_answer_to_a_dry_run(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="permits nothing"):
        Decision(allowed=True, reason="allowed", **more)


def test_a_call_cannot_ask_for_a_dry_run_by_its_context() -> None:
    with pytest.raises(ValueError, match="dry_run"):
        Call(action="export", resource=Resource("customer", "42"), context={"dry_run": True})


def test_in_a_batch_an_allow_whose_context_is_no_object_is_none() -> None:
    pdp, _ = client(answer({"evaluations": [{"decision": True, "context": []}, {"decision": True}]}))
    assert [one.allowed for one in pdp.evaluate_many([CALL, CALL])] == [False, True]


def test_an_allow_is_one() -> None:
    pdp, script = client(allow(reason="allowed", evaluation_id="e1", approval={"id": "g", "approved_until": "t"}))
    decision = pdp.require(CALL)
    assert (decision.allowed, decision.reason, decision.evaluation_id) == (True, "allowed", "e1")
    assert (decision.grant, decision.approved_until, decision.attempts) == ("g", "t", 1)
    assert script.sent[0].url == "https://pdp.example/endpoints/crm/crm-api/access/v1/evaluation"
    assert header(script.sent[0], "authorization") == "Bearer own"


def test_a_decision_is_as_true_as_it_allows() -> None:
    pdp, _ = client(deny())
    assert not pdp.evaluate(CALL)
    assert Decision(allowed=True, reason="allowed")


async def test_a_forgotten_await_is_an_error_and_no_allow() -> None:
    pdp = AsyncBailiwick("https://pdp.example", token=None, transport=Script(deny()).asynchronous)
    pending = Approval(id="agr-1")
    for asked in (
        *(pdp.evaluate(CALL), pdp.require(CALL), pdp.evaluate_many([CALL])),
        *(pdp.request_approval(CALL, reason="r"), pdp.approval("agr-1"), pdp.withdraw("agr-1")),
        *(pdp.wait(pending, until=0), pdp.resume(CALL, reason="r", until=0)),
    ):
        with pytest.raises(TypeError, match="await"):
            bool(asked)


def test_no_question_of_the_asynchronous_client_is_a_coroutine_that_would_be_true() -> None:
    public = {name for name in vars(AsyncBailiwick) if not name.startswith("_")}
    assert {name for name in public if inspect.iscoroutinefunction(getattr(AsyncBailiwick, name))} == {"close"}


def test_arguments_can_be_a_mapping_that_nothing_can_change() -> None:
    inner = MappingProxyType({"b": MappingProxyType({"c": 1})})
    pdp, script = client(allow())
    call = Call(action="a", resource=Resource("t", "i"), args=MappingProxyType({"a": [inner]}))
    assert pdp.evaluate(call)
    assert script.bodies[0]["context"]["args"] == {"a": [{"b": {"c": 1}}]}


@pytest.mark.parametrize("came", [TransportError("reset"), answer({}, 500), answer({}, 401), answer({})], ids=repr)
def test_whoever_gets_no_decision_is_told_that_nobody_decided(came: Scripted) -> None:
    pdp, _ = client(came)
    with pytest.raises(Unavailable) as caught:
        pdp.require(CALL)
    assert caught.value.decision.reason == "pdp_unavailable"


def test_a_denial_that_can_be_asked_about_says_so() -> None:
    pdp, _ = client(deny("approval_required", access_request={"endpoint": "e", "expires_at": "t"}))
    with pytest.raises(ApprovalNeeded):
        pdp.require(CALL)


def test_a_denial_that_cannot_be_asked_about_is_plain() -> None:
    pdp, _ = client(deny("approval_denied"))
    with pytest.raises(Denied) as caught:
        pdp.require(CALL)
    assert type(caught.value) is Denied


def test_an_allow_that_says_how_to_ask_needs_no_approval() -> None:
    assert Decision(allowed=True, reason="", context={"access_request": {"endpoint": "e"}}).access_request is None


def test_no_error_and_no_repr_shows_a_token_or_an_argument() -> None:
    pdp, _ = client(deny())
    call = Call(token="s3cr3t", action="a", resource=Resource("t", "i"), args={"iban": "DE00"})
    with pytest.raises(Denied) as caught:
        pdp.require(call)
    assert not {"s3cr3t", "DE00"} & set(repr(call).split("'") + str(caught.value).split("'"))
    assert "s3cr3t" not in repr(call) + str(caught.value)
    assert "DE00" not in repr(call) + str(caught.value)


class TestABody:
    def test_says_what_the_call_is(self) -> None:
        pdp, script = client(allow())
        call = Call(
            token=subject_token(AGENT),
            actor_token="a",
            action="refund",
            resource=Resource("Order", "8812", amount=9000),
            args={"amount": 9000},
            intent="complaint",
            context={"tenant": "t"},
        )
        pdp.evaluate(call)
        assert script.bodies[0] == {
            "subject": {"type": "serviceAccount", "id": AGENT},
            "action": {"name": "refund"},
            "resource": {"type": "Order", "id": "8812", "properties": {"amount": 9000}},
            "context": {
                "tenant": "t",
                "args": {"amount": 9000},
                "intent": "complaint",
                "evidence": {"subject_token": call.token, "actor_token": "a"},
            },
        }

    @pytest.mark.parametrize(
        ("token", "principal"),
        [
            (subject_token(AGENT), Principal("serviceAccount", AGENT)),
            (subject_token("alice"), Principal("user", "alice")),
            ("opaque", Principal("user", "unknown")),
            ("a.!.c", Principal("user", "unknown")),
            ("a.W10.c", Principal("user", "unknown")),
        ],
        ids=["account", "person", "opaque", "no base64", "no object"],
    )
    def test_names_whom_the_token_claims_to_be_of(self, token: str, principal: Principal) -> None:
        assert Principal.of_token(token) == principal

    @pytest.mark.parametrize("name", ["args", "approval", "evidence", "intent", "business_justification"])
    def test_has_no_member_twice(self, name: str) -> None:
        with pytest.raises(ValueError, match=name):
            Call(action="a", resource=Resource("t", "i"), context={name: {}})

    @pytest.mark.parametrize(
        "value",
        [float("nan"), float("inf"), 2**53, -(2**53), "\ud800", {1: 2}, b"x", 1j, [[2**60]]],
        ids=repr,
    )
    def test_that_json_cannot_carry_is_refused_before_anybody_is_asked(self, value: object) -> None:
        pdp, script = client(allow())
        with pytest.raises(ValueError):
            pdp.evaluate(Call(action="a", resource=Resource("t", "i"), args={"x": value}))
        assert script.sent == []

    def test_that_is_too_deep_is_refused(self) -> None:
        deep: Any = {}
        for _ in range(100):
            deep = {"x": deep}
        with pytest.raises(ValueError, match="deep"):
            encoded(deep)

    def test_that_json_can_carry_is_carried(self) -> None:
        value = {"x": [True, None, 1.5, 2**53 - 1, "ü"]}
        assert decoded(encoded(value)) == value


class TestAUrl:
    @pytest.mark.parametrize("url", ["http://pdp.example", "http://10.0.0.1", "ftp://x", "pdp", "https://x/?a=b", ""])
    def test_that_would_send_tokens_in_the_clear_or_is_none_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError):
            Bailiwick(url, endpoint="crm/crm-api", transport=Script(allow()))

    @pytest.mark.parametrize(
        "url", ["https://pdp.example", "http://127.0.0.1:8443", "http://localhost", "http://[::1]"]
    )
    def test_that_is_safe_is_taken(self, url: str) -> None:
        Bailiwick(url, endpoint="crm/crm-api", transport=Script(allow()))

    def test_of_a_mesh_is_taken_where_somebody_says_so(self) -> None:
        Bailiwick("http://pdp.example", plaintext=True, transport=Script(allow()))

    @pytest.mark.parametrize("endpoint", ["crm", "crm/", "/crm-api", "crm/../x", "crm/a/b", "CRM/x", "crm/a?b"])
    def test_needs_an_endpoint_that_is_one(self, endpoint: str) -> None:
        with pytest.raises(ValueError):
            Bailiwick("https://pdp.example", endpoint=endpoint, transport=Script(allow()))


ALLOW: Final = {"decision": True}
DENY: Final = {"decision": False}
# What came back for three calls, by semantic, and what is made of it.
BATCHES: Final[dict[str, tuple[str, object, list[bool]]]] = {
    "whole": ("execute_all", [ALLOW, DENY, ALLOW], [True, False, True]),
    "too short": ("execute_all", [ALLOW, ALLOW], [False] * 3),
    "too long": ("execute_all", [ALLOW] * 4, [False] * 3),
    "empty": ("execute_all", [], [False] * 3),
    "no array": ("execute_all", ALLOW, [False] * 3),
    "an item that is none": ("execute_all", [ALLOW, 1, "true"], [True, False, False]),
    "ended by a denial": ("deny_on_first_deny", [ALLOW, DENY], [True, False, False]),
    "ended by nothing": ("deny_on_first_deny", [ALLOW, ALLOW], [False] * 3),
    "gone on after a denial": ("deny_on_first_deny", [DENY, ALLOW, ALLOW], [False] * 3),
    "ended by an allow": ("permit_on_first_permit", [DENY, ALLOW], [False, True, False]),
    "gone on after an allow": ("permit_on_first_permit", [ALLOW, ALLOW, ALLOW], [False] * 3),
    "ended by no allow": ("permit_on_first_permit", [DENY], [False] * 3),
}


class TestABatch:
    @pytest.mark.parametrize(("semantic", "came", "allowed"), BATCHES.values(), ids=BATCHES)
    def test_allows_what_it_says_in_the_shape_that_was_asked_for(
        self, semantic: str, came: object, allowed: list[bool]
    ) -> None:
        pdp, script = client(answer({"evaluations": came}))
        assert [one.allowed for one in pdp.evaluate_many([CALL] * 3, semantic=semantic)] == allowed
        assert script.bodies[0]["options"] == {"evaluations_semantic": semantic}

    def test_that_is_answered_as_one_evaluation_allows_nothing(self) -> None:
        pdp, _ = client(allow())
        assert not any(pdp.evaluate_many([CALL, CALL]))

    def test_of_nothing_asks_nobody(self) -> None:
        pdp, script = client(allow())
        assert (pdp.evaluate_many([]), script.sent) == ([], [])

    def test_that_is_too_large_is_refused(self) -> None:
        pdp, script = client(allow())
        with pytest.raises(ValueError):
            pdp.evaluate_many([CALL] * 101)
        assert script.sent == []

    def test_with_a_semantic_that_there_is_not_is_refused(self) -> None:
        pdp, _ = client(allow())
        with pytest.raises(ValueError):
            pdp.evaluate_many([CALL], semantic="execute_some")


PUBLIC: Final[Callable[[], Decision]] = lambda: Decision(  # noqa: E731 - a value made anew for each test
    allowed=False,
    reason="approval_required",
    context={
        "reason_user": {"403": "Ask."},
        "reason_admin": {"403": "secret"},
        "explanation": {},
        "policy": {"uid": "u"},
        "access_request": {"endpoint": "e", "template": "t", "expires_at": "x", "binding_token": "b"},
        "task": {"id": "i", "status": "pending", "status_endpoint": "s"},
    },
)


def test_a_caller_learns_why_and_nothing_for_administrators() -> None:
    assert PUBLIC().public() == {
        "reason": "approval_required",
        "reason_user": {"403": "Ask."},
        "access_request": {"endpoint": "e", "template": "t", "expires_at": "x"},
        "task": {"id": "i", "status": "pending"},
    }


def test_an_approval_goes_along_unchanged() -> None:
    shown = {"id": "g", "state": "jws", "approved_until": "t", "more": {"x": 1}}
    pdp, script = client(allow())
    pdp.evaluate(CALL, approval=Approval(id="g", status="approved", shown=shown))
    assert script.bodies[0]["context"]["approval"] == shown
