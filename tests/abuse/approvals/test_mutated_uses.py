"""A policy of an administrator changes the record of a use on admission, to have one approval serve two calls.

Holds: the attacker knows the request id of a second call, and writes its key into the record of the first one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Final

import pytest

from localcluster.rest import Rest
from support.installation import accepted
from support.pdp.tenant import RULES, Tenant, Tenants
from support.waits import until

ADMISSION: Final = "admissionregistration.k8s.io/v1"
NAME: Final = "swap-uses"


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    return tenants.make("mutated-uses", list(RULES))


def key_of(tenant: Tenant, request_id: str, digest: str) -> str:
    """Return the key of the use that a request of the tenant's enforcer takes."""
    path = f"/api/v1/namespaces/{tenant.namespace}/serviceaccounts/api"
    uid = accepted(tenant.callers.admin.get(path))["metadata"]["uid"]
    parts = (part.encode() for part in ("request", uid, request_id, digest))
    return "sha256:" + sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).hexdigest()


@contextmanager
def swapping(admin: Rest, namespace: str, key: str, probe: dict[str, str]) -> Iterator[None]:
    """Have each use recorded under this key, until the end of the block. `probe`: labels that show that it does."""
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
        f" : [JSONPatch{{op: 'replace', path: '/status/useRecords/0/key', value: '{key}'}}]"
    )
    spec = {
        "matchConstraints": {"resourceRules": rules},
        "matchConditions": [
            {
                "name": "ours",
                "expression": f"request.namespace == '{namespace}' && (request.resource.resource == 'configmaps'"
                " || object.?status.?uses.orValue(0) > 0)",
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
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": "x"}, "data": probe}
    try:
        until(lambda: "mutated" in accepted(admin.create(body, dry_run=True))["data"], "it changes what is written", 30)
        yield
    finally:
        for kind in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
            admin.delete(f"/apis/{ADMISSION}/{kind}/{NAME}")


@pytest.mark.invariant(10, 11)
def test_a_use_that_is_recorded_for_another_call_lets_one_call_through_at_most(tenant: Tenant) -> None:
    name = tenant.approved("customers.export", "swapped")
    digest = tenant.grant(name)["spec"]["request"]["binding"]["digest"]
    key = key_of(tenant, "second-run", digest)
    with swapping(tenant.callers.admin, tenant.namespace, key, {"a": "b"}):
        first = tenant.ask("customers.export", "swapped", request_id="first-run")
        assert tenant.grant(name)["status"]["useRecords"][0]["key"] == key
        later = [tenant.ask("customers.export", "swapped", request_id=f"{run}-run") for run in ("second", "third")]
    assert (first.decision, first.reason) == (False, "approval_unverifiable")
    assert [asked.decision for asked in later].count(True) <= 1
    assert tenant.uses(name) == 1
