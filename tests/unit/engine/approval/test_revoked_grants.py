"""Grants of before: those of a party or a reviewer who is taken back let nothing through, and their record says why."""

from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_api.usernames import UsernameTemplate
from bailiwick_engine.approval.revokedgrants import ending_revocation
from bailiwick_engine.call import Call, Party
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.keys import USER
from bailiwick_engine.reasons import Reason
from bailiwick_engine.revocations import PartyRevocation
from support.objects import AGENT, Object
from support.revocations import in_force, revocation
from unit.engine.cases import (
    CALL,
    NOW,
    OPENED_AGO,
    active,
    approved,
    approving,
    asked,
    read,
    review,
    reviewed,
    verdict_of,
)

GATED: Final = approving()
CREATED: Final = NOW - OPENED_AGO
FRESH: Final = replace(CALL, subject=Party("serviceAccount", AGENT, "agent-uid", {"sub": AGENT, "iat": NOW}))
"""The call with a token of now."""
REVIEWER: Final = "oidc:carol"
TEMPLATES: Final = {"corp": UsernameTemplate("sub", "oidc:{sub}")}


def approved_by(reviewer: str = REVIEWER) -> Object:
    waiting = asked(GATED, FRESH)
    return active(reviewed(waiting, review(waiting, reviewer)))


def judged(raw: Object, *held: PartyRevocation, call: Call = FRESH) -> Verdict:
    around = Circumstances(now=NOW, revocations=in_force(*held, templates=TEMPLATES))
    return verdict_of(GATED, call, [read(raw)], around)


def test_a_grant_of_a_subject_from_before_is_revoked_and_one_from_after_is_not() -> None:
    raw = approved(GATED, FRESH)
    assert judged(raw).outcome is Outcome.USE_GRANT
    before = judged(raw, revocation("r-mine", before=CREATED + 1, sub=AGENT))
    assert (before.reason, before.revocation, before.requestable) == (Reason.APPROVAL_REVOKED, "r-mine", True)
    assert judged(raw, revocation(before=CREATED, sub=AGENT)).outcome is Outcome.USE_GRANT
    assert judged(raw, revocation(before=NOW, sub=f"{AGENT}-2")).outcome is Outcome.USE_GRANT


def test_a_request_that_still_waits_is_revoked_too() -> None:
    assert judged(asked(GATED, FRESH)).reason is Reason.APPROVAL_PENDING
    assert judged(asked(GATED, FRESH), revocation(before=NOW, sub=AGENT)).reason is Reason.APPROVAL_REVOKED


def test_the_call_that_used_one_up_is_not_let_through_again() -> None:
    raw = approved(GATED, FRESH, phase="Consumed")
    assert judged(raw).reason is Reason.APPROVAL_CONSUMED
    assert judged(raw, revocation(before=NOW, sub=AGENT)).reason is Reason.APPROVAL_REVOKED


@pytest.mark.parametrize("phase", ["Denied", "Lapsed", "Expired"])
def test_one_that_has_ended_keeps_its_end(phase: str) -> None:
    raw = approved(GATED, FRESH, phase=phase)
    verdict = judged(raw, revocation(before=NOW, sub=AGENT))
    assert (verdict.reason, verdict.revocation) == (judged(raw).reason, None)


def test_a_grant_of_an_actor_or_a_person_from_before_is_revoked() -> None:
    raw = asked(GATED, FRESH, subject={"type": USER, "id": "dave", "uid": "corp#dave"})
    raw["spec"]["request"]["actors"] = [{"issuer": "cluster", "id": AGENT, "uid": "agent-uid"}]
    grant = read(raw)

    def ends(by: PartyRevocation) -> bool:
        held = in_force(by)
        return ending_revocation(held, grant.request, grant.subject_uid, grant.created, ()) is not None

    assert ends(revocation(before=NOW, sub=AGENT))
    assert ends(revocation(before=NOW, username=AGENT))
    assert ends(revocation(issuer="corp", before=NOW, sub="dave"))
    assert not ends(revocation(issuer="corp", before=CREATED, sub="dave"))
    assert not ends(revocation(issuer="partner", before=NOW, sub="dave"))


def test_a_grant_is_revoked_by_a_claim_that_it_does_not_name() -> None:
    # Policies and grants name the person by another claim than the one that is taken back.
    person = Party(USER, AGENT, "agent-uid", {"sub": "99beb27c", "sid": "s1", "iat": NOW}, issuer="corp")
    call = replace(CALL, subject=replace(person, type="serviceAccount", id=AGENT))
    raw = approved(GATED, call)
    assert judged(raw, revocation(issuer="corp", before=NOW, sid="s1"), call=call).reason is Reason.APPROVAL_REVOKED
    assert judged(raw, revocation(issuer="corp", before=NOW, sid="s2"), call=call).outcome is Outcome.USE_GRANT


@pytest.mark.parametrize(
    "by",
    [
        revocation("r-hers", before=0.0, username=REVIEWER),
        revocation("r-hers", "corp", before=0.0, sub="carol"),
        revocation("r-hers", "corp", before=0.0, sub="carol", sid="s1"),
        revocation("r-hers", "corp", before=0.0),
    ],
    ids=["by username", "by sub", "of one session", "everybody"],
)
def test_a_grant_that_holds_an_approve_of_theirs_is_revoked_whenever_it_was_written(by: PartyRevocation) -> None:
    verdict = judged(approved_by(), by)
    assert (verdict.reason, verdict.revocation) == (Reason.APPROVAL_REVOKED, "r-hers")
    assert judged(approved_by("oidc:other"), revocation(username=REVIEWER)).outcome is Outcome.USE_GRANT


def test_an_approve_that_was_not_counted_takes_nothing_from_others() -> None:
    waiting = asked(GATED, FRESH)
    raw = active(reviewed(waiting, review(waiting, "oidc:other")))
    raw["spec"]["reviews"].append(review(waiting, REVIEWER))
    assert judged(raw, revocation(username=REVIEWER)).outcome is Outcome.USE_GRANT


def test_a_denial_is_not_lost_when_the_subject_is_taken_back_before_the_grant_ended() -> None:
    waiting = asked(GATED, FRESH)
    raw = reviewed(waiting, review(waiting, REVIEWER, decision="Deny"))
    assert judged(raw, revocation(before=NOW, sub=AGENT)).reason is Reason.APPROVAL_DENIED
    assert judged(raw, revocation(username=REVIEWER)).reason is Reason.APPROVAL_DENIED


def test_a_denial_of_theirs_still_counts() -> None:
    waiting = asked(GATED, FRESH)
    raw = reviewed(waiting, review(waiting, REVIEWER, decision="Deny"))
    assert judged(raw, revocation(username=REVIEWER)).reason is Reason.APPROVAL_DENIED


def of_before(raw: Object) -> Object:
    """Return a grant of what its rule meant before it changed."""
    (ref,) = raw["spec"]["request"]["rules"]
    request = {**raw["spec"]["request"], "rules": [{**ref, "ruleDigest": "v1:" + "0" * 64}]}
    return {**raw, "spec": {**raw["spec"], "request": request}}


def test_a_grant_of_a_rule_that_has_changed_is_revoked_all_the_same() -> None:
    raw = of_before(approved(GATED, FRESH))
    assert judged(raw).reason is Reason.APPROVAL_REQUIRED
    verdict = judged(raw, revocation("r-mine", before=NOW, sub=AGENT))
    assert (verdict.reason, verdict.revocation) == (Reason.APPROVAL_REVOKED, "r-mine")


def test_a_reviewer_who_only_denied_takes_no_grant_with_them() -> None:
    waiting = asked(GATED, FRESH)
    raw = of_before(reviewed(waiting, review(waiting, REVIEWER, decision="Deny")))
    assert judged(raw, revocation(username=REVIEWER)).reason is Reason.APPROVAL_REQUIRED
