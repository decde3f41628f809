"""examples/fleet: one ApplicationSet, two clusters, a wave for each, and the gate before each sync.

There is no kubelet here: the test says how the pods of the gate ended. The repository holds what Kustomize builds,
since the program that Argo CD would call is not here.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml

from bailiwick_kube.paths import policies_path
from demo.ground import KUBECTL
from localcluster.argocd import NAMESPACE, ArgoCD
from support import commandline
from support.gitops import APPLICATIONS, Application, Repository
from support.installation import MANAGER, accepted
from support.objects import Object
from support.pages import DOCS
from support.pdp.processes import Bailiwick
from support.waits import until

EXAMPLES: Final = DOCS.parent / "examples"
FLEET: Final = EXAMPLES / "fleet"
GATE: Final = "/api/v1/namespaces/crm-policy-gate/pods"
REPOSITORY: Final = "https://git.example.com/crm/policies.git"
WAVES: Final = {"east": "1", "west": "2"}


@dataclass
class Fleet:
    """`east` is the cluster of Argo CD. `folder` is the example, as it is rendered; `repository` what is committed."""

    clusters: dict[str, Bailiwick]
    repository: Repository
    folder: Path

    def render(self) -> None:
        """Render the example, and commit what Kustomize makes of each cluster's folder."""
        environment = {**os.environ, "PATH": f"{KUBECTL.parent}:{os.environ['PATH']}", "GATES": str(EXAMPLES / "gates")}
        ran = subprocess.run(
            [self.folder / "render.sh"], env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        for name in self.clusters:
            built = subprocess.run(
                [KUBECTL, "kustomize", str(self.folder / "rendered" / name)],
                capture_output=True,
                text=True,
                check=True,
            )
            documents = list(yaml.safe_load_all(built.stdout))
            assert sorted(one["kind"] for one in documents) == ["ConfigMap", "EndpointPolicy", "Job"]
            self.repository.write(f"rendered/{name}/all.yaml", *documents)

    def policies(self, name: str) -> Path:
        """Return the file of the policies of a cluster."""
        return self.folder / "rendered" / name / "policies.yaml"

    def app(self, name: str) -> Application:
        """Return the application of a cluster."""
        return Application(self.clusters["east"].callers.admin, self.repository, f"crm-policies-{name}")

    def live(self, name: str) -> Object:
        """Return the policy of a cluster; empty while there is none."""
        answer = self.clusters[name].callers.admin.get(policies_path("crm", "crm-agent"))
        return answer.body if answer.ok else {}

    def pending(self, name: str) -> list[Object]:
        """Return the pods of a cluster's gate that have not ended."""
        pods = accepted(self.clusters[name].callers.admin.get(GATE))["items"]
        return [pod for pod in pods if pod["status"]["phase"] == "Pending"]

    def end_gate(self, name: str, code: int) -> None:
        """Wait for the gate of a cluster, and say what a kubelet would: that its container ended with this code."""
        until(lambda: self.refreshed(name) and self.pending(name), f"the gate of {name} has begun", 120)
        admin = self.clusters[name].callers.admin
        ended = {"terminated": {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}}
        container = {"name": "diff", "state": ended, "image": "", "imageID": "", "ready": False, "restartCount": 0}
        status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [container]}
        for pod in self.pending(name):
            accepted(admin.patch(f"{GATE}/{pod['metadata']['name']}", {"status": status}, "merge", "status"))

    def refreshed(self, name: str) -> bool:
        """Have Argo CD look at the repository again, once the application is there."""
        admin = self.clusters["east"].callers.admin
        there = admin.get(f"{APPLICATIONS}/crm-policies-{name}").ok
        if there:
            self.app(name).refresh()
        return there

    def operation(self, name: str) -> Object:
        """Return what Argo CD says of the newest sync of a cluster."""
        found: Object = self.app(name).status().get("operationState") or {}
        return found


@pytest.fixture(scope="module")
def fleet(bailiwick: Bailiwick, argocd: ArgoCD, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    assert argocd is not None
    folder = tmp_path_factory.mktemp("fleet")
    shutil.copytree(FLEET, folder / "fleet")
    with ExitStack() as closing:
        clusters = {"east": bailiwick, "west": Bailiwick.begin(closing, replicas=1)}
        fleet = Fleet(clusters, Repository(folder / "git"), folder / "fleet")
        fleet.render()
        for cluster in clusters.values():
            set_up(cluster)
        admin = bailiwick.callers.admin
        for name, cluster in clusters.items():
            accepted(admin.apply(cluster_secret(name, cluster, hub=name == "east"), MANAGER, force=True))
        text = (FLEET / "applicationset.yaml").read_text(encoding="utf-8")
        assert REPOSITORY in text
        for document in yaml.safe_load_all(text.replace(REPOSITORY, fleet.repository.url)):
            if document["kind"] == "ApplicationSet":
                # So that a sync ends once the gate has said no: otherwise it is asked again, five times.
                document["spec"]["template"]["spec"]["syncPolicy"]["retry"] = {"limit": 0}
            accepted(admin.apply(document, MANAGER, force=True))
        yield fleet


def set_up(cluster: Bailiwick) -> None:
    """Apply the namespaces, the account of Argo CD and what the gate needs, as the examples have them."""
    admin = cluster.callers.admin
    accepted(admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "crm"}}, MANAGER, force=True))
    for name in ("gitops/policies.yaml", "gates/argocd-presync-setup.yaml"):
        for document in yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8")):
            if not document["apiVersion"].startswith("argoproj.io/"):
                accepted(admin.apply(document, MANAGER, force=True))


def cluster_secret(name: str, cluster: Bailiwick, *, hub: bool) -> Object:
    """Return the Secret by which Argo CD knows a cluster, with the label of its wave."""
    server, config = "https://kubernetes.default.svc", "{}"
    if not hub:
        server = cluster.cluster.server
        config = json.dumps({"bearerToken": manager_token(cluster), "tlsClientConfig": authority(cluster)})
    labels = {"argocd.argoproj.io/secret-type": "cluster", "wave": WAVES[name]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"cluster-{name}", "namespace": NAMESPACE, "labels": labels},
        "stringData": {"name": name, "server": server, "config": config},
    }


def manager_token(cluster: Bailiwick) -> str:
    """Return a token of an account that may do everything, as Argo CD has one in each of its clusters."""
    admin, rbac = cluster.callers.admin, "rbac.authorization.k8s.io"
    metadata = {"name": "argocd-manager", "namespace": "kube-system"}
    accepted(admin.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, MANAGER, force=True))
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "argocd-manager"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", **metadata}],
    }
    accepted(admin.apply(binding, MANAGER, force=True))
    return cluster.cluster.service_account_token("kube-system", "argocd-manager")


def authority(cluster: Bailiwick) -> dict[str, str]:
    raw = yaml.safe_load(cluster.cluster.kubeconfig().read_text(encoding="utf-8"))
    return {"caData": raw["clusters"][0]["cluster"]["certificate-authority-data"]}


def kubeconfig(fleet: Fleet, path: Path) -> Path:
    """Write a person's kubeconfig, whose contexts lead to both clusters."""
    parts: dict[str, list[Object]] = {"clusters": [], "users": [], "contexts": []}
    for name, cluster in fleet.clusters.items():
        raw = yaml.safe_load(cluster.cluster.kubeconfig().read_text(encoding="utf-8"))
        parts["clusters"].append({"name": name, "cluster": raw["clusters"][0]["cluster"]})
        parts["users"].append({"name": name, "user": raw["users"][0]["user"]})
        parts["contexts"].append({"name": name, "context": {"cluster": name, "user": name}})
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "east", **parts}))
    return path


@pytest.mark.timeout(900)
def test_a_policy_comes_to_all_clusters_wave_after_wave_and_stops_where_a_gate_says_no(
    fleet: Fleet, tmp_path: Path
) -> None:
    fleet.end_gate("east", 0)
    # The second wave has not begun while the first one is not in step.
    fleet.end_gate("west", 0)
    for name in fleet.clusters:
        fleet.app(name).await_settled(seconds=120)
    assert fleet.operation("east")["finishedAt"] <= fleet.operation("west")["startedAt"]
    groups = {name: fleet.live(name)["spec"]["rules"][1]["approval"]["steps"][0]["groups"] for name in fleet.clusters}
    assert groups == {"east": ["crm-owners"], "west": ["crm-owners-west"]}

    def drift() -> str:
        named = [part for name in fleet.clusters for part in ("--against", f"{name}={fleet.policies(name)}")]
        arguments = ("fleet", "status", "--argocd", *named, "--fail-on", "drift", "-o", "json")
        ran = commandline.run(*arguments, kubeconfig=kubeconfig(fleet, tmp_path / "config"))
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
