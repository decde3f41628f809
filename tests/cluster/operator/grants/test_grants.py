"""The life of grants under a real operator and real guards."""

import time
from datetime import UTC, datetime

import pytest

from bailiwick_api.accounts import CANARY_GRANT, Installation
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import Operator
from support.callers import Callers
from support.installation import accepted
from support.objects import Object, later, use_record
from unit.operator.cases import condition


@pytest.mark.long
@pytest.mark.invariant(12)
def test_an_approved_grant_is_active_for_its_window_and_then_lapses(operator: Operator, grants: Grants) -> None:
    body = grants.approved(windowSeconds=10)
    status = body["status"]
    (counted,) = status["counted"]
    assert (counted["reviewer"], counted["time"]) == ("dave", status["approvedTime"])
    assert condition(status, "Ready")["status"] == "True"
    began, ends = (datetime.fromisoformat(status[name]) for name in ("approvedTime", "notAfterTime"))
    assert (ends - began).total_seconds() == 10
    lapsed = grants.await_phase(body, "Lapsed")
    # Not before its time, and not much later either. The operator goes by the latest time that the API server's clock
    # may show, which is up to a second ahead, since its answers have whole seconds.
    assert -1 < (datetime.now(UTC) - ends).total_seconds() < 5
    assert condition(lapsed["status"], "Lapsed")["status"] == "True"


def test_a_review_is_judged_at_once(operator: Operator, grants: Grants) -> None:
    body = grants.open()
    grants.await_phase(body, "Pending")
    began = time.monotonic()
    accepted(grants.review(body))
    grants.await_phase(body, "Active")
    assert time.monotonic() - began < 3  # not at the next interval


@pytest.mark.invariant(13)
def test_a_denial_is_final(operator: Operator, grants: Grants) -> None:
    body = grants.open(steps=[{"name": "crm-agent.export.owner", "policy": "crm-agent", "kind": "Human", "count": 2}])
    grants.await_phase(body, "Pending")
    accepted(grants.review(body, "dave"))
    accepted(grants.review(body, "erin", decision="Deny"))
    denied = grants.await_phase(body, "Denied")
    assert condition(denied["status"], "Denied")["message"] == "denied by erin"
    assert "no longer pending" in grants.review(body, "carol").message


@pytest.mark.invariant(13)
def test_a_revocation_before_approval_withdraws(operator: Operator, grants: Grants) -> None:
    body = grants.open()
    accepted(grants.revoke(body))
    assert condition(grants.await_phase(body, "Withdrawn")["status"], "Revoked")["message"] == "withdrawn by carol"


@pytest.mark.invariant(13)
def test_a_revocation_after_approval_revokes(operator: Operator, grants: Grants) -> None:
    body = grants.approved()
    accepted(grants.revoke(body))
    revoked = grants.await_phase(body, "Revoked")
    assert [entry["type"] for entry in revoked["status"]["conditions"]] == ["Approved", "Revoked", "Ready"]


@pytest.mark.long
@pytest.mark.invariant(12)
def test_a_request_that_nobody_answers_expires(operator: Operator, grants: Grants) -> None:
    body = grants.open(pendingUntilTime=later(seconds=6))
    grants.await_phase(body, "Pending")
    grants.await_phase(body, "Expired")


def test_a_grant_that_the_decision_point_used_up_is_consumed(
    operator: Operator, grants: Grants, callers: Callers, installed: Installation
) -> None:
    body = grants.approved(maxUses=2)
    for number in (1, 2):
        fresh = grants.read(body)
        records = [*fresh["status"].get("useRecords", []), use_record(str(number))]
        used = fresh | {"status": fresh["status"] | {"uses": number, "useRecords": records}}
        accepted(callers(installed.webhook).replace(used, "status"))
    consumed = grants.await_phase(body, "Consumed")
    # Our status and the decision point's live side by side.
    assert consumed["status"]["uses"] == 2
    assert len(consumed["status"]["useRecords"]) == 2


def test_a_status_carries_no_trace_of_the_framework(operator: Operator, grants: Grants) -> None:
    metadata = grants.approved()["metadata"]
    assert "annotations" not in metadata
    assert "finalizers" not in metadata
    ours = [entry for entry in metadata["managedFields"] if entry["manager"].startswith(("bailiwick-operator", "kopf"))]
    assert [(entry["manager"], entry["operation"], entry["subresource"]) for entry in ours] == [
        ("bailiwick-operator", "Apply", "status")
    ]


def test_the_canary_is_left_alone(operator: Operator, callers: Callers, installed: Installation) -> None:
    path = f"/apis/bailiwick.dev/v1alpha1/namespaces/{installed.namespace}/approvalgrants/{CANARY_GRANT}"
    found: Object = accepted(callers.admin.get(path))
    assert "status" not in found
