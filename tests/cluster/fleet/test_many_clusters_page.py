"""The page `how-to/many-clusters.md`, typed at two clusters."""

import json
from pathlib import Path
from typing import Final

import pytest
import yaml

from cluster.fleet.fleetworld import FleetWorld, argo_secrets
from support.shell import Shell, succeeded

PAGE: Final = "how-to/many-clusters.md"


@pytest.fixture
def shell(fleet: FleetWorld, tmp_path: Path) -> Shell:
    """Types blocks of the page in a folder with the manifests of Git."""
    fleet.await_well()
    for name in ("policies", "east", "west"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(fleet.policy()))
    return Shell(fleet.as_one_cluster, PAGE, tmp_path)


def test_the_page_asks_both_clusters(shell: Shell) -> None:
    rows = succeeded(shell.run("kubectl bailiwick fleet status --contexts east,west\n")).splitlines()
    assert [row.split()[0] for row in rows] == ["CLUSTER", "east", "west"]


def test_the_page_chooses_what_fails(shell: Shell) -> None:
    succeeded(shell.run("kubectl bailiwick fleet status --contexts east,west --fail-on guards"))


def test_the_page_prints_json(shell: Shell, tmp_path: Path) -> None:
    succeeded(shell.run("kubectl bailiwick fleet status --contexts east,west --fail-on none"))
    assert json.loads((tmp_path / "fleet.json").read_text())["kind"] == "FleetStatus"


@pytest.mark.parametrize("against", ["policies.yaml", "east=east.yaml"])
def test_the_page_compares_with_git(shell: Shell, against: str) -> None:
    said = succeeded(shell.run(f"kubectl bailiwick fleet status --contexts east,west --against {against}"))
    assert "DRIFT" in said.splitlines()[0]


def test_the_page_asks_the_clusters_of_argo_cd(shell: Shell, fleet: FleetWorld) -> None:
    with argo_secrets(fleet, {"production-west": fleet.clusters["west"].cluster.server}):
        rows = succeeded(shell.run("kubectl bailiwick fleet status --argocd")).splitlines()
    assert [row.split()[0] for row in rows] == ["CLUSTER", "production-west"]
