"""`diff --live`: a change of policies against what is in force in a namespace of the cluster."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bailiwick_api.kinds.meta import API_VERSION
from support.commandline import Ran
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object, policy, rule
from support.pdp.tenant import OWNERS, Tenant

Compare = Callable[..., Ran]


@pytest.fixture(scope="module", autouse=True)
def readers(tenant: Tenant) -> None:
    """To compare takes the policies, which whoever approves need not see."""
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-view", f"group:{OWNERS}")


@pytest.fixture
def compare(cli: Compare, tmp_path: Path) -> Compare:
    def run(head: Object, *arguments: str, person: str = "carol") -> Ran:
        file = tmp_path / "head.yaml"
        file.write_text(yaml.safe_dump(head), encoding="utf-8")
        return cli(person, "diff", str(file), "--live", *arguments)

    return run


def test_what_is_in_the_cluster_is_the_same_as_itself(compare: Compare, live: Object) -> None:
    ran = compare(live)
    assert (ran.code, ran.out) == (0, "same: no call is decided in another way\n"), ran


def test_what_would_widen_what_is_in_force_stops_it(compare: Compare, live: Object) -> None:
    wider = copy.deepcopy(live)
    wider["spec"]["rules"][0]["actions"].append("customers.more")
    ran = compare(wider)
    assert ran.code == 1, ran
    assert "customers.more" in ran.out


def test_a_rule_that_goes_is_told_with_the_policy_that_has_it(compare: Compare, live: Object, tenant: Tenant) -> None:
    narrower = copy.deepcopy(live)
    gone = narrower["spec"]["rules"].pop(0)
    ran = compare(narrower, "--fail-on", "any")
    assert ran.code == 1, ran
    assert f"{gone['name']} (removed) at EndpointPolicy {tenant.namespace}/" in ran.out


def test_policies_of_another_namespace_are_refused(compare: Compare, live: Object) -> None:
    live["metadata"]["namespace"] = "elsewhere"
    ran = compare(live)
    assert (ran.code, ran.out) == (2, "")
    assert "the files have policies of elsewhere" in ran.err


def test_whoever_may_not_see_policies_compares_nothing(compare: Compare, live: Object) -> None:
    ran = compare(live, person="mallory")
    assert (ran.code, ran.out) == (2, "")
    assert "forbidden" in ran.err.lower()


def test_data_that_the_files_do_not_have_stays_as_it_is(cli: Compare, tenant: Tenant, tmp_path: Path) -> None:
    admin, metadata = tenant.callers.admin, {"namespace": tenant.namespace}
    data = {"apiVersion": API_VERSION, "kind": "EndpointData", "metadata": {**metadata, "name": "directory"}}
    conditions = [{"name": "open", "expression": "data.directory.open == true"}]
    reading = policy(
        tenant.namespace,
        "reading",
        endpoint="reading",
        data=[{"name": "directory"}],
        rules=[rule(conditions=conditions)],
    )
    for body in (data | {"spec": {"data": {"open": True}}}, reading):
        accepted(admin.create(body))
    file = tmp_path / "head.yaml"

    def compared(*documents: Object) -> Ran:
        file.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
        return cli("carol", "diff", str(file), "--live")

    assert compared(reading).code == 0
    ran = compared(reading, data | {"spec": {"data": {"open": False}}})
    assert (ran.code, "MAY WIDEN" in ran.out) == (1, True), ran
    for body in (reading, data):
        accepted(admin.delete(body))
