"""examples/fleet: one ApplicationSet, two clusters, a wave for each, and the gate before each sync."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from localcluster.argocd import ArgoCD
from support import commandline
from support.fleetsync import Fleet, kubeconfig
from support.pdp.processes import Bailiwick
from support.waits import until


@pytest.fixture(scope="module")
def fleet(bailiwick: Bailiwick, argocd: ArgoCD, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    assert argocd is not None
    with ExitStack() as closing:
        clusters = {"east": bailiwick, "west": Bailiwick.begin(closing, replicas=1)}
        fleet = Fleet.begin(clusters, tmp_path_factory.mktemp("fleet"))
        fleet.render()
        fleet.apply()
        yield fleet


@pytest.mark.timeout(900)
def test_a_policy_comes_to_all_clusters_wave_after_wave_and_stops_where_a_gate_says_no(
    fleet: Fleet, tmp_path: Path
) -> None:
    fleet.end_gate("east", 0)
    # The second wave has not begun while the first one is not in step.
    fleet.end_gate("west", 0)
    for name in fleet.clusters:
        fleet.await_settled(name)
    assert fleet.operation("east")["finishedAt"] <= fleet.operation("west")["startedAt"]
    groups = {name: fleet.live(name)["spec"]["rules"][1]["approval"]["steps"][0]["groups"] for name in fleet.clusters}
    assert groups == {"east": ["crm-owners"], "west": ["crm-owners-west"]}

    config = kubeconfig(fleet.clusters, tmp_path / "config")

    def drift() -> str:
        named = [part for name in fleet.clusters for part in ("--against", f"{name}={fleet.policies(name)}")]
        arguments = ("fleet", "status", "--argocd", *named, "--fail-on", "drift", "-o", "json")
        ran = commandline.run(*arguments, kubeconfig=config)
        rows = json.loads(ran.out)["clusters"]
        return f"{ran.code} " + " ".join(f"{row['name']}:{row['checks']['drift']['state']}" for row in rows)

    assert drift() == "0 east:good west:good"
    base = fleet.folder / "base" / "policy.yaml"
    base.write_text(base.read_text(encoding="utf-8").replace("customers.get]", "customers.get, customers.search]"))
    fleet.render()
    assert drift() == "1 east:doubt west:doubt"
    fleet.end_gate("east", 1)
    until(lambda: fleet.operation("east").get("phase") == "Failed", "the sync of east has failed", 60)
    assert [fleet.pending("west"), fleet.operation("west")["phase"]] == [[], "Succeeded"]
    for name in fleet.clusters:
        assert "customers.search" not in fleet.live(name)["spec"]["rules"][0]["actions"]
