"""What the pages on comparing and on asking policies type at a cluster, typed as it stands, in a tenant's namespace."""

from pathlib import Path

import pytest
import yaml

from bailiwick_kube.paths import policies_path
from support.namespaces import Roles
from support.objects import POLICY
from support.pdp.tenant import OWNERS, Tenant
from support.shell import Shell, succeeded


@pytest.fixture(scope="module", autouse=True)
def readers(tenant: Tenant) -> None:
    """What both pages say that it takes."""
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-view", f"group:{OWNERS}")


def test_the_policies_of_a_folder_are_compared_with_those_in_force(tenant: Tenant, tmp_path: Path) -> None:
    raw = tenant.callers.admin.get(policies_path(tenant.namespace, POLICY)).body
    head = {key: raw[key] for key in ("apiVersion", "kind", "spec")}
    head["metadata"] = {"namespace": tenant.namespace, "name": raw["metadata"]["name"]}
    (tmp_path / "policies").mkdir()
    file = tmp_path / "policies" / "policy.yaml"
    file.write_text(yaml.safe_dump(head), encoding="utf-8")
    shell = Shell(tenant.cluster, "how-to/diff-policies.md", tmp_path)
    block = "kubectl bailiwick diff policies --live"
    assert succeeded(shell.run(block, "carol", crm=tenant.namespace)) == "same: no call is decided in another way\n"
    head["spec"]["rules"][0]["actions"].append("customers.more")
    file.write_text(yaml.safe_dump(head), encoding="utf-8")
    done = shell.run(block, "carol", crm=tenant.namespace)
    assert (done.returncode, "customers.more" in done.stdout) == (1, True), done


def test_who_may_export_is_asked_of_the_cluster_with_the_indirect_routes_and_without(tenant: Tenant) -> None:
    shell = Shell(tenant.cluster, "how-to/ask-policies.md")
    said = succeeded(
        shell.run("kubectl bailiwick who-can customers.export --on customer/42 -n crm", crm=tenant.namespace)
    )
    # One answer for each line of the block, the first with what `--direct` leaves out.
    first, second = said.split("SUBJECT ")[1:]
    for answer in (first, second):
        assert f"sa:{tenant.namespace}/agent" in answer
        assert "approval" in answer
    assert ("INDIRECTLY" in first, "INDIRECTLY" in second) == (True, False)
