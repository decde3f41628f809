"""Which moments of a grant are told: by the grant as it stands, with the same ids whoever looks."""

from datetime import UTC, datetime, timedelta

import pytest

from bailiwick_api.times import stamp
from bailiwick_notifications.grantevents import grant_events
from support.objects import Object, opened_grant, review

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
BORN = NOW - timedelta(minutes=10)


def grant(phase: str | None) -> Object:
    """Return a grant that was opened ten minutes ago and waits for an hour in all."""
    body = opened_grant("crm", pendingUntilTime=stamp(BORN + timedelta(minutes=60)))
    body["metadata"] |= {"uid": "uid-1", "creationTimestamp": stamp(BORN)}
    since = {"lastTransitionTime": stamp(BORN + timedelta(seconds=1))}
    conditions = [{"type": "Ready", "reason": "AwaitingReviews", **since}]
    body["status"] = {"phase": phase, "conditions": conditions} if phase is not None else {}
    return body


def told(body: Object, now: datetime = NOW, lead: timedelta | None = None) -> list[str]:
    return [one.notification.id for one in grant_events(body, now, lead).due]


def test_one_that_waits_is_told_of_since_it_waits() -> None:
    (due,) = grant_events(grant("Pending"), NOW).due
    assert due.notification.id == "uid-1.pending"
    assert due.since == BORN + timedelta(seconds=1)
    assert due.notification.grant is not None
    assert due.notification.grant.until == BORN + timedelta(minutes=60)


@pytest.mark.parametrize(
    ("seconds", "lead", "expected"),
    [
        (47 * 60, None, ["uid-1.pending"]),
        (48 * 60, None, ["uid-1.pending", "uid-1.ending"]),
        (54 * 60 + 59, timedelta(minutes=5), ["uid-1.pending"]),
        (55 * 60, timedelta(minutes=5), ["uid-1.pending", "uid-1.ending"]),
        (60 * 60 - 1, None, ["uid-1.pending", "uid-1.ending"]),
        (60 * 60, None, []),
        (1, timedelta(hours=1), ["uid-1.pending"]),
    ],
    ids=["before the last fifth", "the last fifth", "before the lead", "the lead", "at last", "over", "a long lead"],
)
def test_one_is_about_to_end_once_a_share_of_its_time_is_left_or_the_lead(
    seconds: float, lead: timedelta | None, expected: list[str]
) -> None:
    assert told(grant("Pending"), BORN + timedelta(seconds=seconds), lead) == expected


def test_says_when_it_is_to_be_looked_at_again_and_is_due_then() -> None:
    body = grant("Pending")
    again = grant_events(body, NOW).next
    assert again == BORN + timedelta(minutes=48)
    assert told(body, again) == ["uid-1.pending", "uid-1.ending"]
    assert grant_events(body, again).next is None


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("Active", ["uid-1.approved"]),
        ("Consumed", ["uid-1.approved"]),
        ("Lapsed", ["uid-1.approved"]),
        ("Revoked", ["uid-1.approved", "uid-1.revoked"]),
        ("Denied", ["uid-1.denied"]),
        ("Expired", []),
        ("Withdrawn", []),
        (None, []),
    ],
)
def test_what_was_decided_is_told(phase: str | None, expected: list[str]) -> None:
    body = grant(phase)
    if "uid-1.approved" in expected:
        body["status"] |= {"approvedTime": stamp(NOW), "notAfterTime": stamp(NOW + timedelta(minutes=5))}
    assert told(body) == expected


def test_who_decided_is_told_and_why_is_not() -> None:
    body = grant("Denied")
    body["spec"]["reviews"] = [
        review(body, "dave", reason="it smells"),
        review(body, "erin", decision="Deny", reason="it smells"),
    ]
    (due,) = grant_events(body, NOW).due
    assert due.notification.grant is not None
    assert due.notification.grant.reviewers == ("erin",)
    assert "smells" not in repr(due)


def test_one_that_nobody_can_review_yet_waits_for_nobody() -> None:
    body = grant("Pending")
    body["status"]["conditions"][0]["reason"] = "Unresolved"
    assert told(body) == []


def test_one_that_was_written_by_hand_is_told_of_without_a_time() -> None:
    body = grant("Pending")
    body["spec"]["request"]["origin"] = "PreApproved"
    assert [one.since for one in grant_events(body, NOW).due] == [None]


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"metadata": {"uid": "u"}, "status": {"phase": "Pending"}},
        {"metadata": {}, "spec": {"request": None}, "status": {"phase": "Active", "approvedTime": stamp(NOW)}},
        {"metadata": {}, "spec": [], "status": {"phase": "Denied"}},
    ],
    ids=["nothing", "no request", "an empty request", "a list"],
)
def test_what_cannot_be_read_is_told_by_nobody(broken: Object) -> None:
    assert grant_events(broken, NOW).due == ()


def test_one_that_is_being_deleted_is_not_told_of() -> None:
    body = grant("Pending")
    body["metadata"]["deletionTimestamp"] = stamp(NOW)
    assert told(body) == []
