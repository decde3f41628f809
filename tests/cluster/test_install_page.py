"""The pages install.md and upgrade.md of `docs/operations`, by hand on a bare API server, until nothing is left."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from demo.stack import Stack
from localcluster import build
from localcluster.controlplane import ControlPlane
from localcluster.process import spawn, stop
from releasemaker import manifests
from support import charts
from support.shell import Shell, succeeded
from support.stacks import stack_on
from support.waits import until

pytestmark = pytest.mark.long

READY: Final = "kubectl apply --server-side -f examples/crm"


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Stack]:
    """An API server of this test alone, with nothing of ours."""
    with ControlPlane(build.ensure()) as plane, stack_on(plane.cluster, tmp_path) as stack:
        yield stack


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """What a release has of it: `install.yaml`."""
    install, _ = manifests.write("0.1.0", "\n---\n".join(charts.texts().values()), tmp_path)
    return install


def test_what_the_pages_say_installs_it_and_takes_it_away_again(empty: Stack, manifest: Path) -> None:
    install, upgrade = Shell(empty.cluster, "operations/install.md"), Shell(empty.cluster, "operations/upgrade.md")
    says_that_it_is_not_there(install, empty)
    installs(install, empty, manifest)
    decides(install, empty)
    looks_upgraded(upgrade)
    is_removed(upgrade, empty.stop, manifest)


def says_that_it_is_not_there(install: Shell, stack: Stack) -> None:
    # A group of which nothing is known is answered in plain text, and not by a Status.
    refused = install.type("kubectl bailiwick list -n crm")
    assert (refused.returncode, refused.stdout) == (2, "")
    absent = "does not serve bailiwick.dev/v1alpha1: Bailiwick is not installed in this cluster\n"
    assert refused.stderr.endswith(absent)
    log = stack.folder / "early.log"
    config = stack.cluster.kubeconfig("admin")
    flags: list[str | Path] = ["--kubeconfig", config, "--port=0", "--admission-port=0", "--status-port=0"]
    early = spawn("early", [sys.executable, "-m", "bailiwick_webhook", *flags], log)
    try:
        until(
            lambda: "404, and the body is not JSON: make sure that the CRDs in crds/ are applied" in log.read_text(),
            "it says so",
        )
    finally:
        stop([early.id])
        early.handle.wait()


def installs(install: Shell, stack: Stack, manifest: Path) -> None:
    succeeded(install.run("kubectl apply --server-side -f install.yaml", **{"install.yaml": str(manifest)}))
    # The registration names the Service, behind which there is nothing here: the processes below are no pods.
    succeeded(install.type("kubectl delete validatingwebhookconfiguration bailiwick-endpointpolicies"))
    # The rights that the first start needs are in force a moment after they were stored; the operator waits for them.
    stack.start_operator()
    stack.await_guard()
    assert succeeded(install.run("kubectl get configmap bailiwick-guard")).startswith("20")
    stack.start_decision_point()


def decides(install: Shell, stack: Stack) -> None:
    assert "condition met" in succeeded(install.run(READY))
    rights = "kubectl auth can-i approve endpointpolicies.bailiwick.dev/crm-agent -n crm"
    succeeded(install.run("kubectl create rolebinding owners-view"))
    assert succeeded(install.type(rights, "carol")).strip() == "yes"
    assert install.type(rights, "mallory").stdout.strip() == "no"
    assert "allowed" in succeeded(install.run("kubectl bailiwick check")).lower()
    url = f'PDP="{stack.decision_points[0].url}"\n'
    # Here it answers without TLS, and under its own address.
    here = {"--cacert ca.crt --connect-to ::localhost:8443 ": "", "ENFORCER=": f"{url}ENFORCER="}
    answer = json.loads(succeeded(install.run("ENFORCER=", **here)))
    assert answer["decision"] is True, answer


def looks_upgraded(upgrade: Shell) -> None:
    assert "crm-agent" in succeeded(upgrade.run("kubectl get epol -A"))
    assert "condition met" in succeeded(upgrade.run("kubectl apply --server-side --force-conflicts"))


def is_removed(upgrade: Shell, stop: Callable[[], None], manifest: Path) -> None:
    stop()
    left = "kubectl get crd,clusterrole"
    assert "bailiwick" in upgrade.run(left).stdout
    removal = "kubectl delete --ignore-not-found validatingwebhookconfiguration"
    succeeded(upgrade.run(removal, **{"install.yaml": str(manifest)}))
    assert upgrade.run(left).stdout == ""
