"""Helm 3 and Helm 4 make the same of the chart: what each prints, finds fault with, and installs.

Standing: what Helm 4 installs, it applies on the server's side; Helm 3 creates it.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from cluster.chart.conftest import HELMS
from localcluster import build, pins
from localcluster.controlplane import ControlPlane
from support import charts
from support.objects import Object

ADMISSION: Final = "ValidatingWebhookConfiguration"


def run(helm: Path, *arguments: str | Path) -> str:
    command: list[str | Path] = [helm, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def printed(helm: Path, *more: str | Path) -> list[Object]:
    """Return what `helm template` prints for the Kubernetes that the tests run."""
    where = ("--namespace", charts.NAMESPACE, "--kube-version", pins.kubernetes().version_of("k8s.io/kubernetes"))
    return charts.parsed(run(helm, "template", charts.RELEASE, charts.PATH, *where, *more))


def in_order(documents: Sequence[Object]) -> list[Object]:
    return sorted(documents, key=lambda one: (one["kind"], one["metadata"]["name"]))


def but(kind: str, documents: Sequence[Object]) -> list[Object]:
    return [one for one in documents if one["kind"] != kind]


@pytest.mark.parametrize("values", charts.CI, ids=lambda path: path.stem)
def test_both_print_the_same_objects_and_the_library_of_the_other_tests_has_no_others(
    helms: dict[str, Path], values: Path
) -> None:
    first, second = (printed(helm, "--values", values) for helm in helms.values())
    assert in_order(first) == in_order(second) == in_order(charts.render(charts.ci(values)).documents)
    # Helm 4 registers admission before it creates the guards, and Helm 3 after. Neither needs the other.
    assert but(ADMISSION, first) == but(ADMISSION, second)


def test_neither_finds_fault_with_the_chart(helms: dict[str, Path]) -> None:
    for helm in helms.values():
        assert "0 chart(s) failed" in run(helm, "lint", "--strict", charts.PATH, "--namespace", charts.NAMESPACE)


@pytest.mark.parametrize("name", HELMS)
def test_each_installs_what_it_prints_and_a_dry_run_installs_nothing(helms: dict[str, Path], name: str) -> None:
    with ControlPlane(build.ensure()) as plane:
        access = ("--namespace", charts.NAMESPACE, "--kubeconfig", plane.cluster.admin_kubeconfig)
        install = ("install", charts.RELEASE, charts.PATH, "--create-namespace", *access)
        run(helms[name], *install, "--dry-run=server")
        assert run(helms[name], "list", "--short", *access).split() == []
        run(helms[name], *install)
        stored = charts.parsed(run(helms[name], "get", "manifest", charts.RELEASE, *access))
    # The pod of `helm test` is a hook, and no part of what is installed.
    assert stored == but("Pod", printed(helms[name]))
    assert len(stored) > 30
