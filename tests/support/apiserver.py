"""An API server that asks a decision point, by the shipped files: only addresses, places of files and names are put in.

Holds: the API server proves itself by a client certificate; the decision point is one process beside a whole Bailiwick.
"""

import base64
import copy
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import yaml

from demo.stack import DecisionPoint
from localcluster import build, process
from localcluster.controlplane import ControlPlane, Settings
from localcluster.ports import free_ports
from localcluster.rest import Answer
from support.callers import Callers
from support.installation import accepted
from support.namespaces import Namespaces, Roles
from support.objects import Object
from support.pdp.processes import Bailiwick
from support.proxies.authority import TestAuthority
from support.proxies.servers import FaultyPoint
from support.waits import until

EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "enforcement" / "kubernetes"
APISERVER: Final = "spiffe://cluster.local/kube-apiserver"
WEBHOOK: Final = "enforcement.bailiwick.dev"
IMAGE: Final = "registry.example.com/shop:1"
PODS: Final = ("web", "once", "asked")
_NAME: Final = "kubernetes.io/metadata.name"
REGISTRATION: Final = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/bailiwick-enforcement"
_HOME: Final = "/etc/kubernetes/bailiwick"
_SERVICE: Final = "bailiwick-webhook.bailiwick-system.svc"


@dataclass
class AskingServer:
    """A control plane whose API server asks: at admission once `register` was called, before RBAC by `authorizing`."""

    bailiwick: Bailiwick
    plane: ControlPlane
    folder: Path
    authority: TestAuthority
    port: int
    admission_port: int
    point: DecisionPoint
    flags: tuple[str, ...]

    @classmethod
    def begin(cls, closing: ExitStack, folder: Path) -> Self:
        """Start everything; nothing is asked about yet."""
        port, admission_port = free_ports(2)
        authority = TestAuthority(folder, "authority")
        serving = authority.server("serving", _SERVICE)
        client = authority.client("client", uris=(APISERVER,))
        (folder / "ca.crt").write_bytes(authority.pem)
        _put(folder, "admission.kubeconfig", {_SERVICE: f"127.0.0.1:{admission_port}"})
        _put(folder, "admission.yaml", {})
        _put(folder, "authorization.kubeconfig", {"192.0.2.10:443": f"127.0.0.1:{port}"})
        authorizers = folder / "authorization.yaml"
        authorizers.write_text(yaml.safe_dump(_alone()))
        settings = Settings(
            apiserver_flags=("--admission-control-config-file", str(folder / "admission.yaml")),
            authorization=authorizers,
        )
        plane = closing.enter_context(ControlPlane(build.ensure(), settings=settings))
        bailiwick = Bailiwick.begin(closing, plane.cluster, replicas=0)
        flags = (
            *(f"--port={port}", f"--admission-port={admission_port}"),
            *(f"--tls-cert-file={serving.certificate}", f"--tls-key-file={serving.key}"),
            f"--client-ca-file={folder / 'ca.crt'}",
        )
        assert client.certificate.exists()
        point = bailiwick.start_point(*flags)
        return cls(bailiwick, plane, folder, authority, port, admission_port, point, flags)

    @property
    def callers(self) -> Callers:
        return self.bailiwick.callers

    def stop_point(self) -> None:
        """Take the decision point away."""
        process.stop([self.point.process.id])

    def start_point(self) -> None:
        """Bring it back on the same ports."""
        self.point = self.bailiwick.start_point(*self.flags)

    @contextmanager
    def misbehaving(self, port: int) -> Iterator[FaultyPoint]:
        """Have something else answer on a port of the decision point, which must be stopped, with its certificate."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.folder / "serving.crt", self.folder / "serving.key")
        with FaultyPoint(tls, port) as point:
            yield point

    def register(self, namespace: str, refused: str = "admin") -> None:
        """Register the shipped webhook for a namespace; returns once it is felt by one whom no rule lets deploy."""
        raw = yaml.safe_load((EXAMPLES / "webhook.yaml").read_text())
        (webhook,) = raw["webhooks"]
        webhook["clientConfig"] = {
            "url": f"https://127.0.0.1:{self.admission_port}/admission/enforce",
            "caBundle": base64.b64encode(self.authority.pem).decode(),
        }
        webhook["namespaceSelector"]["matchExpressions"].append({"key": _NAME, "operator": "In", "values": [namespace]})
        accepted(self.callers.admin.create(raw))
        until(lambda: WEBHOOK in self.create(namespace, "probe", by=refused, dry_run=True).message, "it is felt")

    def widen(self, namespace: str) -> None:
        """Register it for one more namespace."""
        raw = accepted(self.callers.admin.get(REGISTRATION))
        raw["webhooks"][0]["namespaceSelector"]["matchExpressions"][-1]["values"].append(namespace)
        accepted(self.callers.admin.replace(raw))

    @contextmanager
    def asking_everything(self, namespace: str) -> Iterator[None]:
        """Register it for a while for whatever anybody does, in that namespace and in those that it is for already."""

        def widen(webhook: Object) -> None:
            (_, own) = webhook["namespaceSelector"]["matchExpressions"]
            own["values"].append(namespace)
            every = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"], "scope": "*"}
            webhook |= {"namespaceSelector": {"matchExpressions": [own]}, "matchConditions": [], "rules": [every]}

        with self.registered_otherwise(widen):
            yield

    @contextmanager
    def registered_otherwise(self, change: Callable[[Object], None]) -> Iterator[None]:
        """Change the registration for a while."""
        raw = accepted(self.callers.admin.get(REGISTRATION))
        shipped = copy.deepcopy(raw["webhooks"])
        change(raw["webhooks"][0])
        accepted(self.callers.admin.replace(raw))
        try:
            yield
        finally:
            again = accepted(self.callers.admin.get(REGISTRATION))
            accepted(self.callers.admin.replace(again | {"webhooks": shipped}))

    def tenant(self, name: str, change: Callable[[Object], None] | None = None) -> str:
        """Make a namespace with the shipped policy, where everybody may do everything as far as RBAC goes."""
        namespaces = Namespaces(self.callers.admin)
        namespace = namespaces.make(name)
        metadata = {"namespace": namespace, "name": "deployer"}
        accepted(self.callers.admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
        accepted(self.callers.admin.create(shipped(namespace, change)))
        roles = Roles(self.callers.admin, namespace)
        roles.bind("admin", "carol", "dave", "eve", f"system:serviceaccount:{namespace}:deployer")
        roles.bind("bailiwick-approve", "group:crm-owners")
        for pod in PODS:
            self.pod(namespace, pod)
        return namespace

    def pod(self, namespace: str, name: str) -> None:
        """Make a pod that runs nowhere: what is let through to it ends with a 400 that says so."""
        spec = {"containers": [{"name": "web", "image": IMAGE}]}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name}, "spec": spec}
        accepted(self.callers.admin.create(body))

    def create(self, namespace: str, name: str, *, by: str, image: str = IMAGE, dry_run: bool = False) -> Answer:
        """Create a deployment."""
        return self.callers(by).create(deployment(namespace, name, image), dry_run=dry_run)

    def connect(
        self, namespace: str, *command: str, by: str, pod: str = "web", subresource: str = "exec", verb: str = "POST"
    ) -> Answer:
        """Go into a pod, by default to run `ls`; see `passed`."""
        said = "&".join(f"command={part}" for part in command or ("ls",))
        query = f"{said}&stdout=true&container=web" if subresource == "exec" else "ports=80"
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/{subresource}?{query}"
        return self.callers(by).request(verb, path)

    def can(self, namespace: str, *, by: str, pod: str = "", verb: str = "create", **attributes: str) -> bool:
        """Return what `kubectl auth can-i` says of exec, or of what the attributes say."""
        asked = {"namespace": namespace, "verb": verb, "resource": "pods", "subresource": "exec", "name": pod}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked | attributes},
        }
        return bool(accepted(self.callers(by).create(body))["status"]["allowed"])

    def authorize(self, probe: Callable[[], bool], **changes: str) -> None:
        """Have the API server ask before RBAC, by the shipped configuration; returns once `probe` feels it."""
        _put(self.folder, "authorization.yaml", changes)
        until(probe, "the authorizers are read")

    def metric(self, name: str) -> str:
        """Return the lines of a metric of the API server."""
        text = self.callers.admin.request("GET", "/metrics").text
        return "\n".join(line for line in text.splitlines() if line.startswith(name))


def passed(answer: Answer) -> bool:
    """Tell whether a call to a pod came as far as the pod, which has no node."""
    return answer.status == 400 and "does not have a host assigned" in answer.message


def deployment(namespace: str, name: str, image: str = IMAGE) -> Object:
    """Return a deployment."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def shipped(namespace: str, change: Callable[[Object], None] | None = None) -> Object:
    """Return the shipped policy, for a namespace."""
    found: Object = yaml.safe_load(
        (EXAMPLES / "policy.yaml").read_text().replace("shop", namespace).replace(f"/{namespace}:", "/shop:")
    )
    if change is not None:
        change(found)
    return found


def _alone() -> Object:
    found = yaml.safe_load((EXAMPLES / "authorization.yaml").read_text())
    found["authorizers"] = [one for one in found["authorizers"] if one["type"] != "Webhook"]
    return dict(found)


def _put(folder: Path, name: str, changes: dict[str, str]) -> None:
    text = (EXAMPLES / name).read_text().replace(_HOME, str(folder))
    for old, new in changes.items():
        assert old in text, name
        text = text.replace(old, new)
    (folder / name).write_text(text)
