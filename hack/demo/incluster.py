"""The cases' ground in a cluster with nodes: Bailiwick installed by its chart, and everybody who takes part a pod.

Standing: beside `stack`, which runs the same as processes of this machine. Only the people, who use kubectl, and the
issuer of their tokens are on this machine.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from bailiwick_api.accounts import GUARD_CONFIG_MAP, Installation
from demo.accounts import Accounts
from demo.frompods import DEPLOYER, FromPods, PodError, manifest, participants, running
from demo.ground import ROOT, Ground, Keeper, Pod, Workloads, run
from demo.install import InstallError
from demo.narrator import Narrator
from issuer.keys import Signer
from issuer.server import Server
from localcluster.access import Cluster
from localcluster.rest import Rest

NAMESPACE: Final = Installation().namespace
RELEASE: Final = "bailiwick"
CHART: Final = ROOT / "charts" / "bailiwick"
SERVICE: Final = f"https://bailiwick-webhook.{NAMESPACE}.svc"
POINTS: Final = 3
_COMPONENT: Final = "app.kubernetes.io/component"
# Whoever made no pod of it has no image that could be run by this name.
_NOWHERE: Final = "localhost/nowhere:none"
_MADE_SECONDS: Final = 60.0
_EXAMPLES: Final = ("crm", "deploy", "secrets", "support", "reports")


@dataclass(frozen=True, slots=True)
class Images:
    """The two images, as the node has them or can pull them: `<name>:<tag>`, or `<name>@<digest>`."""

    webhook: str
    operator: str


class DeployedPods:
    """The deployer's pods, which run: the approved image is the webhook's, the other one the operator's."""

    how: Final = "The pods are running, and the kubelet reports their images."

    def __init__(self, cluster: Cluster, images: Images) -> None:
        """Prepare; nothing is made yet."""
        self._cluster = cluster
        self._images = images

    def create(self, name: str, containers: Mapping[str, bool], init: Mapping[str, bool] | None = None) -> Pod:
        """Return a pod of the deployer, once its kubelet has something to say of it. Raises `PodError`."""
        images = {
            one: self._images.webhook if approved else self._images.operator for one, approved in containers.items()
        }
        waiting = {one: self._images.webhook if approved else _NOWHERE for one, approved in (init or {}).items()}
        made = self._cluster.rest().create(manifest("ci", name, "deployer", DEPLOYER, images, waiting))
        if not made.ok:
            raise PodError(f"pod ci/{name}: {made.message}")
        if not waiting:
            return running(self._cluster, "ci", name)
        answer = self._cluster.rest().wait(made.body, lambda answer: _seen(answer.body), _MADE_SECONDS)
        return answer.body


@dataclass
class InCluster(Ground):
    """A cluster with Bailiwick installed by Helm. `start` in this order: issuer, Bailiwick, examples."""

    cluster: Cluster
    folder: Path
    helm: Path
    images: Images
    # The chart, and the flags by which helm reaches it.
    chart: tuple[str, ...] = ("charts/bailiwick",)
    acting: Accounts = field(init=False)
    workloads: Workloads = field(init=False)
    keeper: Keeper = field(init=False)
    signer: Signer | None = None
    crm_url: str = "http://crm-api.crm.svc"
    points: int = POINTS

    def __post_init__(self) -> None:
        """Act from pods."""
        pods = FromPods(self.cluster)
        self.acting, self.keeper = pods, pods.kubeconfig
        self.workloads = DeployedPods(self.cluster, self.images)

    def evaluation(self, endpoint: str, number: int = 0) -> str:  # noqa: ARG002 - the Service chooses
        """Where the Service of all decision points is asked; each connection goes to one of them."""
        return f"{SERVICE}/endpoints/{endpoint}/access/v1/evaluation"

    def records(self) -> list[str]:
        """Return the lines of all decision records, which the pods write to standard output beside their logs."""
        selected = ("--namespace", NAMESPACE, "--selector", f"{_COMPONENT}=webhook", "--tail=-1")
        code, said = self.kubectl("logs", *selected)
        if code != 0:
            raise PodError(f"the logs of the decision points: {said}")
        return [line for line in said.splitlines() if '"class_uid"' in line]

    def install(self, tell: Narrator, values: Mapping[str, Any]) -> None:
        """Install the chart, and wait until all is ready and the guard is proven. Raises `InstallError`."""
        given = {**values, **self._issuers()}
        file = self.folder / "values.yaml"
        file.write_text(yaml.safe_dump(given, sort_keys=False), encoding="utf-8")
        tell.step("The chart is installed.")
        self._helm(tell, "upgrade", "--install", RELEASE, *self.chart, "--values", str(file), "--wait")
        self.await_guard()

    def await_guard(self) -> None:
        """Wait until the operator has proven the guard; before that nothing counts."""
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{GUARD_CONFIG_MAP}"
        self.cluster.rest().wait(path, lambda answer: answer.ok, _MADE_SECONDS)

    def uninstall(self, tell: Narrator) -> None:
        """Take the release back; definitions and what is of them stay. Raises `InstallError`."""
        self._helm(tell, "uninstall", RELEASE, "--wait")

    def examples(self, tell: Narrator) -> None:
        """Apply the four examples and make the pods of all who take part. Raises `InstallError` and `PodError`."""
        tell.step("The examples are applied: accounts, roles and policies.")
        digest = self._digest()
        for name in _EXAMPLES:
            documents = _documents(f"examples/{name}/accounts.yaml", f"examples/{name}/policy.yaml")
            for document in documents:
                if document["kind"] == "EndpointPolicy" and name == "deploy":
                    document["spec"]["subjects"][0]["workload"]["imageDigests"] = [digest]
                _apply(self.cluster.rest(), document)
            made = ", ".join(f"{one['kind']} {one['metadata']['name']}" for one in documents)
            tell.answer(f"examples/{name}: {made}")
        for document in _documents("hack/demo/broad-rights.yaml"):
            _apply(self.cluster.rest(), document)
        tell.answer(f"The approved image of the deployer is the image that this node reports as {digest}.")
        tell.step("Every participant runs as a pod, with tokens that the kubelet projects.")
        participants(self.cluster, self.images.webhook, self.authority())
        self._kubectl(tell, "get", "pods", "--all-namespaces", "--selector=demo", "--output=wide")
        self._kubectl(tell, "wait", "--for=condition=Ready", "epol", "--all", "--all-namespaces", "--timeout=60s")

    def authority(self) -> str:
        """Return the authority of the decision points, as the operator publishes it."""
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/bailiwick-ca"
        answer = self.cluster.rest().wait(path, lambda answer: bool(answer.body.get("data")), _MADE_SECONDS)
        return str(answer.body["data"]["ca.crt"])

    @contextmanager
    def issuing(self, host: str) -> Iterator[None]:
        """Run the issuer of people's tokens on this machine, at an address of pods, while the block runs."""
        server = Server(0, self.folder / "issuer", host)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        self.signer = server.signer
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _issuers(self) -> dict[str, Any]:
        if self.signer is None:
            return {}
        corp = {"name": "corp", "issuer": self.signer.url, "caFile": "corp.crt", "allowPrivateAddresses": True}
        return {"issuers": [corp], "issuerFiles": {"corp.crt": (self.folder / "issuer" / "ca.crt").read_text()}}

    def _digest(self) -> str:
        """Return the digest of the webhook's image, as a kubelet reports it of a pod that runs it."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={_COMPONENT}%3Dwebhook"
        pods = self.cluster.rest().get(path).body["items"]
        return str(pods[0]["status"]["containerStatuses"][0]["imageID"]).rpartition("@")[2]

    def _helm(self, tell: Narrator, *arguments: str) -> None:
        tell.command(f"helm {' '.join(arguments)} --namespace {NAMESPACE}")
        where = [f"--kubeconfig={self.cluster.admin_kubeconfig}", "--namespace", NAMESPACE]
        if arguments[0] != "uninstall":
            where.append("--create-namespace")
        code, said = run(self.helm, *arguments, *where, "--timeout=5m", seconds=330)
        if code != 0:
            raise InstallError(f"helm {arguments[0]}: {said}\n{self._pods()}")
        tell.answer(said.split("\nNOTES:")[0])

    def _pods(self) -> str:
        """Say how the pods are, for whoever reads why an installation failed."""
        _, listed = self.kubectl("get", "pods,events", "--namespace", NAMESPACE, "--output=wide")
        _, logs = self.kubectl("logs", "--namespace", NAMESPACE, "--selector", "app.kubernetes.io/name", "--tail=20")
        return f"{listed}\n{logs}"

    def _kubectl(self, tell: Narrator, *arguments: str) -> None:
        tell.command(f"kubectl {' '.join(arguments)}")
        code, said = self.kubectl(*arguments)
        tell.answer(said)
        if code != 0:
            raise InstallError(f"kubectl {arguments[0]}: {said}")


def _documents(*files: str) -> list[dict[str, Any]]:
    return [one for file in files for one in yaml.safe_load_all((ROOT / file).read_text(encoding="utf-8")) if one]


def _apply(rest: Rest, document: Mapping[str, Any]) -> None:
    answer = rest.apply(dict(document), "demo")
    if not answer.ok:
        name = document["metadata"]["name"]
        raise InstallError(
            f"{document['kind']} {name}: {answer.status} {answer.message} {json.dumps(answer.body)[:300]}"
        )


def _seen(pod: Mapping[str, Any]) -> bool:
    """Whether a kubelet has said something of the pod's init containers."""
    statuses: Sequence[Mapping[str, Any]] = pod.get("status", {}).get("initContainerStatuses") or ()
    return any(status.get("state", {}).get("waiting", {}).get("reason", "").startswith("Err") for status in statuses)
