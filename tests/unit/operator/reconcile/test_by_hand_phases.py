"""The life of a grant written by hand, as a table: resolved first, and only then as any other."""

import itertools
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pytest

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_operator.reconcile.approvalgrant import unresolved_request
from bailiwick_operator.reconcile.resolution import OverLimit, Resolution, ResolvedStatus, UnresolvedReason
from support.objects import RULE_DIGEST, Object, changed, use_record
from unit.operator.cases import (
    LIMITS,
    NOW,
    PENDING_UNTIL,
    RESOLVED,
    active,
    applied,
    at,
    by_hand,
    condition,
    reconciled,
)

OVER: Final = OverLimit("1 grants for this subject already wait for reviews: the limit is 1")
FOUND: Final = ResolvedStatus(RESOLVED, LIMITS)
NOT_YET: Final = UnresolvedReason("EndpointPolicy crm-agent does not exist")
RULE: Final = {"policy": "crm-agent", "rule": "export", "uid": "policy-uid", "ruleDigest": RULE_DIGEST}
DAVE: Final = [{"reviewer": "dave"}]
IS_RESOLVED: Final = {"phase": "Pending", "resolved": RESOLVED}


@dataclass(frozen=True)
class Case:
    name: str
    body: Object
    phase: str | None
    resolution: Resolution | None = None
    resolved: bool = False
    counted: tuple[str, ...] = ()
    voided: tuple[str, ...] = ()
    proven: bool = True
    minutes: float = 0


TABLE: Final = [
    Case("new, proven and not looked up", by_hand(), "Pending"),
    Case("new, proven and found", by_hand(), "Pending", FOUND, resolved=True),
    Case("new, proven and not found", by_hand(), "Pending", NOT_YET),
    Case("new and unproven", by_hand(), None, FOUND, proven=False),
    Case("not found before, found now", by_hand(status={"phase": "Pending"}), "Pending", FOUND, resolved=True),
    Case(
        "found now, without a new proof",
        by_hand(status={"phase": "Pending"}),
        "Pending",
        FOUND,
        resolved=True,
        proven=False,
    ),
    Case("reviewed before it was looked up", by_hand("dave"), "Pending"),
    Case("reviewed before it was found", by_hand("dave"), "Pending", NOT_YET),
    Case("reviewed in the moment it is found", by_hand("dave"), "Pending", FOUND, resolved=True, voided=("dave",)),
    Case(
        "denied in the moment it is found",
        by_hand("dave", decision="Deny"),
        "Pending",
        FOUND,
        resolved=True,
        voided=("dave",),
    ),
    Case(
        "reviewed early, and looked at again",
        by_hand("dave", status=IS_RESOLVED | {"voided": DAVE}),
        "Pending",
        resolved=True,
        voided=("dave",),
    ),
    Case(
        "counted before anybody asked what it names",
        by_hand("dave", status={"phase": "Pending", "counted": DAVE}),
        "Pending",
        FOUND,
        counted=("dave",),
    ),
    Case("resolved, then reviewed", by_hand("dave", status=IS_RESOLVED), "Active", resolved=True, counted=("dave",)),
    Case("resolved, reviewed, unproven", by_hand("dave", status=IS_RESOLVED), "Pending", resolved=True, proven=False),
    Case(
        "resolved, then denied",
        by_hand("dave", decision="Deny", status=IS_RESOLVED),
        "Denied",
        resolved=True,
        counted=("dave",),
    ),
    Case(
        "resolved, reviewed by its author",
        by_hand("carol", status=IS_RESOLVED),
        "Pending",
        resolved=True,
        counted=("carol",),
    ),
    Case("over a limit of its rules", by_hand(), "Withdrawn", OVER),
    Case("over a limit, and reviewed early", by_hand("dave"), "Withdrawn", OVER),
    Case("over a limit once it is resolved", by_hand(status=IS_RESOLVED), "Pending", OVER, resolved=True),
    Case("over a limit when it is too late", by_hand(), "Withdrawn", OVER, minutes=60),
    Case("not resolved in time", by_hand(), "Expired", NOT_YET, minutes=60),
    Case("found when it is too late", by_hand(), "Expired", FOUND, minutes=60),
    Case("resolved and not reviewed in time", by_hand(status=IS_RESOLVED), "Expired", resolved=True, minutes=60),
    Case("withdrawn before it is found", by_hand(revoked=True), "Withdrawn", FOUND),
    Case("withdrawn after it was found", by_hand(revoked=True, status=IS_RESOLVED), "Withdrawn", resolved=True),
    Case(
        "active",
        by_hand("dave", status=active(resolved=RESOLVED, counted=DAVE)),
        "Active",
        resolved=True,
        counted=("dave",),
    ),
    Case(
        "revoked",
        by_hand("dave", revoked=True, status=active(resolved=RESOLVED, counted=DAVE)),
        "Revoked",
        resolved=True,
        counted=("dave",),
    ),
    Case(
        "used up",
        by_hand("dave", status=active(resolved=RESOLVED, counted=DAVE, uses=1, useRecords=[use_record()])),
        "Consumed",
        resolved=True,
        counted=("dave",),
    ),
    Case(
        "past its window",
        by_hand("dave", status=active(resolved=RESOLVED, counted=DAVE)),
        "Lapsed",
        resolved=True,
        counted=("dave",),
        minutes=9,
    ),
]


@pytest.mark.parametrize("case", TABLE, ids=[case.name for case in TABLE])
def test_a_grant_by_hand_that_is(case: Case) -> None:
    now = NOW + timedelta(minutes=case.minutes)
    outcome = reconciled(case.body, proven=case.proven, now=now, resolution=case.resolution)
    status: dict[str, Any] = applied(case.body, outcome).get("status") or {}
    assert status.get("phase") == case.phase
    assert status.get("resolved") == (RESOLVED if case.resolved else None)
    assert [entry["reviewer"] for entry in status.get("counted", ())] == [*case.counted]
    assert [entry["reviewer"] for entry in status.get("voided", ())] == [*case.voided]


@pytest.mark.parametrize("case", TABLE, ids=[case.name for case in TABLE])
def test_a_second_pass_writes_nothing_about_one_that_is(case: Case) -> None:
    now = NOW + timedelta(minutes=case.minutes)
    first = reconciled(case.body, proven=False, now=now, resolution=case.resolution)
    body = applied(case.body, first)
    assert reconciled(body, proven=False, now=now, resolution=case.resolution).status is None


@pytest.mark.parametrize(
    ("proven", "resolution", "reviewers", "phase"),
    [
        pytest.param(*values, id=f"{values[0]}-{type(values[1]).__name__}-{values[2]}-{values[3]}")
        for values in itertools.product(
            (True, False), (None, NOT_YET, FOUND), ((), ("dave",), ("dave", "erin")), (None, "Pending")
        )
    ],
)
@pytest.mark.invariant(14)
def test_without_being_resolved_it_never_becomes_active(
    proven: bool, resolution: Resolution | None, reviewers: tuple[str, ...], phase: str | None
) -> None:
    body = by_hand(*reviewers, status={"phase": phase} if phase else None)
    outcome = reconciled(body, proven=proven, resolution=resolution)
    status: dict[str, Any] = applied(body, outcome).get("status") or {}
    assert status.get("phase") in {None, "Pending"}
    assert "approvedTime" not in status
    assert "counted" not in status


class TestItIsLookedUp:
    @pytest.mark.parametrize(
        ("body", "asked"),
        [
            pytest.param(by_hand(), True, id="when it is new"),
            pytest.param(by_hand(status={"phase": "Pending"}), True, id="while it is pending"),
            pytest.param(by_hand(status=IS_RESOLVED), False, id="not twice"),
            pytest.param(by_hand(revoked=True), False, id="not when it is withdrawn"),
            pytest.param(by_hand(status=active()), False, id="not when it is active"),
            *(
                pytest.param(by_hand(status={"phase": phase}), False, id=f"not when it is {phase}")
                for phase in sorted(TERMINAL_PHASES)
            ),
            pytest.param(by_hand(origin="Requested"), False, id="not when the decision point opened it"),
        ],
    )
    def test_and_only_then(self, body: Object, asked: bool) -> None:
        if body["spec"]["request"]["origin"] == "Requested":
            opened = changed(body, "spec.request.rules.0", RULE)
            opened = changed(opened, "spec.request.subject.uid", "agent-uid")
            body = changed(opened, "spec.request.display", [{"name": "resource.id", "value": "42"}])
        assert (unresolved_request(body) is not None) is asked

    def test_again_after_a_while(self) -> None:
        assert reconciled(by_hand(), resolution=NOT_YET).wake == NOW + timedelta(seconds=30)

    def test_but_not_beyond_its_time(self) -> None:
        late = PENDING_UNTIL - timedelta(seconds=10)
        assert reconciled(by_hand(), resolution=NOT_YET, now=late).wake == PENDING_UNTIL

    def test_no_more_once_it_is_found(self) -> None:
        assert reconciled(by_hand(), resolution=FOUND).wake == PENDING_UNTIL

    def test_and_asks_for_no_proof_while_it_is_not_found(self) -> None:
        body = by_hand("dave", status={"phase": "Pending"})
        assert not reconciled(body, proven=False, resolution=NOT_YET).needs_proof


def test_what_is_resolved_stays_as_it_is_though_other_things_are_found_later() -> None:
    body = by_hand("dave", status=IS_RESOLVED)
    other = ResolvedStatus({**RESOLVED, "subjectUID": "another"}, LIMITS)
    status = reconciled(body, resolution=other).status
    assert status is not None
    assert status["resolved"] == RESOLVED
    assert condition(status, "Ready")["message"] == f"can be used once until {at(minutes=10)}"
