"""A policy of an administrator changes the record of a use on admission, to have one approval serve two calls.

Holds: the attacker knows the request id of a second call, and writes its key into the record of the first one.
"""

from hashlib import sha256

import pytest

from support.admission.statusmutation import changing_status
from support.installation import accepted
from support.pdp.tenant import RULES, Tenant, Tenants


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    return tenants.make("mutated-uses", list(RULES))


def key_of(tenant: Tenant, request_id: str, digest: str) -> str:
    """Return the key of the use that a request of the tenant's enforcer takes."""
    path = f"/api/v1/namespaces/{tenant.namespace}/serviceaccounts/api"
    uid = accepted(tenant.callers.admin.get(path))["metadata"]["uid"]
    parts = (part.encode() for part in ("request", uid, request_id, digest))
    return "sha256:" + sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).hexdigest()


@pytest.mark.invariant(10, 11)
def test_a_use_that_is_recorded_for_another_call_lets_one_call_through_at_most(tenant: Tenant) -> None:
    name = tenant.approved("customers.export", "swapped")
    digest = tenant.grant(name)["spec"]["request"]["binding"]["digest"]
    key = key_of(tenant, "second-run", digest)
    swapped = f"[JSONPatch{{op: 'replace', path: '/status/useRecords/0/key', value: '{key}'}}]"
    with changing_status(tenant.callers.admin, tenant.namespace, "object.?status.?uses.orValue(0) > 0", swapped):
        first = tenant.ask("customers.export", "swapped", request_id="first-run")
        assert tenant.grant(name)["status"]["useRecords"][0]["key"] == key
        later = [tenant.ask("customers.export", "swapped", request_id=f"{run}-run") for run in ("second", "third")]
    assert (first.decision, first.reason) == (False, "approval_unverifiable")
    assert [asked.decision for asked in later].count(True) <= 1
    assert tenant.uses(name) == 1
