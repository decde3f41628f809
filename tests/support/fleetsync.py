"""examples/fleet on clusters of one's own: the repository that it is rendered into, and what Argo CD knows of them.

Standing: under the tests and the demo of a fleet. There is no kubelet, so these run the gate themselves, or write how
its pod ended. The repository holds what Kustomize builds, since the program that Argo CD would call is not here.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import yaml

from bailiwick_kube.paths import policies_path
from demo.ground import KUBECTL
from localcluster.argocd import NAMESPACE
from support import gatecontainer
from support.commandline import Ran
from support.gitops import APPLICATIONS, Application, Repository
from support.installation import MANAGER, accepted
from support.objects import Object
from support.pages import DOCS
from support.pdp.processes import Bailiwick
from support.waits import until

EXAMPLES: Final = DOCS.parent / "examples"
HUB: Final = "east"
RENDERING: Final = {"GATES": str(EXAMPLES / "gates")}
"""What `render.sh` finds the gate by, where the example is copied to."""
WAVES: Final = {HUB: "1", "west": "2"}
_GATE: Final = "crm-policy-gate"
_PODS: Final = f"/api/v1/namespaces/{_GATE}/pods"
_REPOSITORY: Final = "https://git.example.com/crm/policies.git"
_SECONDS: Final = 120.0


@dataclass
class Fleet:
    """`east` is the cluster of Argo CD. `folder` is the example, as it is rendered; `repository` what is committed."""

    clusters: dict[str, Bailiwick]
    repository: Repository
    folder: Path

    @classmethod
    def begin(cls, clusters: dict[str, Bailiwick], folder: Path) -> Self:
        """Copy the example below a folder, prepare the clusters, and have Argo CD know them."""
        fleet = cls(clusters, Repository(folder / "git"), copied(folder))
        for cluster in clusters.values():
            set_up(cluster)
        admin = clusters[HUB].callers.admin
        for name, cluster in clusters.items():
            accepted(admin.apply(_cluster_secret(name, cluster), MANAGER, force=True))
        return fleet

    def render(self) -> None:
        """Render the example, and commit what Kustomize makes of each cluster's folder."""
        environment = {**os.environ, "PATH": f"{KUBECTL.parent}:{os.environ['PATH']}", **RENDERING}
        ran = subprocess.run(
            [self.folder / "render.sh"], env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        for name in self.clusters:
            self.commit(name)

    def commit(self, name: str) -> None:
        """Commit what Kustomize makes of the folder of a cluster."""
        built = subprocess.run(
            [KUBECTL, "kustomize", str(self.rendered(name))], capture_output=True, text=True, check=True
        )
        documents = list(yaml.safe_load_all(built.stdout))
        assert sorted(one["kind"] for one in documents) == ["ConfigMap", "EndpointPolicy", "Job"]
        self.repository.write(f"rendered/{name}/all.yaml", *documents)

    def apply(self) -> None:
        """Apply the project and the ApplicationSet, for this repository."""
        text = (self.folder / "applicationset.yaml").read_text(encoding="utf-8")
        assert _REPOSITORY in text
        for document in yaml.safe_load_all(text.replace(_REPOSITORY, self.repository.url)):
            if document["kind"] == "ApplicationSet":
                # So that a sync ends once the gate has said no: otherwise it is asked again, five times.
                document["spec"]["template"]["spec"]["syncPolicy"]["retry"] = {"limit": 0}
            accepted(self.clusters[HUB].callers.admin.apply(document, MANAGER, force=True))

    def rendered(self, name: str) -> Path:
        """Return the folder of a cluster."""
        return self.folder / "rendered" / name

    def policies(self, name: str) -> Path:
        """Return the file of the policies of a cluster."""
        return self.rendered(name) / "policies.yaml"

    def app(self, name: str) -> Application:
        """Return the application of a cluster."""
        return Application(self.clusters[HUB].callers.admin, self.repository, f"crm-policies-{name}")

    def live(self, name: str) -> Object:
        """Return the policy of a cluster; empty while there is none."""
        answer = self.clusters[name].callers.admin.get(policies_path("crm", "crm-agent"))
        return answer.body if answer.ok else {}

    def pending(self, name: str) -> list[Object]:
        """Return the pods of a cluster's gate that have not ended."""
        pods = accepted(self.clusters[name].callers.admin.get(_PODS))["items"]
        return [pod for pod in pods if pod["status"]["phase"] == "Pending"]

    def await_gate(self, name: str) -> Object:
        """Wait for the pod of the gate of a cluster, and return it."""
        try:
            until(lambda: self.refreshed(name) and self.pending(name), f"the gate of {name} has begun", _SECONDS)
        except TimeoutError as error:
            admin = self.clusters[HUB].callers.admin
            application = admin.get(f"{APPLICATIONS}/crm-policies-{name}").body
            error.add_note(yaml.safe_dump(application.get("status"), sort_keys=False))
            raise
        return self.pending(name)[0]

    def end_gate(self, name: str, code: int) -> None:
        """Wait for the gate of a cluster, and say what a kubelet would: that its container ended with this code."""
        self.await_gate(name)
        admin = self.clusters[name].callers.admin
        ended = {"terminated": {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}}
        container = {"name": "diff", "state": ended, "image": "", "imageID": "", "ready": False, "restartCount": 0}
        status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [container]}
        for pod in self.pending(name):
            accepted(admin.patch(f"{_PODS}/{pod['metadata']['name']}", {"status": status}, "merge", "status"))

    def run_gate(self, name: str) -> Ran:
        """Wait for the gate of a cluster, run its container here as a kubelet would, and say how it ended."""
        (container,) = self.await_gate(name)["spec"]["containers"]
        cluster = self.clusters[name]
        files = accepted(cluster.callers.admin.get(f"/api/v1/namespaces/{_GATE}/configmaps/policy-gate"))["data"]
        folder = self.folder / f"gate-{name}"
        folder.mkdir(exist_ok=True)
        config = gatecontainer.kubeconfig(cluster.cluster, _GATE, folder / "kubeconfig")
        ran = gatecontainer.run(container, files, folder, config)
        self.end_gate(name, ran.code)
        return ran

    def await_settled(self, name: str) -> None:
        """Wait until the newest commit is in a cluster."""
        self.app(name).await_settled(seconds=_SECONDS)

    def refreshed(self, name: str) -> bool:
        """Have Argo CD look at the repository again, once the application is there."""
        admin = self.clusters[HUB].callers.admin
        there = admin.get(f"{APPLICATIONS}/crm-policies-{name}").ok
        if there:
            self.app(name).refresh()
        return there

    def operation(self, name: str) -> Object:
        """Return what Argo CD says of the newest sync of a cluster."""
        found: Object = self.app(name).status().get("operationState") or {}
        return found


def copied(folder: Path) -> Path:
    """Copy the example below a folder, and return where it is: `render.sh` writes into it."""
    found: Path = shutil.copytree(EXAMPLES / "fleet", folder / "fleet")
    return found


def kubeconfig(clusters: Mapping[str, Bailiwick], path: Path) -> Path:
    """Write a person's kubeconfig, whose contexts lead to all clusters."""
    parts: dict[str, list[Object]] = {"clusters": [], "users": [], "contexts": []}
    for name, cluster in clusters.items():
        raw = _kubeconfig_of(cluster)
        parts["clusters"].append({"name": name, "cluster": raw["clusters"][0]["cluster"]})
        parts["users"].append({"name": name, "user": raw["users"][0]["user"]})
        parts["contexts"].append({"name": name, "context": {"cluster": name, "user": name}})
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": HUB, **parts}))
    path.chmod(0o600)
    return path


def examples_of(cluster: Bailiwick, names: Iterable[str]) -> None:
    """Apply files of the examples; what is Argo CD's own is left out."""
    for name in names:
        for document in yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8")):
            if not document["apiVersion"].startswith("argoproj.io/"):
                accepted(cluster.callers.admin.apply(document, MANAGER, force=True))


def set_up(cluster: Bailiwick) -> None:
    """Apply the namespaces, the account of Argo CD and what the gate needs, as the examples have them."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "crm"}}
    accepted(cluster.callers.admin.apply(namespace, MANAGER, force=True))
    examples_of(cluster, ("gitops/policies.yaml", "gates/argocd-presync-setup.yaml"))


def _cluster_secret(name: str, cluster: Bailiwick) -> Object:
    """Return the Secret by which Argo CD knows a cluster, with the label of its wave."""
    server, config = "https://kubernetes.default.svc", "{}"
    if name != HUB:
        server = cluster.cluster.server
        config = json.dumps({"bearerToken": _manager_token(cluster), "tlsClientConfig": _authority(cluster)})
    labels = {"argocd.argoproj.io/secret-type": "cluster", "wave": WAVES[name]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"cluster-{name}", "namespace": NAMESPACE, "labels": labels},
        "stringData": {"name": name, "server": server, "config": config},
    }


def _manager_token(cluster: Bailiwick) -> str:
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


def _authority(cluster: Bailiwick) -> Mapping[str, str]:
    return {"caData": _kubeconfig_of(cluster)["clusters"][0]["cluster"]["certificate-authority-data"]}


def _kubeconfig_of(cluster: Bailiwick) -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load(cluster.cluster.kubeconfig().read_text(encoding="utf-8"))
    return raw
