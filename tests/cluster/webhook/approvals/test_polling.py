"""Reading a task: what an enforcer learns of its request, and who learns nothing (AuthZEN ARAP, poll)."""

from typing import Final

import pytest

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from support import faultkinds
from support.faultproxy import FaultProxy
from support.objects import later
from support.pdp import questions
from support.pdp.tenant import Tenant, Tenants
from support.waits import until

pytestmark = pytest.mark.long

GRANT: Final = r"/approvalgrants/agr-[^/?]*$"


@pytest.fixture(scope="module")
def tenant(both: Tenants) -> Tenant:
    return both.make("polling")


def test_a_pending_task_says_whom_it_waits_for(tenant: Tenant) -> None:
    opened = tenant.submit("customers.export", "pending")
    assert (opened.status, opened.headers["Retry-After"]) == (202, "5")
    answer = tenant.poll(opened.task["id"], point=1)
    assert (answer.status, answer.task["id"], answer.task["status"]) == (200, opened.task["id"], "pending")
    assert tenant.poll(opened.task["id"]).task == opened.task
    assert answer.task["progress"] == {
        "total_steps": 1,
        "awaiting": [{"step": "crm-agent.export.owner", "kind": "Human", "groups": ["crm-owners"]}],
    }
    assert answer.headers["Retry-After"] == "5"


def test_an_approved_task_says_until_when_and_stays_approved_when_it_is_used_up_or_revoked(tenant: Tenant) -> None:
    opened = tenant.submit("customers.notify", "approved")
    name, task = opened.grant_name, opened.task["id"]
    tenant.approve(name)
    status = tenant.grant(name)["status"]
    answer = tenant.poll(task)
    assert answer.task["status"] == "approved"
    result = answer.task["result"]
    assert result["approval"].pop("state").count(".") == 2
    assert result == {
        "mode": "reevaluate",
        "approval": {"id": task, "approved_at": status["approvedTime"], "approved_until": status["notAfterTime"]},
    }
    tenant.revoke(name)
    until(lambda: tenant.phase(name) == "Revoked", "the grant is revoked")
    assert tenant.poll(task).task["status"] == "approved"
    assert tenant.ask("customers.notify", "approved").decision is False


def test_a_denied_task_is_denied(tenant: Tenant) -> None:
    opened = tenant.submit("customers.export", "denied")
    assert tenant.review(opened.grant_name, decision="Deny").ok
    until(lambda: tenant.poll(opened.task["id"]).task["status"] == "denied", "the task is denied")
    assert "result" not in tenant.poll(opened.task["id"]).task


def test_a_request_that_was_withdrawn_is_cancelled_at_once(tenant: Tenant) -> None:
    opened = tenant.submit("customers.export", "withdrawn")
    tenant.revoke(opened.grant_name)
    answers = {tenant.poll(opened.task["id"], point).task["status"] for point in (0, 1)}
    assert answers == {"cancelled"}


@pytest.mark.parametrize(
    ("path", "value", "status"),
    [
        ("spec.request.pendingUntilTime", later(minutes=-1), "expired"),
        ("status", {"phase": "Expired"}, "expired"),
        ("status", {"phase": "Withdrawn"}, "cancelled"),
        ("metadata.deletionTimestamp", later(), "cancelled"),
        ("status", {"phase": "Lapsed"}, "approved"),
        ("status", {"phase": "Consumed"}, "approved"),
    ],
    ids=["over", "expired", "withdrawn", "going", "lapsed", "consumed"],
)
def test_every_phase_has_a_status(tenant: Tenant, faults: FaultProxy, path: str, value: object, status: str) -> None:
    opened = tenant.submit("customers.export", "phases")
    faults.on("GET", GRANT, faultkinds.altered({path: value}))
    answer = tenant.poll(opened.task["id"])
    assert (answer.status, answer.task["status"]) == (200, status)


@pytest.mark.invariant(4)
def test_a_task_of_another_endpoint_another_object_or_nothing_is_unknown_in_the_same_words(
    tenant: Tenant, both: Tenants
) -> None:
    task = tenant.submit("customers.export", "unknown").task["id"]
    other = both.make("polling-other")
    name, _, uid = task.partition(".")
    answers = [
        questions.get(other.url(f"requests/{task}"), other.pep),
        questions.get(tenant.url(f"requests/{task}", endpoint="other-api"), tenant.pep),
        *(
            tenant.poll(wrong)
            for wrong in (
                name,
                f"{name}.",
                f"{name}.another",
                f"{name}.{uid}.",
                f"agr-nothing.{uid}",
                f"wanted.{uid}",
                "agr-.",
                "agr-%2e%2e%2f.x",
                "%00",
                "x" * 2000,
            )
        ),
    ]
    assert {answer.status for answer in answers} == {404}
    assert len({answer.raw for answer in answers}) == 1
    assert answers[0].body["type"] == "urn:openid:authzen:access-request:error:unknown_task"


@pytest.mark.invariant(4)
@pytest.mark.parametrize("who", ["stranger", "agent"])
def test_who_is_no_enforcer_reads_no_task(tenant: Tenant, who: str) -> None:
    task = tenant.submit("customers.export", "private").task["id"]
    assert tenant.poll(task, token=tenant.token(who, ENFORCER_AUDIENCE)).status == 404


@pytest.mark.invariant(4)
def test_a_task_is_read_with_a_token_only(tenant: Tenant) -> None:
    task = tenant.submit("customers.export", "tokenless").task["id"]
    assert questions.get(tenant.url(f"requests/{task}"), None).status == 401


@pytest.mark.parametrize("code", [401, 429, 500])
def test_an_api_server_that_cannot_makes_a_task_unavailable(tenant: Tenant, faults: FaultProxy, code: int) -> None:
    task = tenant.submit("customers.export", "unavailable").task["id"]
    faults.on("GET", GRANT, faultkinds.status(code))
    answer = tenant.poll(task)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert tenant.poll(task).status == 200
