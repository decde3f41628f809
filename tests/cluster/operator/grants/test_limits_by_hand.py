"""The limits of a rule hold for grants that people write by hand: on a real operator and the real API server."""

from typing import Final

import pytest

from cluster.operator.grants.grants import Grants
from cluster.operator.grants.handwritten import APPROVAL, HandWritten
from cluster.operator.operatorprocess import Operator
from support.callers import Callers
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object
from unit.operator.cases import condition

pytestmark = [pytest.mark.long, pytest.mark.invariant(19)]

LIMITS: Final = {"pendingPerSubject": 1, "requestsPerHour": 2, "denyCooldownSeconds": 3600}
OTHERS: Final = 29


@pytest.fixture
def hand(grants: Grants, callers: Callers, roles: Roles) -> HandWritten:
    hand = HandWritten(grants, callers, roles)
    hand.make_account()
    hand.make_policy(
        approval={**APPROVAL, "limits": LIMITS},
        resources=[{"type": "customer", "ids": ["*"], "properties": {"tier": ["gold", "silver"]}}],
    )
    return hand


def why(grants: Grants, body: Object) -> str:
    """Wait until a grant is withdrawn, and return what its author is told."""
    withdrawn = grants.await_phase(body, "Withdrawn")["status"]
    assert condition(withdrawn, "Ready")["reason"] == "OverLimit"
    assert "resolved" not in withdrawn
    return str(condition(withdrawn, "Ready")["message"])


def test_one_that_was_denied_is_not_written_again_and_approved(
    operator: Operator, hand: HandWritten, grants: Grants
) -> None:
    first = hand.write("first")
    hand.await_resolved(first)
    accepted(hand.review(first, decision="Deny"))
    grants.await_phase(first, "Denied")
    again = hand.write("again")
    assert "grant first for such a call was denied" in why(grants, again)
    assert not hand.review(again).ok
    # What no rule reads makes no other call of it, nor does a wider scope.
    assert "was denied" in why(grants, hand.write("purpose", intent="audit"))
    wider = hand.write("wider", resource={"type": "customer", "id": "*", "properties": {"colour": "blue"}})
    assert "was denied" in why(grants, wider)
    hand.await_resolved(hand.write("another", resource={"type": "customer", "id": "43"}))


def test_of_thirty_equal_ones_one_waits_for_reviews(operator: Operator, hand: HandWritten, grants: Grants) -> None:
    first = hand.write("first")
    hand.await_resolved(first)
    others = [hand.write(f"equal-{number}") for number in range(OTHERS)]
    assert all("first already waits for reviews" in why(grants, body) for body in others)
    accepted(hand.review(first))
    grants.await_phase(first, "Active")


def test_those_of_one_subject_that_come_at_once_are_counted_together(
    operator: Operator, hand: HandWritten, grants: Grants
) -> None:
    written = [hand.write(f"wanted-{number}", resource={"type": "customer", "id": f"{number}"}) for number in range(6)]
    for body in written:
        grants.admin.wait(body, lambda answer: _judged(answer.body), 20)
    read = [grants.read(body)["status"] for body in written]
    assert sum("resolved" in status for status in read) == 1
    assert sum(status["phase"] == "Withdrawn" for status in read) == 5


def test_more_in_an_hour_than_the_rule_allows_are_withdrawn(
    operator: Operator, hand: HandWritten, grants: Grants
) -> None:
    for number in range(2):
        body = hand.write(f"used-{number}", resource={"type": "customer", "id": f"{number}"})
        hand.await_resolved(body)
        accepted(hand.review(body))
        grants.await_phase(body, "Active")
    third = hand.write("third", resource={"type": "customer", "id": "3"})
    assert "the limit is 2" in why(grants, third)


def _judged(body: Object) -> bool:
    status = body.get("status") or {}
    return "resolved" in status or status.get("phase") == "Withdrawn"
