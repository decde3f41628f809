"""Whatever a decision comes to, no adapter lets a call through that was not allowed, and each says why it does not.

The decision is drawn and put in the pipeline's place; all else is the real application, asked over the network.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import pytest
from aiohttp import ClientSession
from hypothesis import example, given, strategies as st
from msgspec import structs

from bailiwick_engine.call import Party
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.keys import CLUSTER, USER, uid_of
from bailiwick_engine.reasons import EXPLAINED, Reason
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.grpc import server as grpc_server
from bailiwick_webhook.http import app
from bailiwick_webhook.http.adapters import replies
from bailiwick_webhook.http.problems import ProblemError
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.pipeline.decision import Decision
from contract.adapters import test_adapters as proxies, test_kubernetes as kubernetes
from contract.asking_alone import AGENT, PEP, TENANT
from support.pdp import questions
from support.pdp.alone import Alone, subject_token
from support.proxies import checks
from support.proxies.checks import Check
from support.proxies.raw import Answer, parsed
from unit.engine import cases

GATED: Final = cases.approving()
GATE: Final = cases.gate_of(GATED)
PENDING: Final = cases.read(cases.asked(GATED))
RULE: Final = next(iter(next(iter(GATED.endpoints.values())).rules))
# As the engine writes it: a binding token has its bytes.
DIGEST: Final = f"sha256:{hashlib.sha256(b'what is asked').hexdigest()}"


class DefectError(Exception):
    """Something of ours broke, with a secret in its words."""


Drawn = Decision | Exception


def _verdict(outcome: Outcome, *, gated: bool, reason: Reason, **fields: Any) -> Verdict:  # noqa: ANN401 - fields
    gate = GATE if gated or outcome is Outcome.USE_GRANT else None
    why = Reason.ALLOWED if outcome in {Outcome.ALLOW, Outcome.USE_GRANT} else reason
    # Told with the reason that says so, and with no other.
    pending = PENDING if gate is not None and why is Reason.APPROVAL_PENDING else None
    return Verdict(outcome=outcome, reason=why, gate=gate, pending=pending, digest=DIGEST, **fields)


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    """A decision of any outcome and reason. What is used up or not recorded is not allowed, whatever its outcome."""
    verdict = _verdict(
        draw(st.sampled_from(Outcome)),
        gated=draw(st.booleans()),
        reason=draw(st.sampled_from([one for one in Reason if one is not Reason.ALLOWED])),
        rule=draw(st.sampled_from([None, RULE])),
        message=draw(st.one_of(st.none(), st.text(min_size=1, max_size=40))),
        cools_until=draw(st.sampled_from([None, 60.0, float("inf")])),
        hop=draw(st.sampled_from([None, "agent"])),
        dry_run=draw(st.booleans()),
    )
    allowed = verdict.outcome in {Outcome.ALLOW, Outcome.USE_GRANT} and draw(st.booleans())
    return Decision(verdict, allowed, "eval_x", 0.0, "1/1", 0.0, askable=draw(st.booleans()))


def problems() -> st.SearchStrategy[Exception]:
    """What stops a question on the way: any status, of success too."""
    made = st.builds(
        ProblemError,
        st.integers(200, 599),
        st.sampled_from(["unavailable", "overloaded"]),
        st.just("Title"),
        st.just("What to do."),
        headers=st.sampled_from([{}, {"Retry-After": "5"}]),
    )
    # A new one each time: one that is raised again keeps the frames, and connections, of all that raised it.
    return st.one_of(made, st.builds(DefectError, st.just("a secret of ours")))


DRAWN: Final = st.one_of(decisions(), decisions(), problems())
# A denial about which can be asked, which few of those drawn are: each adapter makes a binding token of it.
ASKABLE: Final = Decision(
    _verdict(Outcome.DENY, gated=True, reason=Reason.APPROVAL_REQUIRED, rule=RULE),
    allowed=False,
    evaluation_id="eval_x",
    time=0.0,
    revision="1/1",
    age=0.0,
    askable=True,
)


@dataclass
class World:
    """A server of each port, and what the pipeline comes to."""

    runner: asyncio.Runner
    http: int
    grpc: int
    admission: int
    client: ClientSession
    drawn: Drawn | None = None

    def evaluate(self, _: EvaluationRequest) -> Decision:
        if isinstance(self.drawn, Exception):
            raise self.drawn
        assert self.drawn is not None
        return self.drawn

    async def verdict(self, asked: EvaluationRequest, *, as_counted: bool = False) -> Verdict:
        return self.evaluate(asked).verdict

    def proxied(self, raw: bytes | Check) -> Answer:
        async def ask() -> Answer:
            if isinstance(raw, Check):
                return await checks.sent(self.grpc, raw)
            reader, writer = await asyncio.open_connection("127.0.0.1", self.http)
            writer.write(raw)
            got = await reader.read()
            writer.close()
            return parsed(got)

        return self.runner.run(ask())

    def posted(self, port: int, path: str, body: object, caller: str) -> tuple[int, Any]:
        async def ask() -> tuple[int, Any]:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {caller}"}
            answer = await self.client.post(f"http://127.0.0.1:{port}{path}", data=json.dumps(body), headers=headers)
            return answer.status, json.loads(await answer.read())

        return self.runner.run(ask())


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with asyncio.Runner() as runner:
        closing = AsyncExitStack()

        async def begin() -> World:
            alone = Alone([*proxies.governed(), kubernetes.protecting()])
            handler: Any = alone.enforce.__call__
            admission = app.build_admission(handler, lambda: False, alone.pdp.counts, enforce=handler)
            servers = [await serve(one, "127.0.0.1", 0) for one in (alone.application, admission)]
            by_grpc = await grpc_server.serve(alone.application[app.AUTHENTICATOR], Bounds(), "127.0.0.1", 0)
            for each in servers:
                closing.push_async_callback(each.stop)
            closing.push_async_callback(by_grpc.stop)
            client = await closing.enter_async_context(ClientSession())
            made = World(runner, servers[0].port, by_grpc.port, servers[1].port, client)
            pdp: Any = alone.pdp
            pdp.evaluate, pdp.verdict = made.evaluate, made.verdict
            return made

        yield runner.run(begin())
        runner.run(closing.aclose())


def permits(drawn: Drawn) -> bool:
    """Tell whether a call may go through: a dry run is for who asks about themselves, and lets nothing through."""
    return (
        isinstance(drawn, Decision)
        and drawn.allowed
        and not drawn.verdict.dry_run
        and drawn.verdict.outcome is not Outcome.FORBIDDEN
    )


def denies_in_words(drawn: Drawn) -> bool:
    """Tell whether it is the verdict that has to be told, and not that somebody may not ask or that something broke."""
    return isinstance(drawn, Decision) and drawn.verdict.outcome is not Outcome.FORBIDDEN and not drawn.verdict.dry_run


ALLOWED: Final = Decision(_verdict(Outcome.ALLOW, gated=False, reason=Reason.ALLOWED), True, "eval_x", 0.0, "1/1", 0.0)
# Few of each, so that two issuers have one name for two subjects; and names with what could join them in one header.
ISSUERS: Final = st.sampled_from([CLUSTER, "corp", "partners", "a"])
IDS: Final = st.one_of(st.sampled_from(["ann", AGENT, "corp:ann", "corp/ann", "a%23b", "a#b"]), st.text(min_size=1))


@given(one=st.tuples(ISSUERS, IDS), other=st.tuples(ISSUERS, IDS))
@example(one=("corp", "ann"), other=("partners", "ann"))
def test_two_subjects_are_two_to_an_upstream(one: tuple[str, str], other: tuple[str, str]) -> None:
    subjects = []
    for issuer, name in (one, other):
        subject = Party(USER, name, uid_of(issuer, name), issuer=issuer)
        reply = replies.allowed(
            ALLOWED, EvaluationRequest(structs.replace(cases.CALL, subject=subject), None, live_identity=True)
        )
        assert reply.headers[replies.ISSUER] == issuer
        subjects.append([reply.headers[header] for header in (replies.SUBJECT, replies.ISSUER)])
    assert (subjects[0] == subjects[1]) is (one == other)


@pytest.mark.parametrize("adapter", proxies.ADAPTERS)
@example(drawn=ASKABLE)
@given(drawn=DRAWN)
def test_a_proxy_is_told_200_of_what_is_allowed_and_else_401_or_403_and_why(
    world: World, adapter: str, drawn: Drawn
) -> None:
    world.drawn = drawn
    answer = world.proxied(proxies.ADAPTERS[adapter](*proxies.GET, proxies.enforcer(), proxies.bearer()))
    assert (answer.status == 200) is permits(drawn)
    if permits(drawn):
        assert answer.body == b""
        assert all(answer.header(name) for name in replies.TRUSTED)
        return
    assert answer.status in {401, 403}
    said = json.loads(answer.body)
    assert said["status"] == answer.status
    assert said["reason"] == answer.header(replies.REASON)
    assert said["detail"]
    assert "secret" not in answer.body.decode()
    assert not any(answer.header(name) for name in replies.TRUSTED)
    if not denies_in_words(drawn):
        assert answer.status == 403
        return
    assert isinstance(drawn, Decision)
    verdict = drawn.verdict
    assert said["reason"] == verdict.reason.value
    assert said["detail"].startswith(drawn.sentence)
    assert said["evaluation_id"] == answer.header(replies.EVALUATION) == "eval_x"
    unproven = verdict.reason in {
        *(Reason.IDENTITY_INVALID, Reason.IDENTITY_RESERVED, Reason.AUDIENCE_MISMATCH),
        *(Reason.POSSESSION_UNPROVEN, Reason.TOKEN_LIFETIME_EXCEEDED),
    }
    assert (answer.status == 401) is unproven
    assert ("invalid_token" in (answer.header("www-authenticate") or "")) is unproven
    asked_for = drawn.requestable and verdict.rule is not None
    assert ("access_request" in said) is asked_for
    if not unproven:
        assert (answer.header(replies.ACCESS_REQUEST) is not None) is asked_for
    assert answer.header(replies.TASK) == (None if verdict.pending is None else verdict.pending.id)
    assert (answer.header("retry-after") is not None) is ("retry_after" in said)


@example(drawn=ASKABLE)
@given(drawn=DRAWN)
def test_authzen_says_true_of_what_is_allowed_and_else_false_and_why(world: World, drawn: Drawn) -> None:
    world.drawn = drawn
    body = questions.evaluation(AGENT, "customers.get")
    body["context"] = {"evidence": {"subject_token": subject_token(AGENT)}}
    status, said = world.posted(world.http, f"{TENANT}/access/v1/evaluation", body, PEP)
    if not isinstance(drawn, Decision) or drawn.verdict.outcome is Outcome.FORBIDDEN:
        assert "decision" not in said
        assert "secret" not in str(said)
        return
    assert (status, said["decision"]) == (200, drawn.allowed)
    if not drawn.allowed:
        assert said["context"]["reason"] == drawn.verdict.reason.value
        assert said["context"]["reason_user"] == {"403": drawn.sentence}
        assert said["context"]["next_action"] == drawn.next_action
        assert ("access_request" in said["context"]) <= drawn.requestable


@pytest.mark.parametrize("dry_run", [False, True])
@given(drawn=DRAWN)
def test_admission_allows_what_is_allowed_and_else_says_why(world: World, dry_run: bool, drawn: Drawn) -> None:
    world.drawn = drawn
    review = kubernetes.admitting(dryRun=dry_run)
    status, said = world.posted(world.admission, "/admission/enforce", review, kubernetes.SERVER)
    assert (status, said["response"]["uid"]) == (200, "review-uid")
    permitted = permits(drawn)
    if dry_run:
        tried = isinstance(drawn, Decision) and drawn.verdict.outcome in {Outcome.ALLOW, Outcome.USE_GRANT}
        permitted = tried
    assert said["response"]["allowed"] is permitted
    if permitted:
        assert "status" not in said["response"]
        return
    told = said["response"]["status"]
    assert told["code"] in {403, 429}
    assert "secret" not in str(said)
    ((cause),) = told["details"]["causes"]
    assert cause["reason"] == said["response"]["auditAnnotations"]["reason"]
    assert told["message"] == f"{cause['reason']}: {cause['message']}"
    if isinstance(drawn, Decision) and drawn.verdict.outcome is Outcome.DENY and (dry_run or not drawn.verdict.dry_run):
        assert cause["reason"] == drawn.verdict.reason.value
        if not dry_run:
            assert ("retryAfterSeconds" in told["details"]) is (
                drawn.verdict.pending is not None or drawn.next_action == "retry"
            )


@pytest.mark.parametrize("verb", ["get", "delete", "create"])
@given(drawn=DRAWN)
def test_the_authorizer_never_allows_and_denies_what_no_later_question_would(
    world: World, verb: str, drawn: Drawn
) -> None:
    world.drawn = drawn
    review = kubernetes.access(verb, "secrets", name="open")
    status, said = world.posted(world.http, "/authorize", review, kubernetes.SERVER)
    assert status == 200
    assert said["status"]["allowed"] is False
    assert "secret of ours" not in str(said)
    if not isinstance(drawn, Decision) or drawn.verdict.outcome is Outcome.FORBIDDEN:
        assert said["status"]["denied"] is True
        return
    verdict = drawn.verdict
    if verb == "get":
        # Admission is never asked about it, so that nothing is left to it.
        assert said["status"].get("denied", False) is not (verdict.outcome is Outcome.ALLOW and verdict.gate is None)
    elif "denied" not in said["status"]:
        left = verdict.reason in {
            *(Reason.CONDITION_FALSE, Reason.CONDITION_ERROR, Reason.CONTEXT_INSUFFICIENT, Reason.UNINSPECTABLE),
            # The authorizer counts nothing; admission does.
            *(Reason.HISTORY_UNAVAILABLE, Reason.HISTORY_UNCOUNTABLE),
        }
        assert verdict.outcome is not Outcome.DENY or verdict.gate is not None or left
    if said["status"].get("denied"):
        assert said["status"]["reason"].startswith("Bailiwick: ")


def test_every_reason_has_a_sentence_that_a_denial_can_carry() -> None:
    assert set(EXPLAINED) == set(Reason)
    assert all(one.sentence for one in EXPLAINED.values())
