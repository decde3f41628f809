"""A grant whose step asks for a signature lets a call through only while each review's signature counts."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.approval.grants import Fitness, fitness
from bailiwick_engine.approval.strength import STRONGER, WEAKER, compare_gates
from bailiwick_engine.call import Party
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.reasons import Reason
from bailiwick_engine.signatures.registrars import NO_REVIEWER_KEYS, ReviewerTrust
from bailiwick_engine.signatures.sshsig import USER_PRESENT, write_signature
from support.objects import Object, gated_rule
from support.signatures.keys import RP_ID, SecurityKey, entry_line, statement_of, trust_in
from unit.engine.cases import (
    AGENT_UID,
    AROUND,
    CALL,
    NOW,
    active,
    asked,
    gate_of,
    governed,
    read,
    review,
    reviewed,
    verdict_of,
)

KEY: Final = SecurityKey.make(RP_ID)
TRUST: Final = trust_in(entry_line("carol", KEY.public), entry_line("dave", SecurityKey.make(RP_ID).public))


def on(signature: str | None = "Required", **step: object) -> Any:  # noqa: ANN401 - a snapshot
    asks = {} if signature is None else {"signature": signature}
    return governed(gated_rule(approval={"steps": [{"name": "owner", "kind": "Human", **asks, **step}]}))


def approved(
    signature: str | None = "Required", *, flags: int = 5, of: Object | None = None, **fields: object
) -> Object:
    """Return a grant with Carol's signed review, as the operator counted it."""
    stored = asked(on(signature))
    unsigned = review(stored, "carol") | fields
    made = KEY.assertion(statement_of(of or stored, unsigned), flags=flags)
    return active(reviewed(stored, unsigned | {"signature": write_signature(made)}))


def fit(
    raw: Object, trust: ReviewerTrust = TRUST, signature: str | None = "Required", around: Circumstances = AROUND
) -> Fitness:
    assert isinstance(CALL.subject, Party)
    return fitness(read(raw), gate_of(on(signature)), CALL, CALL.subject, replace(around, reviewers=trust))


@pytest.mark.invariant(30)
def test_with_ones_own_signature_it_is_usable() -> None:
    assert fit(approved()) is Fitness.USABLE
    assert fit(approved("Key"), signature="Key") is Fitness.USABLE


@pytest.mark.invariant(30)
@pytest.mark.parametrize(
    "trust",
    [
        pytest.param(NO_REVIEWER_KEYS, id="without a file of keys"),
        pytest.param(trust_in(entry_line("dave", KEY.public)), id="with the key of another person"),
        pytest.param(trust_in(), id="with the key removed"),
        pytest.param(
            trust_in(entry_line("carol", KEY.public), origins=frozenset()), id="without the origin of passkeys"
        ),
    ],
)
def test_it_is_unverifiable_at_once(trust: ReviewerTrust) -> None:
    assert fit(approved(), trust) is Fitness.UNVERIFIABLE


@pytest.mark.invariant(30)
def test_a_grant_that_is_used_up_counts_as_that_only_while_its_signatures_count() -> None:
    """The call that used it up may come again for a moment."""
    used_up = approved()
    used_up["status"] |= {"phase": "Consumed", "uses": 1}
    assert fit(used_up) is Fitness.CONSUMED
    assert fit(used_up, trust_in()) is Fitness.OUTDATED
    assert fit(used_up, NO_REVIEWER_KEYS) is Fitness.OUTDATED


@pytest.mark.invariant(30)
@pytest.mark.parametrize(
    ("earliest", "expected"),
    [(None, Fitness.USABLE), (NOW - 5, Fitness.USABLE), (NOW - 20, Fitness.UNVERIFIABLE)],
    ids=["the time is known", "it has begun", "it may not have begun"],
)
def test_a_key_counts_once_it_has_certainly_begun(earliest: float | None, expected: Fitness) -> None:
    began = datetime.fromtimestamp(NOW - 10, UTC).strftime("%Y%m%d%H%M%SZ")
    trust = trust_in(entry_line("carol", KEY.public, f',valid-after="{began}"'))
    assert fit(approved(), trust, around=replace(AROUND, earliest=earliest)) is expected


@pytest.mark.invariant(7, 30)
def test_a_signature_is_over_the_whole_request_as_it_is_stored() -> None:
    """The models know all fields of a request: one that they leave out of their own form would still be signed."""
    other = asked(on())
    other["spec"]["request"] = {**other["spec"]["request"], "reason": "less"}
    assert fit(approved(of=other)) is Fitness.UNVERIFIABLE
    raw = approved()
    times = raw["spec"]["request"]["pendingUntilTime"].replace("Z", "+00:00")
    respelled = {**raw["spec"]["request"], "pendingUntilTime": times}
    assert fit({**raw, "spec": {**raw["spec"], "request": respelled}}) is Fitness.UNVERIFIABLE


@pytest.mark.invariant(7, 30)
def test_a_signature_over_a_grant_by_hand_is_over_what_its_names_stand_for() -> None:
    """The operator writes that into the status, so whoever writes as the operator could let it serve another rule."""
    on_scope = governed(
        gated_rule(
            approval={"binding": "Scope", "steps": [{"name": "owner", "kind": "Human", "signature": "Required"}]}
        )
    )
    (rule,) = gate_of(on_scope).rules
    named = {"policy": rule.policy, "rule": rule.rule}
    resolved: Object = {
        "subjectUID": AGENT_UID,
        "rules": [{**named, "uid": rule.policy_uid, "ruleDigest": rule.rule_digest}],
    }
    stored = asked(on_scope, binding={"mode": "Scope"}, origin="PreApproved", requester={"username": "dave"})
    stored["spec"]["request"] |= {
        "rules": [named],
        "subject": {"type": "serviceAccount", "id": stored["spec"]["request"]["subject"]["id"]},
    }

    def judged(signed: Object | None, now: Object) -> Reason:
        before = {**stored, "status": {"resolved": signed}}
        unsigned = review(before, "carol", binding="grant-uid")
        made = KEY.assertion(statement_of(before, unsigned))
        whole = active(reviewed(before, unsigned | {"signature": write_signature(made)}))
        after = {**whole, "status": {**whole["status"], "resolved": now}}
        return verdict_of(on_scope, CALL, [read(after)], replace(AROUND, reviewers=TRUST)).reason

    other: Object = {**resolved, "rules": [{**resolved["rules"][0], "ruleDigest": "v2:" + "0" * 64}]}
    assert judged(resolved, resolved) is Reason.ALLOWED
    for signed in (other, {**resolved, "subjectUID": "another"}, {**resolved, "excludedReviewers": ["erin"]}, None):
        assert judged(signed, resolved) is Reason.APPROVAL_UNVERIFIABLE


@pytest.mark.invariant(30)
def test_without_a_signature_or_a_verified_user_it_is_unverifiable() -> None:
    bare = asked(on())
    assert fit(active(reviewed(bare, review(bare, "carol")))) is Fitness.UNVERIFIABLE
    assert fit(approved(flags=USER_PRESENT)) is Fitness.UNVERIFIABLE
    assert fit(approved("Key", flags=USER_PRESENT), signature="Key") is Fitness.USABLE


@pytest.mark.invariant(30)
@pytest.mark.parametrize("signed", [0, 1], ids=["the first step asks for one", "the last step asks for one"])
def test_a_signature_counts_beside_a_step_that_asks_for_none(signed: int) -> None:
    steps: list[Object] = [{"name": name, "kind": "Human"} for name in ("owner", "second")]
    steps[signed] |= {"signature": "Required"}
    mixed = governed(gated_rule(approval={"steps": steps}))
    stored = asked(mixed)
    unsigned, plain = review(stored, "carol", signed), review(stored, "dave", 1 - signed)
    made = write_signature(KEY.assertion(statement_of(stored, unsigned)))

    def outcome(review_of_carol: Object) -> Reason:
        raw = active(reviewed(stored, review_of_carol, plain))
        return verdict_of(mixed, CALL, [read(raw)], replace(AROUND, reviewers=TRUST)).reason

    assert outcome(unsigned | {"signature": made}) is Reason.ALLOWED
    assert outcome(unsigned) is Reason.APPROVAL_UNVERIFIABLE


@pytest.mark.invariant(30)
def test_a_denial_needs_no_signature() -> None:
    stored = asked(on())
    denied = reviewed(stored, review(stored, "carol") | {"decision": "Deny"})
    assert fit({**denied, "status": {"phase": "Pending", "counted": [{"reviewer": "carol"}]}}) is Fitness.DENIED


@pytest.mark.invariant(30)
@pytest.mark.parametrize(("was", "now"), [(None, "Key"), ("Key", "Required"), ("Required", None), ("Required", "Key")])
def test_it_ends_when_the_step_asks_for_another_signature(was: str | None, now: str | None) -> None:
    stored = asked(on(was))
    grant = active(reviewed(stored, review(stored, "carol")))
    assert fit(grant, signature=now) is Fitness.OUTDATED


@pytest.mark.invariant(30)
@pytest.mark.parametrize("signature", [None, "Key"])
def test_a_grant_that_asks_for_less_than_its_rule_does_not_serve(signature: str | None) -> None:
    stored = asked(on())
    step = {**stored["spec"]["request"]["steps"][0], "signature": signature}
    asks = {name: held for name, held in step.items() if held is not None}
    stored["spec"]["request"] = {**stored["spec"]["request"], "steps": [asks]}
    assert fit(active(reviewed(stored, review(stored, "carol")))) is Fitness.OUTDATED


def test_a_step_that_asks_for_less_of_a_signature_is_weaker() -> None:
    order = (None, "Key", "Required")
    for base in range(3):
        for head in range(3):
            found = compare_gates(gate_of(on(order[base])), gate_of(on(order[head]))).get("steps")
            assert found == (None if base == head else STRONGER if head > base else WEAKER)
    # One more reviewer does not make up for it.
    assert compare_gates(gate_of(on("Key")), gate_of(on(None, count=2)))["steps"] is None
