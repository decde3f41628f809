"""What the operator makes of signed reviews: counted, void with a reason, or waiting until keys can be used."""

from datetime import timedelta
from typing import Final

import pytest

from bailiwick_engine.signatures.registrars import ReviewerTrust
from bailiwick_engine.signatures.sshsig import write_signature
from bailiwick_operator.reconcile import approvalgrant
from bailiwick_operator.reconcile.approvalgrant import GrantObservation, GrantPlan
from bailiwick_operator.reconcile.transitions import grant_events
from support.objects import Object, review, step
from support.signatures.keys import RP_ID, SecurityKey, entry_line, statement_of, trust_in
from unit.operator.cases import INSTALLATION, NOW, applied, condition, grant

KEYS: Final = {name: SecurityKey.make(RP_ID) for name in ("dave", "erin")}
TRUST: Final = trust_in(*(entry_line(name, key.public) for name, key in KEYS.items()))
NO_FILE: Final = ReviewerTrust(problem="the file is missing")


def signed(*reviewers: str, by: str | None = None, decision: str = "Approve", **status: object) -> Object:
    """Return a stored grant with these reviews, each signed with the reviewer's own key, or with another's."""
    out = grant(steps=[step(count=2, signature="Required")], status={"phase": "Pending", **status})
    for name in reviewers:
        entry = review(out, name) | {"decision": decision}
        if decision == "Approve":
            entry["signature"] = write_signature(KEYS[by or name].assertion(statement_of(out, entry)))
        out["spec"]["reviews"].append(entry)
    return out


def reconciled(body: Object, trust: ReviewerTrust = TRUST, *, proven: bool = True) -> GrantPlan:
    observed = GrantObservation(proven, INSTALLATION.is_person, reviewers=trust)
    return approvalgrant.reconcile(body, observed, NOW)


@pytest.mark.invariant(30)
def test_reviews_that_verify_are_counted_and_approve() -> None:
    plan = reconciled(signed("dave", "erin"))
    assert plan.status is not None
    assert [one["reviewer"] for one in plan.status["counted"]] == ["dave", "erin"]
    assert plan.status["phase"] == "Active"
    assert "voided" not in plan.status


@pytest.mark.invariant(30)
def test_a_review_that_does_not_verify_is_void_with_a_reason_and_an_event() -> None:
    body = signed("dave", by="erin")
    plan = reconciled(body)
    assert plan.status is not None
    (only,) = plan.status["voided"]
    assert only["reviewer"] == "dave"
    assert "is not enrolled for dave" in only["message"]
    assert plan.status["phase"] == "Pending"
    assert "counted" not in plan.status
    assert "the review by dave does not count" in condition(plan.status, "Ready")["message"]
    (event,) = grant_events(body["status"], plan.status)
    assert (event.type, event.reason, event.action) == ("Warning", "SignatureRefused", "Void")
    assert "request a new grant" in event.note
    # For good, and said once: also where the key is enrolled later.
    again = reconciled(applied(body, plan), trust_in(entry_line("dave", KEYS["erin"].public)))
    assert again.status is None or again.status["voided"] == plan.status["voided"]
    assert again.status is None or grant_events(plan.status, again.status) == ()


@pytest.mark.invariant(30)
def test_without_a_signature_a_review_that_got_in_is_void() -> None:
    body = signed("dave")
    del body["spec"]["reviews"][0]["signature"]
    plan = reconciled(body)
    assert plan.status is not None
    assert "needs a signed review" in plan.status["voided"][0]["message"]


@pytest.mark.invariant(30)
def test_while_no_file_can_be_used_a_review_is_neither_counted_nor_void() -> None:
    body = signed("dave", "erin")
    plan = reconciled(body, NO_FILE)
    assert plan.status is not None
    assert not {"counted", "voided"} & set(plan.status)
    assert plan.status["phase"] == "Pending"
    assert "signed reviews wait" in condition(plan.status, "Ready")["message"]
    assert "the file is missing" in condition(plan.status, "Ready")["message"]
    assert plan.awaits_keys
    assert plan.wake == NOW + approvalgrant.KEYS_AGAIN
    later = reconciled(applied(body, plan))
    assert later.status is not None
    assert later.status["phase"] == "Active"
    assert not later.awaits_keys


@pytest.mark.invariant(30)
@pytest.mark.parametrize(
    ("begins", "ends", "became"),
    [
        (-60, 60, "counted"),
        (-28, 60, "counted"),
        # By the latest time alone it has begun: a time before that is possible too.
        (-27, 60, "waiting"),
        (0, 60, "waiting"),
        (1, 60, "voided"),
        (-60, 1, "counted"),
        # By the latest time it has ended, and that is enough.
        (-60, 0, "voided"),
    ],
)
def test_a_key_counts_once_it_has_certainly_begun_and_while_it_certainly_lasts(
    begins: int, ends: int, became: str
) -> None:
    since, until = ((NOW + timedelta(seconds=one)).strftime("%Y%m%d%H%M%SZ") for one in (begins, ends))
    trust = trust_in(entry_line("dave", KEYS["dave"].public, f',valid-after="{since}",valid-before="{until}"'))
    body = signed("dave")
    observed = GrantObservation(True, INSTALLATION.is_person, reviewers=trust, earliest=NOW - timedelta(seconds=28))
    plan = approvalgrant.reconcile(body, observed, NOW)
    assert plan.status is not None
    assert [name for name in ("counted", "voided") if name in plan.status] == [became] * (became != "waiting")
    assert plan.awaits_keys == (became == "waiting")
    if became == "waiting":
        assert "the key of dave becomes valid at about this time" in condition(plan.status, "Ready")["message"]
        assert plan.wake == NOW + approvalgrant.KEYS_AGAIN


@pytest.mark.invariant(30)
def test_an_expired_file_is_no_file() -> None:
    assert TRUST.keys is not None
    body = signed("dave")
    at = NOW + timedelta(seconds=TRUST.keys.expires - NOW.timestamp())
    body["spec"]["request"]["pendingUntilTime"] = (at + timedelta(hours=1)).isoformat()
    observed = GrantObservation(True, INSTALLATION.is_person, reviewers=TRUST)
    plan = approvalgrant.reconcile(body, observed, at)
    assert plan.awaits_keys
    assert plan.status is None or not {"counted", "voided"} & set(plan.status)


@pytest.mark.invariant(30)
def test_a_counted_review_whose_key_was_removed_approves_nothing() -> None:
    body = signed("dave", "erin", counted=[{"reviewer": "dave", "time": "2026-11-25T11:59:00Z"}])
    plan = reconciled(body, trust_in(entry_line("erin", KEYS["erin"].public)))
    assert plan.status is not None
    assert [one["reviewer"] for one in plan.status["counted"]] == ["dave", "erin"]
    assert "voided" not in plan.status
    assert plan.status["phase"] == "Pending"
    assert "1 of 2" in condition(plan.status, "Ready")["message"]


@pytest.mark.invariant(30)
def test_a_deny_needs_no_key_and_no_file() -> None:
    plan = reconciled(signed("dave", decision="Deny"), NO_FILE)
    assert plan.status is not None
    assert plan.status["phase"] == "Denied"


@pytest.mark.invariant(27, 30)
def test_nothing_is_judged_before_the_guard_is_proven() -> None:
    plan = reconciled(signed("dave", by="erin"), proven=False)
    assert plan.needs_proof
    assert plan.status is None or not {"counted", "voided"} & set(plan.status)
