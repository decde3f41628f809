"""The timeline of a grant: what the object says happened, in order, and no time that it does not say."""

from bailiwick_console.grants.timeline import grant_events
from bailiwick_governance.grants.grantview import GrantView
from unit.governance.cases import NOW, at, review, stored, view


def told(grant: GrantView) -> list[tuple[str, str]]:
    return [(one.time, "".join(piece for piece, _ in one.what)) for one in grant_events(grant)]


def test_a_grant_that_was_used_and_revoked_tells_all_of_it() -> None:
    uses = [{"key": "2", "time": at(40), "evaluationID": "two"}, {"key": "1", "time": at(30), "evaluationID": "one"}]
    status = {
        "phase": "Active",
        "approvedTime": at(20),
        "notAfterTime": at(600),
        "uses": 2,
        "useRecords": uses,
        "counted": [{"reviewer": "carol", "time": at(10)}, {"reviewer": "old"}],
        "voided": [{"reviewer": "mallory"}],
    }
    reviews = [review("carol"), review("old"), review("mallory")]
    raw = stored(*reviews, status=status, revocation={"by": "dave"}, maxUses=5)
    assert told(GrantView(raw, NOW + 60)) == [
        (at(-60), "Requested by system:serviceaccount:crm:crm-api"),
        (at(10), "Approved by carol, step crm-agent.export.owner"),
        ("", "Approved by old, step crm-agent.export.owner"),
        ("", "Approved by mallory, step crm-agent.export.owner (void: not counted)"),
        (at(20), "Every step was met"),
        (at(30), "Used by the call one"),
        (at(40), "Used by the call two"),
        ("", "Revoked by dave"),
    ]


def test_an_end_by_time_is_told_once_it_is_there_and_not_before() -> None:
    assert told(view())[1:] == []
    assert told(view(now=NOW + 7_200))[1:] == [(at(3_540), "Expired without enough approvals")]
    status = {"phase": "Active", "approvedTime": at(0), "notAfterTime": at(600), "uses": 0}
    assert told(view(status=status, now=NOW + 700))[-1] == (at(600), "The time to use it is over")


def test_a_denial_and_a_withdrawal_are_told_without_a_time_that_nobody_recorded() -> None:
    assert told(view(review("carol", decision="Deny")))[1] == ("", "Denied by carol, step crm-agent.export.owner")
    assert told(view(revocation={"by": "crm"}))[-1] == ("", "Withdrawn by crm")
