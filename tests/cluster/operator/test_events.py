"""Kubernetes Events: each transition is told once, beside the object that it is about."""

import time
from collections import Counter

import pytest

from bailiwick_api.accounts import CANARY_GRANT, Installation
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import NewOperator, Operator
from localcluster.rest import Rest
from support.callers import Callers
from support.events import events_in
from support.installation import accepted
from support.objects import Object, later, policy, settings
from support.waits import until


def told(admin: Rest, body: Object) -> list[Object]:
    """Return the events about an object, oldest first."""
    found = events_in(admin, body["metadata"]["namespace"])
    about = [item for item in found if item["regarding"].get("uid") == body["metadata"]["uid"]]
    return sorted(about, key=lambda item: str(item["eventTime"]))


def reasons(admin: Rest, body: Object) -> list[str]:
    return [item["reason"] for item in told(admin, body)]


def await_told(admin: Rest, body: Object, *expected: str) -> list[Object]:
    """Wait until an object had these told of it, and no others."""
    try:
        until(lambda: reasons(admin, body) == [*expected], f"{body['metadata']['name']}: {expected}", 30)
    except TimeoutError as error:
        error.add_note(f"told: {reasons(admin, body)}")
        raise
    return told(admin, body)


class TestAGrant:
    @pytest.mark.long
    def test_tells_that_it_was_requested_and_approved_and_used_up_its_window(
        self, operator: Operator, grants: Grants
    ) -> None:
        body = grants.approved(windowSeconds=10)
        grants.await_phase(body, "Lapsed")
        requested, approved, lapsed = await_told(grants.admin, body, "Requested", "Approved", "Lapsed")
        assert {event["type"] for event in (requested, approved, lapsed)} == {"Normal"}
        assert [event["action"] for event in (requested, approved, lapsed)] == ["Request", "Approve", "Lapse"]
        assert "crm-agent.export.owner 0 of 1" in requested["note"]
        assert approved["reportingController"] == "bailiwick.dev/operator"
        assert approved["regarding"] == {
            "apiVersion": "bailiwick.dev/v1alpha1",
            "kind": "ApprovalGrant",
            "namespace": body["metadata"]["namespace"],
            "name": body["metadata"]["name"],
            "uid": body["metadata"]["uid"],
        }

    def test_that_is_denied_warns(self, operator: Operator, grants: Grants) -> None:
        body = grants.open()
        grants.await_phase(body, "Pending")
        accepted(grants.review(body, "erin", decision="Deny"))
        _, denied = await_told(grants.admin, body, "Requested", "Denied")
        assert (denied["type"], denied["note"]) == ("Warning", "denied by erin")

    def test_that_is_revoked_warns(self, operator: Operator, grants: Grants) -> None:
        body = grants.approved()
        accepted(grants.revoke(body))
        assert await_told(grants.admin, body, "Requested", "Approved", "Revoked")[-1]["type"] == "Warning"

    @pytest.mark.long
    def test_that_nobody_answers_tells_that_it_expired(self, operator: Operator, grants: Grants) -> None:
        body = grants.open(pendingUntilTime=later(seconds=6))
        await_told(grants.admin, body, "Requested", "Expired")


def test_a_policy_tells_what_became_of_it(operator: Operator, callers: Callers, namespace: str) -> None:
    body = accepted(callers.admin.create(policy(namespace, endpointSettings=settings())))
    await_told(callers.admin, body, "Compiled", "Enforced")
    accepted(callers.admin.patch(body, {"spec": {"suspend": True}}))
    assert await_told(callers.admin, body, "Compiled", "Enforced", "Suspended")[-1]["type"] == "Normal"


def test_a_policy_that_is_not_accepted_warns_once(operator: Operator, callers: Callers, namespace: str) -> None:
    broken = {"name": "read", "effect": "Allow", "subjects": ["agent"], "actions": ["a"]}
    rule = {**broken, "resources": [{"type": "t", "ids": ["*"]}], "conditions": [{"name": "c", "expression": "1 +"}]}
    body = accepted(callers.admin.create(policy(namespace, endpointSettings=settings(), rules=[rule])))
    (event,) = await_told(callers.admin, body, "InvalidPolicy")
    assert event["type"] == "Warning"


@pytest.mark.long
@pytest.mark.invariant(22)
def test_nothing_is_told_twice_when_the_operator_starts_anew_and_nothing_of_the_canary(
    operator: Operator, new_operator: NewOperator, grants: Grants, callers: Callers, installed: Installation
) -> None:
    body = grants.approved()
    other = accepted(callers.admin.create(policy(grants.namespace, endpointSettings=settings())))
    await_told(grants.admin, body, "Requested", "Approved")
    await_told(grants.admin, other, "Compiled", "Enforced")
    assert operator.stop() == 0
    with new_operator():
        time.sleep(2)
    assert Counter(reasons(grants.admin, body) + reasons(grants.admin, other)) == Counter(
        ["Requested", "Approved", "Compiled", "Enforced"]
    )
    at_home = events_in(grants.admin, installed.namespace)
    assert [item for item in at_home if item["regarding"].get("name") == CANARY_GRANT] == []
    operator.start().await_leading()
