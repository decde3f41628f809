"""What holds of a grant's life whatever is stored, and in whatever order things happen."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_engine.revocations import PartyRevocation
from bailiwick_operator.reconcile import approvalgrant
from bailiwick_operator.reconcile.approvalgrant import GrantObservation
from bailiwick_operator.reconcile.resolution import OverLimit, Resolution, ResolvedStatus, UnresolvedReason
from support.objects import AGENT, Object, review, use_record
from support.revocations import FAR, in_force, revocation
from unit.operator.cases import INSTALLATION, LIMITS, NOW, RESOLVED, active, applied, by_hand, grant, reconciled

REVIEWERS = ("dave", "erin", "grace", "system:serviceaccount:crm:bot", "carol")

moments = st.integers(min_value=0, max_value=120).map(lambda minutes: NOW + timedelta(minutes=minutes))
reviews = st.dictionaries(st.sampled_from(REVIEWERS), st.sampled_from(["Approve", "Deny"]), max_size=4)


OPEN_PHASES = (None, "Pending", "Active")
PHASES = (*OPEN_PHASES, *sorted(TERMINAL_PHASES))


@st.composite
def statuses(draw: st.DrawFn, phases: Sequence[str | None] = PHASES) -> dict[str, Any] | None:
    phase = draw(st.sampled_from(phases))
    if phase is None:
        return None
    split = draw(st.dictionaries(st.sampled_from(REVIEWERS), st.sampled_from(["counted", "voided"])))
    status: dict[str, Any] = active() if phase == "Active" else {"phase": phase}
    for name in ("counted", "voided"):
        if chosen := [{"reviewer": who} for who, where in split.items() if where == name]:
            status[name] = chosen
    if phase == "Active" and draw(st.booleans()):
        status |= {"uses": 1, "useRecords": [use_record()]}
    return status


@st.composite
def grants(
    draw: st.DrawFn, written: Sequence[str] = ("opened", "scope"), phases: Sequence[str | None] = PHASES
) -> Object:
    how = draw(st.sampled_from(written))
    status = draw(statuses(phases))
    fields: dict[str, Any] = {"binding": {"mode": "Scope"}} if how == "scope" else {}
    if how == "by hand" and draw(st.booleans()):
        status = {"phase": "Pending", **(status or {}), "resolved": RESOLVED}
    body = (by_hand if how == "by hand" else grant)(
        status=status,
        revoked=draw(st.booleans()),
        maxUses=draw(st.integers(1, 2)),
        excludedReviewers=draw(st.lists(st.sampled_from(REVIEWERS), unique=True, max_size=2)),
        **fields,
    )
    body["spec"]["reviews"] = [review(body, who) | {"decision": decision} for who, decision in draw(reviews).items()]
    return body


written_by_hand = grants(["by hand"])
resolutions = st.sampled_from(
    [None, UnresolvedReason("nothing there"), OverLimit("too many"), ResolvedStatus(RESOLVED, LIMITS)]
)


def phase_of(body: Object) -> str | None:
    return (body.get("status") or {}).get("phase")


@given(grants(), st.booleans(), moments)
def test_a_second_pass_writes_nothing(body: Object, proven: bool, now: datetime) -> None:
    after = applied(body, reconciled(body, proven=proven, now=now))
    assert reconciled(after, proven=proven, now=now).status is None


@pytest.mark.invariant(13)
@given(grants(), st.lists(st.tuples(st.booleans(), moments), max_size=5))
def test_what_is_over_stays_over(body: Object, passes: list[tuple[bool, datetime]]) -> None:
    for proven, now in sorted(passes, key=lambda entry: entry[1]):
        before = phase_of(body)
        body = applied(body, reconciled(body, proven=proven, now=now))
        assert before not in TERMINAL_PHASES or phase_of(body) == before


@pytest.mark.invariant(27)
@given(grants(), moments)
def test_without_a_proof_nothing_is_counted_and_nothing_becomes_active(body: Object, now: datetime) -> None:
    after = applied(body, reconciled(body, proven=False, now=now))
    status = body.get("status") or {}
    assert (after.get("status") or {}).get("counted") == status.get("counted")
    assert phase_of(after) != "Active" or phase_of(body) == "Active"
    assert phase_of(after) is not None or phase_of(body) is None


@pytest.mark.invariant(13)
@given(grants(), moments)
def test_an_eligible_denial_that_is_not_void_never_leaves_it_usable(body: Object, now: datetime) -> None:
    barred = {*body["spec"]["request"]["excludedReviewers"], "system:serviceaccount:crm:bot"}
    void = {entry["reviewer"] for entry in (body.get("status") or {}).get("voided") or ()}
    denials = [
        entry
        for entry in body["spec"]["reviews"]
        if entry["decision"] == "Deny" and entry["reviewer"] not in barred | void
    ]
    after = applied(body, reconciled(body, proven=True, now=now))
    # The requester of these grants is a service account, so nobody else is barred.
    assert not denials or phase_of(after) in TERMINAL_PHASES


@pytest.mark.invariant(13)
@given(grants(), st.booleans(), moments)
def test_a_revocation_never_leaves_it_usable(body: Object, proven: bool, now: datetime) -> None:
    after = applied(body, reconciled(body, proven=proven, now=now))
    assert "revocation" not in body["spec"] or phase_of(after) in TERMINAL_PHASES


@given(grants(), st.booleans(), moments)
def test_counted_and_void_only_grow_and_never_meet(body: Object, proven: bool, now: datetime) -> None:
    def names(of: Object, field: str) -> set[str]:
        return {entry["reviewer"] for entry in (of.get("status") or {}).get(field) or ()}

    after = applied(body, reconciled(body, proven=proven, now=now))
    assert names(after, "counted") >= names(body, "counted")
    assert names(after, "voided") == names(body, "voided")
    assert names(after, "counted").isdisjoint(names(after, "voided"))


@given(grants(), st.booleans(), moments)
def test_an_active_grant_has_its_times_and_they_never_move(body: Object, proven: bool, now: datetime) -> None:
    before = body.get("status") or {}
    after = applied(body, reconciled(body, proven=proven, now=now)).get("status") or {}
    for name in ("approvedTime", "notAfterTime"):
        assert name not in before or after[name] == before[name]
        assert after.get("phase") != "Active" or name in after


@given(grants(), st.booleans(), moments)
def test_a_grant_that_is_not_over_wakes_by_time(body: Object, proven: bool, now: datetime) -> None:
    outcome = reconciled(body, proven=proven, now=now)
    over = phase_of(applied(body, outcome)) in TERMINAL_PHASES
    assert over == (outcome.wake is None)


@pytest.mark.invariant(14)
@given(written_by_hand, st.lists(st.tuples(st.booleans(), resolutions, moments), max_size=5))
def test_one_by_hand_becomes_active_only_once_it_is_resolved_and_stays_what_it_was_resolved_to(
    body: Object, passes: list[tuple[bool, Resolution | None, datetime]]
) -> None:
    for proven, resolution, now in sorted(passes, key=lambda entry: entry[2]):
        before = body.get("status") or {}
        body = applied(body, reconciled(body, proven=proven, now=now, resolution=resolution))
        after = body.get("status") or {}
        assert "resolved" not in before or after["resolved"] == before["resolved"]
        assert after.get("phase") != "Active" or before.get("phase") == "Active" or "resolved" in before
        # What was there before it was resolved never counts.
        assert "resolved" in before or (after.get("counted") or []) == (before.get("counted") or [])


@given(written_by_hand, st.booleans(), resolutions, moments)
def test_a_second_pass_writes_nothing_about_one_by_hand_either(
    body: Object, proven: bool, resolution: Resolution | None, now: datetime
) -> None:
    body = applied(body, reconciled(body, proven=proven, now=now, resolution=resolution))
    # The write is news, and what it brought can be judged next: reviews count once it is resolved.
    body = applied(body, reconciled(body, proven=proven, now=now, resolution=resolution))
    assert reconciled(body, proven=proven, now=now, resolution=resolution).status is None


held_back = st.lists(
    st.builds(
        revocation,
        st.sampled_from(["r-one", "r-two"]),
        before=st.sampled_from([0.0, FAR]),
        hold=st.booleans(),
        username=st.sampled_from([AGENT, *REVIEWERS]),
    ),
    max_size=2,
)


@pytest.mark.invariant(13)
@pytest.mark.invariant(32)
@given(grants(["opened", "scope", "by hand"], OPEN_PHASES), held_back, moments)
def test_a_revocation_has_no_work_left_once_a_grant_was_judged_under_it(
    body: Object, held: list[PartyRevocation], now: datetime
) -> None:
    index = in_force(*held)
    observed = GrantObservation(True, INSTALLATION.is_person, revocations=index)
    after = applied(body, approvalgrant.reconcile(body, observed, now))
    assert next(approvalgrant.unfinished_revocations(after, index, now), None) is None
    # From then on it is as if the object were still there.
    alone = applied(after, reconciled(after, now=now))
    under = applied(after, approvalgrant.reconcile(after, observed, now))
    assert phase_of(alone) == phase_of(under) == phase_of(after)


@pytest.mark.invariant(13)
@pytest.mark.invariant(32)
@given(grants(["opened", "scope", "by hand"], OPEN_PHASES), held_back, moments)
def test_a_revocation_that_makes_a_difference_to_a_grant_that_can_be_used_has_work_left(
    body: Object, held: list[PartyRevocation], now: datetime
) -> None:
    index = in_force(*held)
    alone, under = (
        applied(
            body, approvalgrant.reconcile(body, GrantObservation(True, INSTALLATION.is_person, revocations=of), now)
        )
        for of in (in_force(), index)
    )
    if alone != under and phase_of(alone) not in TERMINAL_PHASES:
        assert next(approvalgrant.unfinished_revocations(body, index, now), None) is not None
