"""A subject is taken back while no status can be written, until after the revocation's end: its grants still end."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bailiwick_api.kinds.meta import APPROVAL_GRANTS, GROUP
from bailiwick_kube.paths import revocations_path
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import Operator
from localcluster.people import ADMIN
from support.installation import accepted
from support.objects import AGENT, Object
from support.revocations import manifest
from support.waits import until


@contextmanager
def refused_statuses(grants: Grants, probe: Object) -> Iterator[None]:
    """Have the API server refuse every status of this namespace's grants."""
    name = {"name": f"no-status-{grants.namespace}"}
    rule = {
        "apiGroups": [GROUP],
        "apiVersions": ["*"],
        "operations": ["UPDATE"],
        "resources": [f"{APPROVAL_GRANTS}/status"],
    }
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": "here", "expression": f"request.namespace == '{grants.namespace}'"}],
        "validations": [{"expression": "false", "message": "no status today"}],
    }
    documents = [
        {"kind": "ValidatingAdmissionPolicy", "spec": spec},
        {
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {"policyName": name["name"], "validationActions": ["Deny"]},
        },
    ]
    made = [
        accepted(grants.admin.create({"apiVersion": "admissionregistration.k8s.io/v1", "metadata": name, **document}))
        for document in documents
    ]
    try:
        until(lambda: "no status today" in grants.try_status(probe).message, "statuses are refused")
        yield
    finally:
        for document in made:
            accepted(grants.admin.delete(document))


@pytest.mark.invariant(13)
@pytest.mark.invariant(32)
def test_a_revocation_outlasts_its_time_until_the_grants_that_it_ends_have_ended(
    operator: Operator, grants: Grants
) -> None:
    operator.await_leading()
    living, waiting = grants.approved(), grants.open()
    grants.await_phase(waiting, "Pending")
    with refused_statuses(grants, living):
        now = datetime.now(UTC)
        body = manifest(before=now + timedelta(seconds=1), until=now + timedelta(seconds=2), by=ADMIN, sub=AGENT)
        path = revocations_path(accepted(grants.admin.create(body, revocations_path()))["metadata"]["name"])
        # It looks every two seconds.
        until(lambda: datetime.now(UTC) > now + timedelta(seconds=10), "its time is long over")
        assert grants.admin.get(path).status == 200
        assert (grants.phase(living), grants.phase(waiting)) == ("Active", "Pending")
    until(lambda: grants.admin.get(path).status == 404, "the operator deletes the object", seconds=90)
    # By then, and not later.
    assert (grants.phase(living), grants.phase(waiting)) == ("Revoked", "Withdrawn")
