"""The shapes of what we answer and record: names and types, on which clients and log readers rely.

A change here is a change of the contract. Values that differ from call to call are only typed.
"""

import json
from typing import Any, Final

import pytest

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from support.pdp import questions
from support.pdp.processes import Bailiwick, readiness
from support.pdp.tenant import Tenant

pytestmark = pytest.mark.cluster

SNAPSHOT: Final = {"revision": "str", "age_seconds": "float"}
POLICY: Final = {
    "namespace": "str",
    "name": "crm-agent",
    "uid": "str",
    "generation": 1,
    "digest": "str",
}
ALWAYS: Final = {"evaluation_id": "str", "evaluated_at": "str", "snapshot": SNAPSHOT}
OCSF: Final = {
    "class_uid": 6003,
    "category_uid": 6,
    "activity_id": 99,
    "activity_name": "evaluation",
    "type_uid": 600399,
    "severity_id": 1,
    "metadata": {"version": "str", "profiles": ["security_control"], "product": {"name": "Bailiwick"}},
}
STEP: Final = {
    "name": "crm-agent.export.owner",
    "policy": "crm-agent",
    "kind": "Human",
    "groups": ["crm-owners"],
    "count": 1,
}
REVIEW: Final = {
    "reviewer": "carol",
    "step": "crm-agent.export.owner",
    "group": "crm-owners",
    "time": "str",
    "reason": None,
}
APPROVAL: Final = {"id": "str", "approved_until": "str", "uses": 1}


def shape(value: Any, told: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return what `value` looks like where `told` only names a type, and `value` itself elsewhere."""
    if isinstance(value, dict):
        return {key: shape(member, told.get(key) if isinstance(told, dict) else None) for key, member in value.items()}
    if isinstance(value, list) and isinstance(told, list) and len(told) == len(value):
        return [shape(member, expected) for member, expected in zip(value, told, strict=True)]
    return type(value).__name__ if told in {"str", "int", "float", "bool"} else value


def denial(reason: str, action: str, **more: object) -> dict[str, Any]:
    return {
        "decision": False,
        "context": {
            **ALWAYS,
            "reason": reason,
            "reason_user": {"403": "str"},
            "reason_admin": {"403": "str"},
            "next_action": action,
            **more,
        },
    }


def test_an_allow(tenant: Tenant) -> None:
    told = {"decision": True, "context": {**ALWAYS, "reason": "allowed", "policy": {**POLICY, "rule": "read"}}}
    answer = tenant.ask("customers.list")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert shape(answer.body, told) == told


def test_an_allow_by_an_approval(tenant: Tenant) -> None:
    tenant.approved("customers.export", "golden")
    policy = {**POLICY, "rule": "export"}
    told = {"decision": True, "context": {**ALWAYS, "reason": "allowed", "policy": policy, "approval": APPROVAL}}
    assert shape(tenant.ask("customers.export", "golden").body, told) == told


def test_a_dry_run(tenant: Tenant) -> None:
    policy = {**POLICY, "rule": "read"}
    told = {"decision": True, "context": {**ALWAYS, "reason": "allowed", "policy": policy, "dry_run": True}}
    assert shape(tenant.ask_itself("customers.list").body, told) == told


def test_a_denial_by_nobody(tenant: Tenant) -> None:
    told = denial("no_rule", "none")
    assert shape(tenant.ask("customers.unheard").body, told) == told


def test_a_denial_by_a_rule(tenant: Tenant) -> None:
    told = denial("policy_denied", "none", policy={**POLICY, "rule": "never"})
    assert shape(tenant.ask("customers.purge").body, told) == told


def test_a_denial_that_an_approval_would_lift(tenant: Tenant) -> None:
    request = {
        "endpoint": tenant.url("requests"),
        "template": f"{tenant.namespace}/crm-agent/export",
        "expires_at": "str",
        "binding_token": "str",
    }
    told = denial("approval_required", "request", policy={**POLICY, "rule": "export"}, access_request=request)
    assert shape(tenant.ask("customers.export", "required").body, told) == told


def test_a_denial_while_an_approval_is_pending(tenant: Tenant) -> None:
    tenant.opened("customers.export", "waiting")
    tenant.await_known(lambda said: said.reason == "approval_pending", "customers.export", "waiting")
    told = denial(
        "approval_pending",
        "retry",
        policy={**POLICY, "rule": "export"},
        retry_after=5,
        task={"id": "str", "status": "pending", "status_endpoint": "str"},
    )
    assert shape(tenant.ask("customers.export", "waiting").body, told) == told


def test_a_pending_task(tenant: Tenant) -> None:
    awaiting = [{"step": "crm-agent.export.owner", "kind": "Human", "groups": ["crm-owners"]}]
    told = {
        "task": {
            "id": "str",
            "status": "pending",
            "status_endpoint": "str",
            "expires_at": "str",
            "links": {"cancel": "str"},
            "progress": {"total_steps": 1, "awaiting": awaiting},
        }
    }
    answer = tenant.submit("customers.export", "task")
    assert (answer.status, answer.headers["Content-Type"]) == (202, "application/json")
    assert shape(answer.body, told) == told
    assert shape(tenant.poll(answer.task["id"]).body, told) == told


def test_an_approved_task(tenant: Tenant) -> None:
    tenant.approved("customers.export", "approved-task")
    told = {
        "task": {
            "id": "str",
            "status": "approved",
            "status_endpoint": "str",
            "expires_at": "str",
            "result": {
                "mode": "reevaluate",
                "approval": {"id": "str", "approved_at": "str", "approved_until": "str", "state": "str"},
            },
        }
    }
    answer = tenant.submit("customers.export", "approved-task")
    assert answer.status == 201
    assert shape(answer.body, told) == told
    assert shape(tenant.poll(answer.task["id"]).body, told) == told


def _problem(status: int, kind: str, title: str, **more: object) -> dict[str, Any]:
    uri = kind if ":" in kind else f"https://bailiwick.dev/problems/{kind}"
    return {"type": uri, "title": title, "status": status, "detail": "str", **more}


def test_problems(tenant: Tenant) -> None:
    arap = "urn:openid:authzen:access-request:error:"
    stranger = tenant.token("stranger", ENFORCER_AUDIENCE)
    seen = [
        (questions.post(tenant.url(), b"{}", tenant.pep), _problem(400, "bad-request", "Bad request", field="subject")),
        (questions.post(tenant.url(), b"{}", None), _problem(401, "unauthenticated", "Unauthenticated")),
        (
            questions.post(tenant.url(), tenant.body("customers.list"), stranger),
            _problem(403, "forbidden", "Forbidden"),
        ),
        (questions.get(tenant.points[0], None), _problem(404, "http", "Not Found")),
        (questions.get(tenant.url(), tenant.pep), _problem(405, "http", "Method Not Allowed")),
        (
            tenant.submit("customers.list"),
            _problem(400, f"{arap}not_requestable", "Not requestable", reason="allowed"),
        ),
        (tenant.poll("agr-x.y"), _problem(404, f"{arap}unknown_task", "Unknown task")),
    ]
    for answer, told in seen:
        assert (answer.status, answer.headers["Content-Type"]) == (told["status"], "application/problem+json")
        assert shape(answer.body, told) == told


def test_a_record(tenant: Tenant, pdp: Bailiwick) -> None:
    tenant.approved("customers.export", "record")
    tenant.ask("customers.export", "record", args={}, request_id="record-1")
    answer = tenant.ask("customers.export", "record", request_id="record-2")
    account = {"id": "str", "uid": "str"}
    told = {
        "time": "str",
        "now": "float",
        "kind": "evaluation",
        "evaluation_id": answer.context["evaluation_id"],
        "request_id": "record-2",
        "decision": True,
        "reason": "allowed",
        "dry_run": False,
        "endpoint": f"{tenant.namespace}/crm-api",
        "caller": account,
        "subject": {"type": "serviceAccount", **account, "issuer": "cluster"},
        "action": "customers.export",
        "resource": {"type": "customer", "id": "record"},
        "actors": [],
        "hop": None,
        "intent": None,
        "digest": "str",
        "policy": {"name": "crm-agent", "uid": "str", "generation": 1, "digest": "str", "rule": "export"},
        "policies": {"crm-agent": "str"},
        "grant": {
            "name": "str",
            "uid": "str",
            "phase": "Active",
            "uses": 1,
            "uses_before": 0,
            "max_uses": 1,
            "binding": {"mode": "Exact", "digest": "str"},
            "rules": [{"policy": "crm-agent", "rule": "export", "digest": "str"}],
            "steps": [STEP],
            "reviews": [REVIEW],
        },
        "audit": [],
        **OCSF,
        "action_id": 1,
        "disposition_id": 8,
        "log": {"id": "str", "seq": "int", "prev": "str"},
        "snapshot": SNAPSHOT,
    }
    records = [json.loads(line) for line in pdp.points[0].records.read_bytes().splitlines()]
    found = next(record for record in records if record.get("evaluation_id") == answer.context["evaluation_id"])
    assert shape(found, told) == told


def test_readiness(pdp: Bailiwick) -> None:
    told = {
        "ready": True,
        "checks": {"synced": True, "fresh": True, "serving": True},
        "store": SNAPSHOT,
        "guard": {"proven": True, "why": ""},
        "keys": {"kids": ["str"], "why": ""},
        "clock": {"agrees": True, "why": ""},
    }
    code, body = readiness(pdp.points[0])
    assert (code, shape(body, told)) == (200, told)
