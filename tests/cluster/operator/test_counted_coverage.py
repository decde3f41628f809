"""The findings of coverage in the operator's metrics, counted as its real service account on a real API server.

Holds: the oracle is `kubectl bailiwick coverage -A`, run by an administrator on the same cluster.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest
import requests
import yaml

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests import generate
from bailiwick_coverage.findings import CoverageCode
from cluster.coverage.test_bypasses import BYPASSES
from cluster.operator.operatorprocess import Operator
from localcluster import foreign
from localcluster.access import Cluster
from localcluster.ports import free_ports
from support import commandline
from support.callers import Callers
from support.coverageworld import CoverageWorld
from support.installation import accepted, apply, await_served
from support.namespaces import Namespaces
from support.objects import Object
from support.waits import until

CODES: Final = {code.value for code in CoverageCode}
BINDINGS: Final = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
ROLES: Final = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
LONGEST: Final = 90.0


@dataclass(frozen=True)
class CoverageMetrics:
    """What the operator says at a port."""

    port: int

    def samples(self) -> dict[str, float]:
        text = requests.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10).text
        lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("bailiwick_coverage")]
        return {name.removeprefix("bailiwick_coverage_"): float(value) for name, _, value in lines}

    def by_code(self, name: str) -> dict[str, int]:
        found = self.samples()
        return {code: int(found[key]) for code in CODES if (key := f'{name}{{code="{code}"}}') in found}

    def attempts(self, outcome: str) -> float:
        return self.samples()[f'counts_total{{outcome="{outcome}"}}']

    def problem(self) -> str:
        return str(requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=10).json()["coverage"])

    def await_count(self) -> dict[str, int]:
        """Wait for a count that began after this call, and return the findings."""
        # The one that runs now may have read before.
        before = self.attempts("counted")
        until(lambda: self.attempts("counted") >= before + 2, "the findings are counted twice", LONGEST)
        return self.by_code("findings")


@pytest.fixture(scope="module")
def health_port() -> int:
    (port,) = free_ports(1)
    return port


@pytest.fixture(scope="module")
def lowered(health_port: int) -> Sequence[str]:
    coverage = ("--coverage", "true", "--coverage-interval", "15", "--coverage-timeout", "15")
    return ("--proof-interval", "3", "--health-port", str(health_port), *coverage)


@pytest.fixture(scope="module")
def rights(callers: Callers, installed: Installation) -> list[Object]:
    """The role that a plain installation does not have, and its binding."""
    (documents,) = generate.optional(installed).values()
    apply(callers.admin, documents)
    return documents


@pytest.fixture(scope="module")
def world(callers: Callers, installed: Installation) -> Iterator[CoverageWorld]:
    """Twelve ways past the enforcement points."""
    definitions = [yaml.safe_load(path.read_text()) for path in foreign.definitions(foreign.GATEWAY_API)]
    apply(callers.admin, definitions)
    for one in definitions:
        await_served(callers.admin, one)
    namespaces = Namespaces(callers.admin)
    made = CoverageWorld.make(callers.admin, namespaces, "counted")
    for make in BYPASSES.values():
        make(made)
    yield made
    namespaces.clean()


@pytest.fixture(scope="module")
def metrics(rights: list[Object], world: CoverageWorld, operator: Operator, health_port: int) -> CoverageMetrics:
    found = CoverageMetrics(health_port)
    until(lambda: found.attempts("counted") >= 1, "the findings are counted", LONGEST)
    return found


@pytest.fixture(scope="module")
def command(cluster: Cluster) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        ran = commandline.run("coverage", "-A", "-o", "json", kubeconfig=cluster.kubeconfig("admin"))
        assert ran.code == 1, ran
        (found,) = json.loads(ran.out)["clusters"]
        return {"totals": json.loads(ran.out)["totals"], "findings": found["findings"]}

    return run


def test_the_gauges_are_what_the_command_counts(
    metrics: CoverageMetrics, command: Callable[[], dict[str, Any]], operator: Operator
) -> None:
    counted, totals = metrics.await_count(), command()["totals"]
    assert counted == {code: totals[code] for code in CODES}
    # The rights of the role suffice: nothing is unknown. The twelve have findings of every other code.
    assert {code for code, count in counted.items() if count} == CODES - {"unknown"}
    assert sum(metrics.by_code("exempt_findings").values()) == totals["exempt"]
    assert metrics.problem() == "ok"
    lines = operator.said("counted the findings of coverage")
    assert counted in [{code: line[code] for code in CODES} for line in lines]


@pytest.mark.long
def test_an_exemption_moves_a_finding_to_the_gauge_of_exempt_findings(
    metrics: CoverageMetrics, world: CoverageWorld, callers: Callers
) -> None:
    before = metrics.by_code("findings")["unprotected"]
    annotations = {"bailiwick.dev/coverage": "exempt unprotected: the public website"}
    path = f"/api/v1/namespaces/{world.crm}/services/reports"
    accepted(callers.admin.patch(path, {"metadata": {"annotations": annotations}}, "merge"))
    assert metrics.await_count()["unprotected"] == before - 1
    assert metrics.by_code("exempt_findings")["unprotected"] == 1


@pytest.mark.long
def test_a_list_that_the_account_may_not_read_is_counted_as_unknown(
    metrics: CoverageMetrics, rights: list[Object], callers: Callers
) -> None:
    role = next(one for one in rights if one["kind"] == "ClusterRole")
    narrow = [one for one in role["rules"] if "networkpolicies" not in one["resources"]]
    path = f"{ROLES}/{role['metadata']['name']}"
    accepted(callers.admin.patch(path, {"rules": narrow}, "merge"))
    try:
        assert metrics.await_count()["unknown"] > 0
        assert metrics.problem() == "ok"
    finally:
        accepted(callers.admin.patch(path, {"rules": role["rules"]}, "merge"))
    assert metrics.await_count()["unknown"] == 0


def test_without_the_role_the_last_counts_stay_and_the_failure_is_counted_and_logged(
    metrics: CoverageMetrics, rights: list[Object], callers: Callers, operator: Operator
) -> None:
    binding = next(one for one in rights if one["kind"] == "ClusterRoleBinding")
    accepted(callers.admin.delete(f"{BINDINGS}/{binding['metadata']['name']}"))
    until(lambda: metrics.attempts("failed") >= 1, "a count fails", LONGEST)
    kept, counted_at = metrics.by_code("findings"), metrics.samples()["counted_timestamp_seconds"]
    assert "needs the right to list namespaces" in metrics.problem()
    until(lambda: metrics.attempts("failed") >= 2, "another count fails", LONGEST)
    assert (metrics.by_code("findings"), metrics.samples()["counted_timestamp_seconds"]) == (kept, counted_at)
    lines = operator.said("the findings of coverage are not counted: trying again")
    assert any("cannot list resource" in line["why"] for line in lines)
    apply(callers.admin, [binding])
    until(lambda: metrics.problem() == "ok", "it counts again", LONGEST)
