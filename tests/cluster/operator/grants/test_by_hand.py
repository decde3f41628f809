"""Grants that people write by hand: resolved first, then reviewed, then active."""

import pytest

from cluster.operator.grants.grants import Grants
from cluster.operator.grants.handwritten import HandWritten
from cluster.operator.operatorprocess import Operator
from support.callers import Callers
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object
from unit.operator.cases import condition

pytestmark = pytest.mark.long


@pytest.fixture
def hand(grants: Grants, callers: Callers, roles: Roles) -> HandWritten:
    return HandWritten(grants, callers, roles)


def test_one_that_names_what_there_is_is_resolved_reviewed_and_active(
    operator: Operator, hand: HandWritten, grants: Grants
) -> None:
    account, policy = hand.make_account(), hand.make_policy()
    body = hand.write()
    resolved = hand.await_resolved(body)["status"]["resolved"]
    assert resolved["subjectUID"] == account["metadata"]["uid"]
    (rule,) = resolved["rules"]
    assert (rule["policy"], rule["rule"], rule["uid"]) == ("crm-agent", "export", policy["metadata"]["uid"])
    assert rule["ruleDigest"].startswith("v2:")
    accepted(hand.review(body))
    active = grants.await_phase(body, "Active")
    assert [entry["reviewer"] for entry in active["status"]["counted"]] == ["dave"]
    assert active["status"]["resolved"] == resolved


@pytest.mark.invariant(14)
def test_one_that_nothing_stands_behind_waits_and_takes_no_review(operator: Operator, hand: HandWritten) -> None:
    hand.make_account()
    body = hand.write()
    ready = hand.await_reason(body, "Unresolved")
    assert ready["status"] == "False"
    assert "EndpointPolicy crm-agent does not exist" in ready["message"]
    assert "not yet resolved" in hand.review(body).message


def test_one_that_waits_is_looked_at_again_when_its_policy_comes(operator: Operator, hand: HandWritten) -> None:
    hand.make_account()
    body = hand.write()
    hand.await_reason(body, "Unresolved")
    policy = hand.make_policy(actions=["customers.list"])
    hand.await_reason(body, "Unresolved", "action customers.export")
    # The retry would take half a minute.
    accepted(hand.admin.patch(policy, _with_action(policy, "customers.export")))
    hand.await_resolved(body, 5)


@pytest.mark.invariant(14)
def test_one_stays_what_it_was_resolved_to_though_its_account_is_made_anew(
    operator: Operator, hand: HandWritten, grants: Grants
) -> None:
    account = hand.make_account()
    hand.make_policy()
    body = hand.write()
    hand.await_resolved(body)
    accepted(hand.admin.delete(account))
    assert hand.make_account()["metadata"]["uid"] != account["metadata"]["uid"]
    accepted(hand.review(body))
    active = grants.await_phase(body, "Active")
    assert active["status"]["resolved"]["subjectUID"] == account["metadata"]["uid"]


def test_one_without_its_account_says_so_and_is_resolved_in_time(operator: Operator, hand: HandWritten) -> None:
    hand.make_policy()
    body = hand.write()
    assert hand.agent in hand.await_reason(body, "Unresolved")["message"]
    hand.make_account()
    hand.await_resolved(body, 45)


def test_a_scope_that_the_decision_point_opens_needs_no_resolving(operator: Operator, grants: Grants) -> None:
    uid = "0c5b2d5c-6a53-4f51-9f3e-3c1f3d3c1a77"
    subject = {"type": "serviceAccount", "id": "system:serviceaccount:agents:crm-agent", "uid": uid}
    active = grants.approved(binding={"mode": "Scope"}, subject=subject)
    assert "resolved" not in active["status"]
    assert condition(active["status"], "Ready")["status"] == "True"


def _with_action(policy: Object, action: str) -> Object:
    (rule,) = policy["spec"]["rules"]
    return {"spec": {"rules": [rule | {"actions": [action]}]}}
