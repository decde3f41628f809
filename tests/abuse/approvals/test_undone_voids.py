"""A policy of an administrator undoes on admission what the operator writes to make a grant void.

Holds: the attacker lifts the guard of reviews for a moment, writes a review in somebody else's name and puts the guard
back. What was written meanwhile never counts, whatever becomes of the operator's own writes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from abuse.approvals.test_guard import forge_review
from bailiwick_api.manifests.guards import REVIEW
from localcluster.rest import Rest
from support.guards.sabotage import Guards
from support.installation import accepted
from support.pdp.oftenproven import often_proven
from support.pdp.processes import Bailiwick, await_ready
from support.pdp.tenant import RULES, Tenant
from support.waits import until

ADMISSION: Final = "admissionregistration.k8s.io/v1"
NAME: Final = "undo-voids"


@pytest.fixture(scope="module")
def ours() -> Iterator[Bailiwick]:
    """A control plane of this module alone, whose guards its tests break; the operator proves often."""
    with often_proven() as ours:
        yield ours


@pytest.fixture(scope="module")
def tenant(ours: Bailiwick) -> Tenant:
    return ours.tenants().make("undone-voids", list(RULES))


@contextmanager
def undoing(admin: Rest, namespace: str) -> Iterator[None]:
    """Have each write that makes a grant void change nothing, until the end of the block."""
    rules = [
        {
            "apiGroups": ["bailiwick.dev"],
            "apiVersions": ["*"],
            "operations": ["UPDATE"],
            "resources": ["approvalgrants/status"],
        },
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]},
    ]
    patch = (
        "request.resource.resource == 'configmaps'"
        " ? [JSONPatch{op: 'add', path: '/data', value: {'mutated': 'yes'}}]"
        " : [JSONPatch{op: 'replace', path: '/status/phase', value: 'Pending'},"
        " JSONPatch{op: 'remove', path: '/status/voided'}, JSONPatch{op: 'remove', path: '/status/conditions'}]"
    )
    spec = {
        "matchConstraints": {"resourceRules": rules},
        "matchConditions": [
            {
                "name": "void",
                "expression": f"request.namespace == '{namespace}' && (request.resource.resource == 'configmaps'"
                " || object.?status.?conditions.orValue([]).exists(c, c.reason == 'GuardUnproven'))",
            }
        ],
        "reinvocationPolicy": "Never",
        "failurePolicy": "Fail",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
    }
    policy = {"apiVersion": ADMISSION, "kind": "MutatingAdmissionPolicy", "metadata": {"name": NAME}, "spec": spec}
    binding = {**policy, "kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": NAME}}
    accepted(admin.create(policy))
    accepted(admin.create(binding))
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": "x"}, "data": {}}
    try:
        until(lambda: "mutated" in accepted(admin.create(body, dry_run=True)).get("data", {}), "it changes writes", 30)
        yield
    finally:
        for kind in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
            admin.delete(f"/apis/{ADMISSION}/{kind}/{NAME}")


@pytest.mark.invariant(26, 27)
def test_a_forged_review_never_counts_though_the_write_that_makes_it_void_is_undone(
    ours: Bailiwick, tenant: Tenant
) -> None:
    await_ready(ours.points[0])
    guards = Guards(ours.callers, ours.installation)
    admin = ours.callers.admin
    name = tenant.opened("customers.notify", "undone")
    until(lambda: "status" in tenant.grant(name), "the operator has seen it")
    with undoing(admin, tenant.namespace):
        guards.loosen(REVIEW)
        until(lambda: forge_review(tenant, name), "the guard lets a forged review through", 20)
        guards.restore()
        guards.await_recorded()
        await_ready(ours.points[0])
        honest = tenant.approved("customers.notify", "honest")
        assert tenant.phase(honest) == "Active"
        assert tenant.ask("customers.notify", "undone").decision is False
        assert tenant.phase(name) != "Active"
    until(lambda: tenant.phase(name) == "Expired", "it is void by its status once that can be written", 30)
    assert tenant.ask("customers.notify", "undone").decision is False
