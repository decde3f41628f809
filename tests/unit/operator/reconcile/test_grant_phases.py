"""The life of a grant as a table: what the phase is, given what is stored, what is proven and what time it is."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_operator.reconcile.approvalgrant import UnreadableGrantError
from bailiwick_operator.reconcile.resolution import UnresolvedReason
from support.objects import DIGEST, Object, changed, use_record
from unit.operator.cases import (
    NOW,
    PENDING_UNTIL,
    STEP_OF_TWO,
    active,
    applied,
    at,
    by_hand,
    condition,
    grant,
    reconciled,
)

COUNTED_DAVE = [{"reviewer": "dave"}]
SCOPE: dict[str, Any] = {"binding": {"mode": "Scope"}}


@dataclass(frozen=True)
class Case:
    name: str
    body: Object
    phase: str | None
    proven: bool = True
    minutes: float = 0
    timed: bool = True


TABLE = [
    Case("new and proven is pending", grant(), "Pending"),
    Case("new, and the clock is off, is nothing yet", grant(), None, timed=False),
    Case("reviewed, and the clock is off, is nothing yet", grant("dave"), None, timed=False),
    Case(
        "pending and reviewed, and the clock is off, stays pending",
        grant("dave", status={"phase": "Pending"}),
        "Pending",
        timed=False,
    ),
    Case(
        "counted already, and the clock is off, is not activated",
        grant("dave", status={"phase": "Pending", "counted": COUNTED_DAVE}),
        "Pending",
        timed=False,
    ),
    Case(
        "denied, and the clock is off, waits",
        grant("dave", decision="Deny", status={"phase": "Pending"}),
        "Pending",
        timed=False,
    ),
    Case(
        "out of time, and the clock is off, waits",
        grant(status={"phase": "Pending"}),
        "Pending",
        minutes=600,
        timed=False,
    ),
    Case(
        "active past its window, and the clock is off, stays active",
        grant("dave", status=active(counted=COUNTED_DAVE)),
        "Active",
        minutes=600,
        timed=False,
    ),
    Case("revoked needs no clock", grant("dave", revoked=True), "Withdrawn", timed=False),
    Case("revoked while active needs no clock", grant(revoked=True, status=active()), "Revoked", timed=False),
    Case("used up needs no clock", grant(status=active(uses=1, useRecords=[use_record()])), "Consumed", timed=False),
    Case(
        "approved before it was made is pending until then",
        grant("dave", status={"phase": "Pending"}),
        "Pending",
        minutes=-31,
    ),
    Case("approved when it was made is active", grant("dave", status={"phase": "Pending"}), "Active", minutes=-30),
    Case("new and unproven is nothing yet", grant(), None, proven=False),
    Case("reviewed and proven is active", grant("dave"), "Active"),
    Case("reviewed and unproven stays nothing", grant("dave"), None, proven=False),
    Case(
        "pending, reviewed, unproven stays pending", grant("dave", status={"phase": "Pending"}), "Pending", proven=False
    ),
    Case("pending, reviewed and proven is active", grant("dave", status={"phase": "Pending"}), "Active"),
    Case(
        "counted already but unproven now is not activated",
        grant("dave", status={"phase": "Pending", "counted": COUNTED_DAVE}),
        "Pending",
        proven=False,
    ),
    Case(
        "counted already and proven now is active",
        grant("dave", status={"phase": "Pending", "counted": COUNTED_DAVE}),
        "Active",
    ),
    Case(
        "a voided review does not approve",
        grant("dave", status={"phase": "Pending", "voided": COUNTED_DAVE}),
        "Pending",
    ),
    Case("one of two is not enough", grant("dave", steps=[STEP_OF_TWO]), "Pending"),
    Case("two of two are", grant("dave", "erin", steps=[STEP_OF_TWO]), "Active"),
    Case("one who is excluded does not approve", grant("dave", excludedReviewers=["dave"]), "Pending"),
    Case("a service account does not fill a human step", grant("system:serviceaccount:crm:bot"), "Pending"),
    Case("denied and proven is denied", grant("dave", decision="Deny"), "Denied"),
    Case(
        "denied and unproven waits",
        grant("dave", decision="Deny", status={"phase": "Pending"}),
        "Pending",
        proven=False,
    ),
    Case("one who is excluded does not deny", grant("dave", decision="Deny", excludedReviewers=["dave"]), "Pending"),
    Case(
        "approved over a denial that is void is not activated",
        changed(
            grant("dave", "erin", status={"phase": "Pending", "voided": [{"reviewer": "erin"}]}),
            "spec.reviews.1.decision",
            "Deny",
        ),
        "Pending",
    ),
    Case("denied while active is denied", grant("dave", decision="Deny", status=active()), "Denied"),
    Case("revoked before approval is withdrawn", grant("dave", revoked=True), "Withdrawn"),
    Case("revoked needs no proof", grant(revoked=True), "Withdrawn", proven=False),
    Case(
        "revoked while active is revoked", grant("dave", revoked=True, status=active(counted=COUNTED_DAVE)), "Revoked"
    ),
    Case("revoked while active needs no proof", grant(revoked=True, status=active()), "Revoked", proven=False),
    Case("revoked beats denied", grant("dave", decision="Deny", revoked=True), "Withdrawn"),
    Case("out of time is expired", grant(status={"phase": "Pending"}), "Expired", minutes=60),
    Case("out of time needs no proof", grant(), "Expired", proven=False, minutes=60),
    Case("out of time beats an approval that comes too late", grant("dave"), "Expired", minutes=60),
    Case("denied beats out of time", grant("dave", decision="Deny"), "Denied", minutes=60),
    Case("a second before its time it is pending", grant(status={"phase": "Pending"}), "Pending", minutes=59.99),
    Case("active in its window stays active", grant("dave", status=active(counted=COUNTED_DAVE)), "Active"),
    Case("active needs no proof to stay", grant("dave", status=active(counted=COUNTED_DAVE)), "Active", proven=False),
    Case("active past its window is lapsed", grant("dave", status=active()), "Lapsed", minutes=9),
    Case(
        "active without an end is lapsed",
        grant("dave", status={"phase": "Active", "counted": COUNTED_DAVE}),
        "Lapsed",
    ),
    Case(
        "active past pendingUntilTime is not expired",
        grant("dave", status=active(notAfterTime=at(hours=3))),
        "Active",
        minutes=90,
    ),
    Case(
        "used up is consumed", grant("dave", status=active(uses=1, useRecords=[use_record()])), "Consumed", proven=False
    ),
    Case(
        "used up is consumed, not lapsed",
        grant(status=active(uses=1, useRecords=[use_record()])),
        "Consumed",
        minutes=30,
    ),
    Case(
        "used but not used up is active", grant(maxUses=2, status=active(uses=1, useRecords=[use_record()])), "Active"
    ),
    Case("revoked beats consumed", grant(revoked=True, status=active(uses=1, useRecords=[use_record()])), "Revoked"),
    Case("a scope that the decision point opened is pending", grant(**SCOPE), "Pending"),
    Case("a scope that was reviewed and proven is active", grant("dave", **SCOPE), "Active"),
    Case("a scope that a denial opened is active too", grant("dave", **SCOPE, origin="OnDeny"), "Active"),
    Case(
        "a review of a scope that repeats a digest does not approve",
        changed(grant("dave", **SCOPE), "spec.reviews.0.binding", DIGEST),
        "Pending",
    ),
    Case(
        "an Exact review that repeats the uid does not approve",
        changed(grant("dave"), "spec.reviews.0.binding", "0b1a"),
        "Pending",
    ),
]


@pytest.mark.parametrize("case", TABLE, ids=[case.name for case in TABLE])
def test_a_grant_that_is(case: Case) -> None:
    outcome = reconciled(case.body, proven=case.proven, timed=case.timed, now=NOW + timedelta(minutes=case.minutes))
    phase = (applied(case.body, outcome).get("status") or {}).get("phase")
    assert phase == case.phase


@pytest.mark.parametrize("phase", sorted(TERMINAL_PHASES))
class TestOver:
    def test_is_over_for_good_whatever_comes(self, phase: str) -> None:
        body = grant("dave", revoked=True, status={"phase": phase, "conditions": [], "observedGeneration": 1})
        assert reconciled(body, now=NOW + timedelta(days=1)).status is None

    def test_only_the_generation_moves_on(self, phase: str) -> None:
        before: dict[str, Any] = {"phase": phase, "conditions": [], "observedGeneration": 1, "counted": COUNTED_DAVE}
        body = changed(grant(status=before), "metadata.generation", 2)
        assert reconciled(body).status == before | {"observedGeneration": 2}


class TestActivation:
    def test_stamps_both_times_and_counts_the_reviews(self) -> None:
        status = reconciled(grant("dave", windowSeconds=600)).status
        assert status is not None
        assert (status["approvedTime"], status["notAfterTime"]) == (at(), at(minutes=10))
        assert status["counted"] == [{"reviewer": "dave", "time": at()}]
        assert condition(status, "Approved")["status"] == "True"
        assert condition(status, "Ready")["status"] == "True"

    def test_stamps_each_review_when_it_is_counted_and_never_again(self) -> None:
        first = reconciled(grant("dave", steps=[STEP_OF_TWO])).status
        assert first is not None
        assert (first["phase"], first["counted"]) == ("Pending", [{"reviewer": "dave", "time": at()}])
        later = grant("dave", "erin", steps=[STEP_OF_TWO], status=first)
        status = reconciled(later, now=NOW + timedelta(minutes=5)).status
        assert status is not None
        assert status["counted"] == [{"reviewer": "dave", "time": at()}, {"reviewer": "erin", "time": at(minutes=5)}]

    def test_adds_no_time_to_a_review_that_was_counted_without_one(self) -> None:
        status = reconciled(grant("dave", status={"phase": "Pending", "counted": COUNTED_DAVE})).status
        assert status is not None
        assert status["counted"] == COUNTED_DAVE

    def test_wakes_when_the_window_ends(self) -> None:
        assert reconciled(grant("dave", windowSeconds=600)).wake == NOW + timedelta(minutes=10)

    def test_does_not_stamp_again(self) -> None:
        body = grant("dave", status=active())
        status = reconciled(body, now=NOW + timedelta(minutes=5)).status
        assert status is not None
        assert (status["approvedTime"], status["notAfterTime"]) == (at(minutes=-1), at(minutes=9))

    def test_never_gives_more_than_the_window_though_times_are_whole_seconds(self) -> None:
        now = NOW + timedelta(seconds=0.9)
        status = reconciled(grant("dave", windowSeconds=10), now=now).status
        assert status is not None
        assert status["notAfterTime"] == at(seconds=10)


class TestAProof:
    @pytest.mark.parametrize(
        ("body", "asked"),
        [
            pytest.param(grant(), True, id="for a new grant"),
            pytest.param(grant("dave", status={"phase": "Pending"}), True, id="for a review"),
            pytest.param(grant(status={"phase": "Pending"}), False, id="not for a pending grant without reviews"),
            pytest.param(
                grant("dave", status={"phase": "Pending", "voided": COUNTED_DAVE}), False, id="not for a void review"
            ),
            pytest.param(
                grant("dave", status={"phase": "Pending", "counted": COUNTED_DAVE}), True, id="for activating"
            ),
            pytest.param(grant("dave", status=active(counted=COUNTED_DAVE)), False, id="not for an active grant"),
            pytest.param(grant("dave", status={"phase": "Denied"}), False, id="not for one that is over"),
            pytest.param(grant("dave", revoked=True), False, id="not for one that is revoked"),
        ],
    )
    def test_is_asked(self, body: Object, asked: bool) -> None:
        assert reconciled(body, proven=False).needs_proof is asked

    @pytest.mark.parametrize("body", [grant(), grant("dave"), grant("dave", decision="Deny")], ids=["new", "yes", "no"])
    def test_that_came_is_not_asked_again(self, body: Object) -> None:
        assert not reconciled(body, proven=True).needs_proof

    def test_is_not_awaited_beyond_the_time_of_the_request(self) -> None:
        assert reconciled(grant(), proven=False).wake == PENDING_UNTIL


class TestTheStatus:
    def test_says_how_many_reviews_are_there_and_how_many_are_needed(self) -> None:
        status = reconciled(grant("dave", steps=[STEP_OF_TWO])).status
        assert status is not None
        ready = condition(status, "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "AwaitingReviews")
        assert "crm-agent.export.owner 1 of 2" in ready["message"]

    def test_says_why_a_grant_by_hand_is_not_resolved(self) -> None:
        status = reconciled(by_hand(), resolution=UnresolvedReason("EndpointPolicy crm-agent does not exist")).status
        assert status is not None
        ready = condition(status, "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "Unresolved")
        assert "EndpointPolicy crm-agent does not exist" in ready["message"]

    def test_says_at_whose_word_it_was_withdrawn(self) -> None:
        body = changed(grant(revoked=True), "spec.revocation", {"by": "the-pdp", "for": "the-enforcer"})
        status = reconciled(body).status
        assert status is not None
        assert condition(status, "Revoked")["message"] == "withdrawn by the-pdp at the request of the-enforcer"

    def test_says_whose_denial_is_void(self) -> None:
        void = grant("dave", decision="Deny", status={"phase": "Pending", "voided": COUNTED_DAVE})
        status = reconciled(void).status
        assert status is not None
        assert "the Deny by dave is void" in condition(status, "Ready")["message"]

    def test_says_who_denied(self) -> None:
        status = reconciled(grant("dave", decision="Deny")).status
        assert status is not None
        assert condition(status, "Denied") == condition(status, "Ready") | {"type": "Denied", "status": "True"}
        assert condition(status, "Denied")["message"] == "denied by dave"

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (grant("dave", status=active(counted=COUNTED_DAVE, uses=1, useRecords=[use_record()])), "Consumed"),
            (grant("dave", status=active(counted=COUNTED_DAVE, notAfterTime=at(minutes=-1))), "Lapsed"),
            (grant("dave", status=active(counted=COUNTED_DAVE), revoked=True), "Revoked"),
        ],
        ids=["consumed", "lapsed", "revoked"],
    )
    def test_keeps_saying_that_it_was_approved(self, body: Object, expected: str) -> None:
        status = reconciled(body).status
        assert status is not None
        assert [condition(status, name)["status"] for name in ("Approved", expected, "Ready")] == [
            "True",
            "True",
            "False",
        ]

    def test_says_withdrawn_in_the_condition_revoked(self) -> None:
        status = reconciled(grant(revoked=True)).status
        assert status is not None
        assert condition(status, "Revoked")["reason"] == "Withdrawn"
        assert condition(status, "Approved") == {}

    def test_never_gives_up_what_was_counted_or_void(self) -> None:
        before = {"phase": "Pending", "counted": [{"reviewer": "erin"}], "voided": COUNTED_DAVE}
        status = reconciled(grant("dave", "erin", "grace", status=before)).status
        assert status is not None
        assert status["counted"] == [{"reviewer": "erin"}, {"reviewer": "grace", "time": at()}]
        assert status["voided"] == COUNTED_DAVE


def test_what_is_not_a_grant_is_left_alone() -> None:
    with pytest.raises(UnreadableGrantError, match="surprise"):
        reconciled(changed(grant(), "spec.surprise", True))
