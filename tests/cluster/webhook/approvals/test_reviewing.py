"""Whoever is asked for, or enforces, never approves: not at the review, and not when the reviews are counted again."""

import json
from datetime import UTC, datetime
from typing import Final

import pytest

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from demo.stack import DecisionPoint
from localcluster.rest import Answer
from support import faultkinds
from support.faultproxy import FaultProxy
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object, adding_review, gated_rule
from support.pdp import questions
from support.pdp.tenant import RULES, Tenant, Tenants
from support.waits import until

GRANT: Final = r"/approvalgrants/agr-[^/?]*$"
STEPS: Final = [{"name": "robot", "kind": "System", "count": 1}]


@pytest.fixture(scope="module")
def tenant(both: Tenants) -> Tenant:
    """A tenant whose exports a service account approves; everybody there holds the verb."""
    tenant = both.make("reviewing", [RULES[0], gated_rule("export", approval={"steps": STEPS})])
    for name in ("robot", "second"):
        both.account(tenant.namespace, name)
    enforcers = [{"namespace": tenant.namespace, "name": name} for name in ("api", "second")]
    tenant.change_policy({"endpointSettings": {"enforcers": enforcers}})
    everybody = [tenant.account(name) for name in ("robot", "second", "api", "agent")]
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-approve", *everybody)
    return tenant


@pytest.mark.invariant(20)
def test_a_service_account_that_has_no_part_in_the_call_approves_it(tenant: Tenant) -> None:
    name = _approved_by(tenant, "robot", "robot")
    assert tenant.ask("customers.export", "robot").decision is True
    assert tenant.uses(name) == 1


def test_the_record_of_a_use_tells_who_let_the_call_through_when_and_why(tenant: Tenant, behind: DecisionPoint) -> None:
    name = _approved_by(tenant, "robot", "recorded", reason="ticket 7")
    answer = tenant.ask("customers.export", "recorded")
    assert answer.decision is True
    (counted,) = tenant.grant(name)["status"]["counted"]
    written = [json.loads(line) for line in behind.records.read_bytes().splitlines()]
    (record,) = (one for one in written if one.get("evaluation_id") == answer.context["evaluation_id"])
    assert record["grant"]["reviews"] == [
        {
            "reviewer": tenant.account("robot"),
            "step": "crm-agent.export.robot",
            "group": None,
            "time": counted["time"],
            "reason": "ticket 7",
        }
    ]
    made = datetime.fromisoformat(tenant.grant(name)["metadata"]["creationTimestamp"])
    assert made <= datetime.fromisoformat(counted["time"]) <= datetime.now(UTC)


@pytest.mark.invariant(1)
@pytest.mark.parametrize("who", ["agent", "api"])
def test_subject_and_enforcer_are_refused_as_reviewers(tenant: Tenant, who: str) -> None:
    name = tenant.opened("customers.export", f"self-{who}")
    answer = _review(tenant, name, who)
    assert not answer.ok
    assert "you cannot review your own request" in answer.message


@pytest.mark.invariant(1, 27)
@pytest.mark.parametrize("who", ["agent", "api"])
def test_a_review_of_subject_or_enforcer_that_got_in_all_the_same_is_not_counted(
    tenant: Tenant, faults: FaultProxy, who: str
) -> None:
    name = _approved_by(tenant, "robot", f"got-in-{who}")
    entry = {**tenant.grant(name)["spec"]["reviews"][0], "reviewer": tenant.account(who)}
    counted = [{"reviewer": tenant.account(who)}]
    # As if the request had not even named whom it bars.
    live = {"spec.reviews": [entry], "status.counted": counted, "spec.request.excludedReviewers": []}
    fault = faults.on("GET", GRANT, faultkinds.altered(live))
    answer = tenant.ask("customers.export", f"got-in-{who}")
    assert (answer.decision, answer.reason, fault.seen) == (False, "approval_unverifiable", 1)
    assert tenant.uses(name) == 0


@pytest.mark.invariant(1, 27)
def test_an_enforcer_that_joins_later_does_not_use_what_it_approved_itself(tenant: Tenant) -> None:
    name = _approved_by(tenant, "second", "joined")
    body = tenant.body("customers.export", "joined")
    token = tenant.token("second", ENFORCER_AUDIENCE)
    for point in range(2):
        answer = questions.post(tenant.url(point=point), body, token)
        assert (answer.decision, answer.reason) == (False, "approval_unverifiable")
    assert tenant.uses(name) == 0
    assert tenant.ask("customers.export", "joined").decision is True


@pytest.mark.invariant(2)
def test_a_person_does_not_fill_the_step_of_a_system(tenant: Tenant) -> None:
    name = tenant.opened("customers.export", "person")
    answer = tenant.review(name)
    assert "only a service account can review a System step" in answer.message


def _review(tenant: Tenant, name: str, who: str, **fields: object) -> Answer:
    stored = tenant.grant(name)
    return tenant.callers(tenant.account(who)).patch(
        stored, adding_review({**_entry(tenant, stored, who), **fields}), "json"
    )


def _entry(tenant: Tenant, stored: Object, who: str) -> Object:
    request = stored["spec"]["request"]
    return {
        "reviewer": tenant.account(who),
        "step": request["steps"][0]["name"],
        "decision": "Approve",
        "binding": request["binding"]["digest"],
    }


def _approved_by(tenant: Tenant, who: str, resource: str, **fields: object) -> str:
    name = tenant.opened("customers.export", resource)
    accepted(_review(tenant, name, who, **fields))
    until(lambda: tenant.phase(name) == "Active", f"{name} is active")
    tenant.await_known(lambda said: said.decision is True, "customers.export", resource)
    return name
