"""Two control planes, each with an operator and a decision point, and one kubeconfig that leads to both.

Holds: Deployments are there as objects of the chart's labels alone, since no pod runs; all else is what runs.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import yaml

from localcluster.access import Cluster
from localcluster.ports import free_ports
from support import commandline
from support.commandline import Ran
from support.faultproxy import FaultProxy
from support.installation import accepted
from support.objects import Object, policy, settings
from support.pdp.processes import Bailiwick
from support.waits import until

VERSION: Final = "0.1.0"
DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/bailiwick-system/deployments"
SECRET: Final = "token-of-the-kubeconfig"


@dataclass
class FleetWorld:
    """`east` and `west` run. In the kubeconfig are also `down`, at which nothing listens, and `faulty`, before east."""

    clusters: Mapping[str, Bailiwick]
    faults: FaultProxy
    kubeconfig: Path
    namespace: str = "fleet"

    @classmethod
    def begin(cls, closing: ExitStack, folder: Path) -> Self:
        """Start everything, with one policy that is the same in both."""
        clusters = {name: Bailiwick.begin(closing, replicas=1) for name in ("east", "west")}
        faults = closing.enter_context(FaultProxy(clusters["east"].cluster, folder))
        admin = clusters["east"].cluster.kubeconfig()
        files = {name: bailiwick.cluster.kubeconfig() for name, bailiwick in clusters.items()}
        files["faulty"] = faults.kubeconfig(admin)
        files["down"] = admin
        self = cls(clusters, faults, _join(folder / "kubeconfigs" / "admin.kubeconfig", files))
        for bailiwick in clusters.values():
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
            accepted(bailiwick.callers.admin.create(namespace))
            for part in ("operator", "webhook"):
                accepted(bailiwick.callers.admin.create(deployment(part)))
            accepted(bailiwick.callers.admin.create(self.policy()))
        return self

    def policy(self, name: str = "crm-agent", endpoint: str = "crm-api", **spec: Any) -> Object:  # noqa: ANN401 - fields
        """Return a policy of the namespace that both clusters have."""
        return policy(self.namespace, name, endpoint=endpoint, endpointSettings=settings(self.namespace), **spec)

    @property
    def as_one_cluster(self) -> Cluster:
        """The cluster of the current context, with the kubeconfig that leads to all of them."""
        return replace(self.clusters["east"].cluster, folder=self.kubeconfig.parents[1])

    def await_well(self) -> "FleetAnswer":
        """Wait until the operators have judged, proven and cosigned everything."""
        until(lambda: self.run("--contexts", "east,west").code == 0, "all is well", 90.0)
        return self.status("--contexts", "east,west")

    def run(self, *arguments: str, person: str | None = None) -> Ran:
        """Run `fleet status`, as the administrator or as somebody else."""
        acting = () if person is None else ("--as", person)
        return commandline.run("fleet", "status", *arguments, *acting, kubeconfig=self.kubeconfig)

    def status(self, *arguments: str, person: str | None = None) -> "FleetAnswer":
        """Return what `-o json` prints."""
        ran = self.run(*arguments, "-o", "json", person=person)
        return FleetAnswer(ran, json.loads(ran.out))


@dataclass(frozen=True)
class FleetAnswer:
    """How a run ended, and what it printed."""

    ran: Ran
    body: dict[str, Any]

    def cluster(self, name: str) -> dict[str, Any]:
        """Return one row."""
        found: dict[str, Any] = next(one for one in self.body["clusters"] if one["name"] == name)
        return found

    def states(self, name: str) -> dict[str, str]:
        """Return the state of each check of a row."""
        return {code: check["state"] for code, check in self.cluster(name)["checks"].items()}

    def message(self, name: str, code: str) -> str:
        """Return what a check of a row says."""
        return str(self.cluster(name)["checks"][code]["message"])


def deployment(part: str, version: str = VERSION) -> Object:
    """Return a Deployment with the labels of the chart."""
    selector = {"app.kubernetes.io/name": "bailiwick", "app.kubernetes.io/component": part}
    labels = {
        **selector,
        "app.kubernetes.io/part-of": "bailiwick",
        "app.kubernetes.io/version": version,
        "helm.sh/chart": f"bailiwick-{version}",
    }
    container = {"name": part, "image": f"registry.example.com/bailiwick-{part}:{version}"}
    template = {"metadata": {"labels": selector}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"bailiwick-{part}", "namespace": "bailiwick-system", "labels": labels},
        "spec": {"selector": {"matchLabels": selector}, "template": template},
    }


@contextmanager
def argo_secrets(fleet: FleetWorld, servers: Mapping[str, str]) -> Iterator[None]:
    """Have a cluster Secret of Argo CD in east for each server, with credentials that must not be used or printed."""
    admin = fleet.clusters["east"].callers.admin
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}}
    # There is no controller that would end a namespace.
    assert admin.create(namespace).status in {201, 409}
    secrets = [_cluster_secret(name, server) for name, server in servers.items()]
    for secret in secrets:
        accepted(admin.create(secret))
    try:
        yield
    finally:
        for secret in secrets:
            admin.delete(f"/api/v1/namespaces/argocd/secrets/{secret['metadata']['name']}")


def _cluster_secret(name: str, server: str) -> Object:
    labels = {"argocd.argoproj.io/secret-type": "cluster"}
    config = json.dumps({"bearerToken": SECRET, "tlsClientConfig": {"insecure": True}})
    data = {"name": name, "server": server, "config": config}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"cluster-{name}", "namespace": "argocd", "labels": labels},
        "stringData": data,
    }


def _join(path: Path, files: Mapping[str, Path]) -> Path:
    """Write one kubeconfig with a context for each of these files, called as they are."""
    parts: dict[str, list[Any]] = {"clusters": [], "users": [], "contexts": []}
    for name, file in files.items():
        raw = yaml.safe_load(file.read_text())
        cluster, user = dict(raw["clusters"][0]["cluster"]), dict(raw["users"][0]["user"])
        if name == "down":
            cluster["server"], user = f"https://127.0.0.1:{free_ports(1)[0]}", {"token": SECRET}
        parts["clusters"].append({"name": f"cluster-of-{name}", "cluster": cluster})
        parts["users"].append({"name": f"user-of-{name}", "user": user})
        parts["contexts"].append(
            {"name": name, "context": {"cluster": f"cluster-of-{name}", "user": f"user-of-{name}"}}
        )
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "east", **parts}))
    path.chmod(0o600)
    return path
