"""What approvals do not offer, so that nobody can be talked into it: each is refused where somebody would ask for it.

Holds: the schema refuses a field that does not exist where the client asks for strictness, as kubectl does, and never
stores it for anybody.
"""

from typing import Any, Final

import pytest
import requests

from localcluster.rest import Answer, Rest
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object, changed, gated_rule, grant, opened_grant, policy, rule
from support.pdp.tenant import RULES, STEPS, Tenant, Tenants
from support.waits import until

_APPROVAL: Final = "spec.rules.0.approval"
# Where it would stand, and what it would say.
FIELDS: Final[dict[str, tuple[str, str, object]]] = {
    "automatic approval": ("policy", f"{_APPROVAL}.auto", {"expression": "true"}),
    "a step that fills itself": ("policy", f"{_APPROVAL}.steps.0.auto", True),
    "an emergency path": ("policy", f"{_APPROVAL}.emergency", {"groups": ["sec"]}),
    "an emergency path by another name": ("policy", f"{_APPROVAL}.breakGlass", True),
    "an emergency grant": ("grant", "spec.request.emergency", True),
    "a condition on the approval": ("policy", f"{_APPROVAL}.validWhile", "incident.open"),
    "a condition on the grant": ("grant", "spec.request.validWhile", "true"),
    "a pod": ("grant", "spec.request.subject.podUID", "pod"),
    "a session": ("grant", "spec.request.subject.session", "one"),
    "approved at birth": ("grant", "spec.request.approved", True),
}
# What the schema has a field for, but not this value; `...` leaves it out.
VALUES: Final[dict[str, tuple[str, str, object]]] = {
    "no step": ("policy", f"{_APPROVAL}.steps", []),
    "steps left out": ("policy", f"{_APPROVAL}.steps", ...),
    "no approval at all": ("policy", _APPROVAL, ...),
    "a kind of step that fills itself": ("policy", f"{_APPROVAL}.steps.0.kind", "Auto"),
    "a step of nobody": ("policy", f"{_APPROVAL}.steps.0.count", 0),
    "a step of no group": ("policy", f"{_APPROVAL}.steps.0.groups", []),
    "no use": ("policy", f"{_APPROVAL}.maxUses", 0),
    "uses without end": ("policy", f"{_APPROVAL}.maxUses", 51),
    "a window of more than a day": ("policy", f"{_APPROVAL}.windowSeconds", 86401),
    "a wait of more than a day": ("policy", f"{_APPROVAL}.pendingSeconds", 86401),
    "a flood of requests that wait": ("policy", f"{_APPROVAL}.limits", {"pendingPerSubject": 51}),
    "requests without end": ("policy", f"{_APPROVAL}.limits", {"requestsPerHour": 1001}),
    "an emergency as the origin": ("grant", "spec.request.origin", "Emergency"),
    "a rule as the origin": ("grant", "spec.request.origin", "Auto"),
    "a grant of no step": ("grant", "spec.request.steps", []),
    "a grant of a step of nobody": ("grant", "spec.request.steps.0.count", 0),
    "a grant that is bound to nothing": ("grant", "spec.request.binding", {"mode": "None"}),
    "a grant for more than a day": ("grant", "spec.request.windowSeconds", 86401),
    "a grant of uses without end": ("grant", "spec.request.maxUses", 51),
}


def body_of(kind: str, namespace: str) -> Object:
    if kind == "policy":
        return policy(namespace, "asking", rules=[gated_rule()])
    return grant(namespace, "asking", requester="admin")


def create(client: Rest, body: Object, **parameters: str) -> Answer:
    plural = {"EndpointPolicy": "endpointpolicies", "ApprovalGrant": "approvalgrants"}[body["kind"]]
    path = f"/apis/bailiwick.dev/v1alpha1/namespaces/{body['metadata']['namespace']}/{plural}"
    return client.request("POST", path, body=body, parameters={"dryRun": "All", **parameters})


@pytest.mark.invariant(12, 18, 20, 21, 28)
@pytest.mark.parametrize("what", FIELDS)
def test_a_field_that_is_not_offered_is_refused_and_never_stored(tenant: Tenant, what: str) -> None:
    kind, path, value = FIELDS[what]
    body = body_of(kind, tenant.namespace)
    assert create(tenant.callers.admin, body).message == ""
    asking = changed(body, path, value)
    strict = create(tenant.callers.admin, asking, fieldValidation="Strict")
    assert strict.status == 400
    assert f'unknown field "{path.replace(".0.", "[0].")}"' in strict.message
    loose: Any = accepted(create(tenant.callers.admin, asking))
    assert path.rpartition(".")[2] not in str(loose["spec"])


@pytest.mark.invariant(8, 12, 19, 20, 21, 23)
@pytest.mark.parametrize("what", VALUES)
def test_a_value_that_is_not_offered_is_refused(tenant: Tenant, what: str) -> None:
    kind, path, value = VALUES[what]
    body = body_of(kind, tenant.namespace)
    assert create(tenant.callers.admin, body).message == ""
    assert create(tenant.callers.admin, changed(body, path, value)).status in {403, 422}


@pytest.mark.invariant(21)
@pytest.mark.parametrize("origin", ["Requested", "OnDeny"])
def test_nobody_but_the_decision_point_opens_what_looks_like_its_own(tenant: Tenant, origin: str) -> None:
    agent = {"type": "serviceAccount", "id": tenant.agent, "uid": "agent-uid"}
    body = opened_grant(tenant.namespace, "mine", requester="admin", origin=origin, subject=agent)
    body["metadata"]["name"] = "mine"
    answer = tenant.callers.admin.create(body)
    assert "a grant written by hand must have origin PreApproved" in answer.message


@pytest.mark.invariant(15, 21)
def test_no_grant_lifts_a_deny(tenants: Tenants) -> None:
    made = tenants.make("no-lift")
    name = made.approved("customers.notify", "denied")
    deny = rule("stop", effect="Deny", actions=["*"])
    made.change_policy({"rules": [*RULES, deny]})
    made.await_known(lambda said: said.reason == "policy_denied", "customers.notify", "denied")
    for point in range(3):
        assert made.ask("customers.notify", "denied", point=point).reason == "policy_denied"
    assert made.uses(name) == 0
    assert made.submit("customers.notify", "another").status == 400


class TestRightsAtTheApiServer:
    @pytest.mark.invariant(25)
    def test_an_approval_gives_its_subject_none(self, tenants: Tenants) -> None:
        """Whatever the action is called: policies, grants and roles are changed under RBAC alone."""
        names = ["endpointpolicies.update", "approvalgrants.review", "rolebindings.create"]
        gate = gated_rule("govern", actions=names, approval={"steps": STEPS, "maxUses": 3})
        made = tenants.make("no-rights", [RULES[0], gate])
        agent = made.callers(made.agent)
        for action in names:
            made.approved(action, "crm-agent")
            assert made.ask(action, "crm-agent").decision is True
        waiting = made.grant(made.opened(names[0], "another"))
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"namespace": made.namespace, "name": "mine"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bailiwick-approve"},
            "subjects": [{"kind": "ServiceAccount", "namespace": made.namespace, "name": "agent"}],
        }
        for answer in (
            agent.patch(policy(made.namespace), {"spec": {"suspend": True}}),
            agent.patch(waiting, {"spec": {"reviews": []}}),
            agent.patch(waiting, {"spec": {"revocation": {"by": made.agent}}}),
            agent.create(role),
        ):
            assert (answer.status, "cannot" in answer.message) == (403, True)

    @pytest.mark.invariant(25)
    def test_who_edits_policies_neither_asks_nor_approves(self, tenants: Tenants) -> None:
        made = tenants.make("edits-only")
        Roles(made.callers.admin, made.namespace).bind("bailiwick-edit", "eve")
        Roles(made.callers.admin, made.namespace).bind("bailiwick-request", "mallory")
        name = made.opened("customers.export", "edits")
        for who in ("eve", "mallory"):
            answer = made.review(name, who)
            assert answer.status == 403
        assert made.phase(name) == "Pending"


@pytest.mark.invariant(4)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_no_link_to_a_task_approves_it(tenant: Tenant, method: str) -> None:
    """Not for its own enforcer, nor by any query, header or body that an approving link might have."""
    opened = tenant.submit("customers.export", "link")
    link = opened.task["status_endpoint"]
    base = tenant.url(f"requests/{opened.task['id']}")
    for url in (base, f"{base}/approve", f"{base}/reviews", f"{base}?decision=Approve&reviewer=carol", link):
        answer = requests.request(
            method,
            url if url.startswith("http://127.0.0.1") else base,
            json={"decision": "Approve", "reviewer": "carol"},
            headers={"Authorization": f"Bearer {tenant.pep}", "X-Remote-User": "carol", "Impersonate-User": "carol"},
            timeout=10,
        )
        assert answer.status_code in {200, 400, 404, 405}
    stored = tenant.grant(opened.grant_name)
    assert (stored["spec"]["reviews"], tenant.phase(opened.grant_name)) == ([], "Pending")
    until(lambda: tenant.poll(opened.task["id"]).task["status"] == "pending", "the task waits")
