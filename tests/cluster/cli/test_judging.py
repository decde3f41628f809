"""`validate --server` and `test --live`: files before a real API server, and tests of what is in force there."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bailiwick_kube.paths import policies_path
from support import commandline
from support.commandline import Ran
from support.namespaces import Roles
from support.objects import POLICY, Object
from support.pdp.tenant import OWNERS, Tenant

Judge = Callable[..., Ran]


@pytest.fixture
def judge(tenant: Tenant, tmp_path: Path) -> Judge:
    def run(made: Object, person: str = "admin") -> Ran:
        file = tmp_path / "policy.yaml"
        file.write_text(yaml.safe_dump(made), encoding="utf-8")
        return commandline.run("validate", str(file), "--server", kubeconfig=tenant.cluster.kubeconfig(person))

    return run


def test_what_the_cluster_would_take_is_no_finding_and_changes_nothing(
    judge: Judge, live: Object, tenant: Tenant
) -> None:
    changed = copy.deepcopy(live)
    changed["spec"]["rules"][0]["actions"].append("customers.more")
    changed["metadata"]["name"] = live["metadata"]["name"]
    ran = judge(changed)
    assert (ran.code, "0 errors" in ran.out) == (0, True), ran
    assert tenant.callers.admin.get(policies_path(tenant.namespace, POLICY)).body["spec"] == live["spec"]


def test_what_only_the_cluster_knows_is_an_error_at_its_place(judge: Judge, live: Object) -> None:
    elsewhere = copy.deepcopy(live)
    elsewhere["metadata"]["namespace"] = "nobody-made-this-namespace"
    ran = judge(elsewhere)
    assert (ran.code, "policy.yaml:1:1" in ran.out, "nobody-made-this-namespace" in ran.out) == (1, True, True), ran


def test_whoever_may_not_write_policies_gets_no_pass(judge: Judge, live: Object) -> None:
    ran = judge(live, "mallory")
    assert (ran.code, ran.out, "the API server was not asked" in ran.err) == (2, "", True), ran


def test_tests_are_held_against_what_is_in_force(tenant: Tenant, cli: Callable[..., Ran], tmp_path: Path) -> None:
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-view", f"group:{OWNERS}")
    suite = {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "PolicyTest",
        "resources": {"one": {"type": "customer", "id": "1"}},
        "tests": [{"name": "nobody drops", "never": [{"action": "customers.drop", "is": "Allow"}]}],
    }
    file = tmp_path / "a_test.yaml"
    file.write_text(yaml.safe_dump(suite), encoding="utf-8")
    ran = cli("carol", "test", str(file), "--live")
    assert (ran.code, "1 passed, 0 failed" in ran.out) == (0, True), ran
