"""The life of a grant whose subject, actor or reviewer is taken back."""

from typing import Any, Final

import pytest

from bailiwick_engine.revocations import PartyRevocation
from bailiwick_operator.reconcile import approvalgrant
from bailiwick_operator.reconcile.approvalgrant import GrantObservation, GrantPlan
from support.objects import AGENT, Object
from support.revocations import FAR, in_force, revocation
from unit.operator.cases import NOW, STEP_OF_TWO, active, condition, grant

CREATED: Final = NOW.timestamp()
DAVE: Final = [{"reviewer": "dave", "time": "2026-11-25T12:00:00Z"}]
OF_THE_AGENT: Final = revocation("r-agent", before=FAR, sub=AGENT)
OF_DAVE: Final = revocation("r-dave", username="dave")


def reconciled(body: Object, *held: PartyRevocation, proven: bool = True, timed: bool = True) -> GrantPlan:
    observed = GrantObservation(proven, lambda _: True, timed=timed, revocations=in_force(*held))
    return approvalgrant.reconcile(body, observed, NOW)


def status_of(plan: GrantPlan) -> Any:  # noqa: ANN401 - a status
    assert plan.status is not None
    return plan.status


@pytest.mark.parametrize("timed", [True, False], ids=["timed", "clock off"])
@pytest.mark.parametrize("proven", [True, False], ids=["proven", "unproven"])
def test_a_grant_of_a_subject_from_before_ends_and_says_by_which_object(proven: bool, timed: bool) -> None:
    for body, phase in (
        (grant("dave", status={**active(), "counted": DAVE}), "Revoked"),
        (grant(status={"phase": "Pending"}), "Withdrawn"),
    ):
        status = status_of(reconciled(body, OF_THE_AGENT, proven=proven, timed=timed))
        assert status["phase"] == phase
        told = condition(status, "Revoked")
        assert (told["reason"], "r-agent" in told["message"]) == ("IdentityRevoked", True)


def test_a_grant_from_later_lives_unless_the_subject_is_on_hold() -> None:
    body = grant("dave", status={**active(), "counted": DAVE})
    assert status_of(reconciled(body, revocation(before=CREATED - 86_400, sub=AGENT)))["phase"] == "Active"
    held = reconciled(body, revocation(before=CREATED - 86_400, hold=True, sub=AGENT))
    assert status_of(held)["phase"] == "Revoked"


@pytest.mark.parametrize("phase", ["Denied", "Expired", "Withdrawn", "Consumed", "Lapsed"])
def test_one_that_has_ended_keeps_its_end(phase: str) -> None:
    body = grant("dave", status={**active(), "phase": phase, "counted": DAVE})
    plan = reconciled(body, OF_THE_AGENT, OF_DAVE)
    assert plan.status is None or plan.status["phase"] == phase


def test_what_they_approved_ends() -> None:
    body = grant("dave", status={**active(), "counted": DAVE})
    status = status_of(reconciled(body, OF_DAVE))
    assert (status["phase"], condition(status, "Ready")["reason"]) == ("Revoked", "IdentityRevoked")
    waiting = grant("dave", steps=[STEP_OF_TWO], status={"phase": "Pending", "counted": DAVE})
    assert status_of(reconciled(waiting, OF_DAVE))["phase"] == "Withdrawn"


@pytest.mark.parametrize("proven", [True, False], ids=["proven", "unproven"])
def test_no_new_approve_of_theirs_counts_then_or_later(proven: bool) -> None:
    body = grant("dave", status={"phase": "Pending"})
    status = status_of(reconciled(body, OF_DAVE, proven=proven))
    assert (status["phase"], status["voided"], status.get("counted")) == ("Pending", [{"reviewer": "dave"}], None)
    # Nothing is left to write once the object is gone.
    assert reconciled({**body, "status": status}).status is None


def test_a_denial_of_theirs_counts() -> None:
    body = grant("dave", decision="Deny", status={"phase": "Pending"})
    assert status_of(reconciled(body, OF_DAVE))["phase"] == "Denied"


def test_a_denial_is_not_lost_when_the_subject_is_taken_back_before_it_is_judged() -> None:
    body = grant("dave", decision="Deny", status={"phase": "Pending"})
    status = status_of(reconciled(body, OF_THE_AGENT))
    assert (status["phase"], [one["reviewer"] for one in status["counted"]]) == ("Denied", ["dave"])
    assert condition(status, "Ready")["reason"] != "IdentityRevoked"
    # One that cannot be judged yet does not keep the grant from its end.
    for later in ({"proven": False}, {"timed": False}):
        assert status_of(reconciled(body, OF_THE_AGENT, **later))["phase"] == "Withdrawn"


def test_others_reviews_count_beside_theirs() -> None:
    body = grant("dave", "erin", status={"phase": "Pending"})
    status = status_of(reconciled(body, OF_DAVE))
    assert (status["phase"], [one["reviewer"] for one in status["counted"]]) == ("Active", ["erin"])
