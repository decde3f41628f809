"""A second version of a kind, which no release brings yet: what holds, and what a release will have to bring with it.

Holds: the second version has the schema of the first one. An administrator serves it, has objects stored as it, has the
API server migrate them, and goes back.
"""

import copy
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_api.kinds.approvalgrant import GUARD_UNPROVEN
from bailiwick_api.kinds.meta import APPROVAL_GRANTS, GROUP, VERSION
from localcluster.rest import Rest
from support.installation import DEFINITIONS, accepted
from support.objects import Object, active_status
from support.pdp.processes import Bailiwick
from support.pdp.tenant import Tenant
from support.waits import until, until_ok
from upgrade.world import await_proof

SECOND: Final = "v1alpha2"
DEFINITION: Final = f"{DEFINITIONS}/{APPROVAL_GRANTS}.{GROUP}"
SHIPPED: Final = Path(__file__).parents[2] / "crds" / f"{APPROVAL_GRANTS}.yaml"
MIGRATIONS: Final = "/apis/storagemigration.k8s.io/v1/storageversionmigrations"
# The controller learns of a version that is new when it next asks what there is.
MIGRATED_SECONDS: Final = 200


@pytest.fixture(scope="module")
def ours() -> Iterator[Bailiwick]:
    """An operator and a decision point on a control plane of this module."""
    with ExitStack() as closing:
        yield Bailiwick.begin(closing, replicas=1)


@pytest.fixture
def tenant(ours: Bailiwick, request: pytest.FixtureRequest) -> Tenant:
    """A tenant with an approval that the operator has proven."""
    tenant = ours.tenants().make(request.node.name[:40])
    tenant.approved("customers.notify", "proven")
    await_proof(tenant)
    return tenant


def store_as(admin: Rest, version: str) -> None:
    """Serve both versions of grants, and store what is written from now on as one of them."""
    (shipped,) = (one for one in accepted(admin.get(DEFINITION))["spec"]["versions"] if one["name"] == VERSION)
    versions = [{**copy.deepcopy(shipped), "name": name, "storage": name == version} for name in (VERSION, SECOND)]
    accepted(admin.patch(DEFINITION, {"spec": {"versions": versions}}))
    until_ok(lambda: admin.get(f"/apis/{GROUP}/{SECOND}/{APPROVAL_GRANTS}"), "the second version is served", 60)


def migrate(admin: Rest, version: str) -> None:
    """Have the API server write every grant as a version, and wait until none is stored as another one."""
    resource = {"group": GROUP, "resource": APPROVAL_GRANTS}
    body = {
        "apiVersion": "storagemigration.k8s.io/v1",
        "kind": "StorageVersionMigration",
        "metadata": {"name": f"to-{version}"},
        "spec": {"resource": resource},
    }
    accepted(admin.create(body, MIGRATIONS))

    def ended() -> list[Any]:
        conditions = accepted(admin.get(f"{MIGRATIONS}/to-{version}")).get("status", {}).get("conditions", [])
        return [one["type"] for one in conditions if one["type"] != "Running" and one["status"] == "True"]

    until(ended, "the migration has ended", MIGRATED_SECONDS)
    assert ended() == ["Succeeded"]
    until(lambda: stored_versions(admin) == [version], f"everything is stored as {version}")


def stored_versions(admin: Rest) -> list[str]:
    found: list[str] = accepted(admin.get(DEFINITION))["status"]["storedVersions"]
    return found


def replace(ours: Bailiwick) -> tuple[int, str]:
    """Do what the operator's message says."""
    return ours.stack.kubectl("replace", f"--filename={SHIPPED}")


def reason(tenant: Tenant) -> str | None:
    return tenant.ask_itself("customers.notify", "proven").reason


def refusals(tenant: Tenant, name: str) -> list[str]:
    """Return what an administrator is told who writes to a grant by the second version."""
    admin = tenant.callers.admin
    path = tenant.path_of(name).replace(f"/{VERSION}/", f"/{SECOND}/")
    forged = admin.request(
        "PATCH",
        f"{path}/status",
        body={"status": active_status()},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    return [forged.message, admin.delete(path, dry_run=True).message]


def test_a_version_that_no_release_brings_closes_approvals_until_the_definition_is_replaced(
    ours: Bailiwick, tenant: Tenant
) -> None:
    waiting = tenant.opened("customers.export", "forged")
    await_proof(tenant)
    assert reason(tenant) == "allowed"
    store_as(tenant.callers.admin, VERSION)
    until(lambda: reason(tenant) == "approval_unverifiable", "no approval counts")
    assert tenant.ask("customers.list").decision is True
    said = "CustomResourceDefinition approvalgrants.bailiwick.dev differs from the shipped version at spec.versions[1]"
    log = ours.stack.folder / "operator.log"
    until(lambda: said in log.read_text(), "the operator says what is wrong")
    # The guards judge what comes by the second version as they judge the first one.
    forged, deleted = refusals(tenant, waiting)
    assert "only Bailiwick can write the status" in forged
    assert "a grant is evidence: revoke it instead" in deleted
    code, answer = replace(ours)
    assert code == 0, answer
    until(lambda: reason(tenant) == "allowed", "the approval counts again", 60)


def test_a_migration_writes_every_grant_so_that_none_counts_after_the_way_back(ours: Bailiwick, tenant: Tenant) -> None:
    admin = tenant.callers.admin
    (proven,) = tenant.grants()
    store_as(admin, SECOND)
    migrate(admin, SECOND)
    written = tenant.grant(proven["metadata"]["name"])
    assert written["metadata"]["resourceVersion"] != proven["metadata"]["resourceVersion"]
    assert (written["spec"], written["status"]) == (proven["spec"], proven["status"])
    # The definition cannot be replaced while objects may be stored as the second version.
    code, answer = replace(ours)
    assert (code, "must remain in spec.versions" in answer) == (1, True), answer
    store_as(admin, VERSION)
    migrate(admin, VERSION)
    code, answer = replace(ours)
    assert code == 0, answer
    until(partial(made_void, tenant, proven), "what was written meanwhile is void", 60)
    assert tenant.ask("customers.notify", "proven").decision is False
    # Grants are made void before the proof is recorded, by which approvals count again.
    until(lambda: tenant.submit("customers.notify", "another").status in {201, 202}, "approvals can be requested", 60)
    fresh = tenant.approved("customers.notify", "fresh")
    assert tenant.phase(fresh) == "Active"


def made_void(tenant: Tenant, grant: Object) -> bool:
    status = tenant.grant(grant["metadata"]["name"])["status"]
    return GUARD_UNPROVEN in str(status.get("conditions")) and status["phase"] != "Active"
