"""`test --live`: the policies that are in force in a namespace, in the place of those that test files name."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_cli import kubeconfig
from support.commandline import Ran
from support.objects import Object, rule
from support.suites import run_tests, written
from unit.governance.sources.test_live_policies import Cluster, over, stored

SUITE: Final[Object] = {
    "apiVersion": "cli.bailiwick.dev/v1alpha1",
    "kind": "PolicyTest",
    "policies": ["nowhere.yaml"],
    "subjects": {"agent": {"serviceAccount": "agents/crm-agent"}},
    "resources": {"one": {"type": "customer", "id": "1"}},
    "tests": [
        {
            "name": "the agent lists",
            "expect": [{"subject": "agent", "resource": "one", "action": "customers.list", "is": "Allow"}],
        }
    ],
}


@pytest.fixture
def tested(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:  # noqa: ANN401 - a function
    def run(*policies: Object, suite: Object = SUITE, **flags: Any) -> Ran:  # noqa: ANN401 - flags of `test`
        monkeypatch.setattr(kubeconfig, "connect", lambda _: Cluster(list(policies), []))
        written(tmp_path, {"a_test.yaml": yaml.safe_dump(suite)})
        return run_tests(tmp_path / "a_test.yaml", live=True, **flags)

    return run


def test_the_policies_in_force_are_tested_and_not_those_of_the_file(tested: Any) -> None:  # noqa: ANN401 - a function
    ran = tested(stored())
    assert (ran.code, "1 passed, 0 failed" in ran.out) == (0, True), ran
    ran = tested(stored(rules=[rule(actions=["customers.get"])]))
    assert (ran.code, "the agent lists: agent one customers.list" in ran.out) == (1, True), ran


@pytest.mark.parametrize(
    ("policies", "suite", "said"),
    [
        ([], SUITE, "there is no EndpointPolicy in the namespace crm of the cluster"),
        ([stored() | {"status": over(3)}], SUITE, "crm/crm-agent in the cluster is over budget"),
        ([stored(rules=[rule(subjects=["nobody"])])], SUITE, "EndpointPolicy crm/crm-agent in the cluster:"),
        ([stored()], {**SUITE, "namespace": "ops"}, "namespace: is ops, and the policies are of crm"),
    ],
    ids=["none", "over budget", "broken", "of another namespace"],
)
def test_what_is_not_in_force_as_it_stands_is_not_tested(
    tested: Any,  # noqa: ANN401 - a function
    policies: list[Object],
    suite: Object,
    said: str,
) -> None:
    ran = tested(*policies, suite=suite)
    assert (ran.code, said in ran.err) == (2, True), ran


def test_a_policy_that_is_being_deleted_is_not_tested(tested: Any) -> None:  # noqa: ANN401 - a function
    gone = stored()
    gone["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    ran = tested(gone)
    assert (ran.code, ran.out, "is being deleted" in ran.err) == (2, "", True), ran


def test_policies_are_of_files_or_of_the_cluster(tested: Any) -> None:  # noqa: ANN401 - a function
    ran = tested(stored(), file=["policies"])
    assert (ran.code, "--live and -f each say which policies to test: set one" in ran.err) == (2, True), ran
