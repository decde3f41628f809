"""Acting as service accounts from pods: whoever takes part is a pod, with the tokens that its kubelet projects.

Standing: what `acting.FromHere` is to processes, this is to a cluster with nodes. Orders go in by `kubectl exec`; the
tokens that are sent never leave their pods, those that a case hands to somebody else are read out of them.
"""

import base64
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from demo import inpod
from demo.accounts import Answer, Call
from demo.ground import KUBECTL, ROOT, Pod, output
from localcluster.access import Cluster
from localcluster.errors import AccessError
from localcluster.kubeconfig import for_server
from localcluster.tokenrequest import Account

# A token for the API server itself, whose audience has no name of its own here.
_API: Final = "api"
_SECONDS: Final = 120.0
_SCRIPTS: Final = (Path(inpod.__file__), ROOT / "examples" / "crm" / "crm_api.py")
_SDK: Final = "sdk.zip"
CRM_PORT: Final = 8000

# Who takes part, and whom the tokens of each are for; "" is the API server.
PARTICIPANTS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("crm", "crm-api"): (ENFORCER_AUDIENCE,),
    ("agents", "crm-agent"): ("crm-api.crm", ""),
    ("deploy", "deploy-api"): (ENFORCER_AUDIENCE,),
    ("vault", "vault-api"): (ENFORCER_AUDIENCE,),
    ("ops", "secret-rotator"): ("vault-api.vault",),
    ("ops", "incident-desk"): ("",),
    ("ops", "incident-bot"): ("",),
    ("support", "desk"): (ENFORCER_AUDIENCE,),
    ("agents", "assistant"): ("desk.support",),
    ("agents", "drafter"): ("desk.support",),
    ("reports", "reports-api"): (ENFORCER_AUDIENCE,),
    ("agents", "analyst"): ("reports-api.reports",),
    ("agents", "archivist"): ("reports-api.reports",),
}
DEPLOYER: Final = ("deploy-api.deploy",)


class PodError(AccessError):
    """A pod did not come to run, or did not do as it was told."""


class FromPods:
    """Acts from the participants' pods, and from others that a case made."""

    def __init__(self, cluster: Cluster) -> None:
        """Prepare; the pods are made by `participants`."""
        self._cluster = cluster

    def token(self, account: Account, pod: Mapping[str, Any] | None = None) -> str:
        """Return the projected token of the account's own pod, or of the pod given.

        One whose containers have not started has no token yet that could be read: TokenRequest gives the same. And an
        account that has no pod of its own gets what it would get on a laptop.
        """
        name = account.name if pod is None else pod["metadata"]["name"]
        alone = pod is None and (account.namespace, name) not in PARTICIPANTS
        if alone or (pod is not None and pod["status"]["phase"] == "Pending"):
            return self._cluster.issue_token(account, pod).value
        return self._order(account.namespace, name, "token", _file(account.audiences))

    def send(self, account: Account, calls: Sequence[Call]) -> list[Answer]:
        """Send calls from the account's pod, all at once."""
        given = json.dumps([asdict(call) for call in calls])
        said = self._order(account.namespace, account.name, "send", _file(account.audiences), given=given)
        return [Answer(status, body) for status, body in json.loads(said)]

    def kubeconfig(self, account: Account, file: Path) -> Path:
        """Write a kubeconfig with the token of the account's pod for the API server."""
        token = self._order(account.namespace, account.name, "token", _API)
        config = for_server(self._cluster.server, _authority(self._cluster), "bailiwick")
        return config.with_user(account.name, {"token": token}).write(file.with_name(f"{file.name}.kubeconfig"))

    def _order(self, namespace: str, pod: str, *order: str, given: str = "") -> str:
        where = ("exec", "--namespace", namespace, "--container", "main", "--stdin", f"pod/{pod}")
        config = f"--kubeconfig={self._cluster.admin_kubeconfig}"
        program = ("--", "python3", "/demo/inpod.py", *order)
        code, said, errors = output(KUBECTL, config, *where, *program, given=given, seconds=180)
        if code != 0:
            raise PodError(f"pod {namespace}/{pod} could not {order[0]}: {errors.strip()}")
        return said.strip()


def participants(cluster: Cluster, image: str, authority: str) -> None:
    """Make what the pods mount, and the pods, in namespaces that are there; return when all run. Raises `PodError`."""
    rest = cluster.rest()
    scripts = {script.name: script.read_text(encoding="utf-8") for script in _SCRIPTS}
    for namespace in sorted({namespace for namespace, _ in PARTICIPANTS} | {"ci"}):
        mounted: tuple[tuple[str, dict[str, str], dict[str, str]], ...] = (
            ("demo", scripts, {_SDK: _sdk()}),
            ("bailiwick-ca", {"ca.crt": authority}, {}),
        )
        for name, data, binary in mounted:
            _made(
                rest.apply(
                    {
                        "apiVersion": "v1",
                        "kind": "ConfigMap",
                        "metadata": {"namespace": namespace, "name": name},
                        "data": data,
                        "binaryData": binary,
                    },
                    "demo",
                )
            )
        label = {"pod-security.kubernetes.io/enforce": "restricted"}
        _made(
            rest.apply(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": label}}, "demo"
            )
        )
    for (namespace, name), audiences in PARTICIPANTS.items():
        _made(rest.create(manifest(namespace, name, name, audiences, {"main": image})))
    _made(
        rest.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"namespace": "crm", "name": "crm-api"},
                "spec": {"selector": {"demo": "crm-api"}, "ports": [{"port": 80, "targetPort": CRM_PORT}]},
            }
        )
    )
    for namespace, name in PARTICIPANTS:
        running(cluster, namespace, name)


def manifest(
    namespace: str,
    name: str,
    account: str,
    audiences: Sequence[str],
    images: Mapping[str, str],
    init: Mapping[str, str] | None = None,
) -> Pod:
    """Return a pod of the restricted profile that waits for orders; the CRM's runs the CRM."""
    command = ["python3", "/demo/inpod.py", "wait"]
    if name == "crm-api":
        token = inpod.TOKENS / ENFORCER_AUDIENCE
        # The image has aiohttp, and the SDK is mounted: Python imports from an archive as it is.
        command = ["env", f"PYTHONPATH=/opt/bailiwick/lib:/demo/{_SDK}", "python3", "/demo/crm_api.py"]
        command += ["--pdp", "https://bailiwick-webhook.bailiwick-system.svc"]
        command += ["--token-file", str(token), "--ca-file", str(inpod.AUTHORITY), "--host", "0.0.0.0"]  # noqa: S104 - of a pod
        command += ["--port", str(CRM_PORT)]
    mounts = [
        {"name": "scripts", "mountPath": "/demo", "readOnly": True},
        {"name": "tokens", "mountPath": str(inpod.TOKENS), "readOnly": True},
        {"name": "ca", "mountPath": str(inpod.AUTHORITY.parent), "readOnly": True},
    ]
    spec: dict[str, Any] = {
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 2,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(one, image, command, mounts) for one, image in images.items()],
        "volumes": [
            {"name": "scripts", "configMap": {"name": "demo"}},
            {"name": "ca", "configMap": {"name": "bailiwick-ca"}},
            {"name": "tokens", "projected": {"sources": [_projected(audience) for audience in audiences]}},
        ],
    }
    if init:
        spec["initContainers"] = [_container(one, image, command, mounts) for one, image in init.items()]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": {"demo": name}},
        "spec": spec,
    }


def running(cluster: Cluster, namespace: str, name: str) -> Pod:
    """Wait until a pod runs, and return it. Raises `PodError`."""
    path = f"/api/v1/namespaces/{namespace}/pods/{name}"
    try:
        answer = cluster.rest().wait(path, lambda answer: _runs(answer.body), _SECONDS)
    except AccessError as error:
        raise PodError(f"pod {namespace}/{name} did not start: {error}") from error
    return answer.body


def _runs(pod: Mapping[str, Any]) -> bool:
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    return bool(statuses) and all(status["ready"] for status in statuses)


def _sdk() -> str:
    """Return the SDK as an archive, as a ConfigMap holds one."""
    source, archive = ROOT / "sdk" / "src", io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for path in sorted(source.rglob("*.py")):
            written.write(path, path.relative_to(source))
    return base64.b64encode(archive.getvalue()).decode("ascii")


def _container(name: str, image: str, command: Sequence[str], mounts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "Never",
        "command": list(command),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": list(mounts),
    }


def _projected(audience: str) -> dict[str, Any]:
    token = {"path": audience or _API, "expirationSeconds": 3600}
    return {"serviceAccountToken": token | ({"audience": audience} if audience else {})}


def _file(audiences: Sequence[str]) -> str:
    return audiences[0] if audiences else _API


def _authority(cluster: Cluster) -> Path:
    if cluster.ca_file is None:
        raise PodError("the demo's own cluster has its own certificate authority")
    return cluster.ca_file


def _made(answer: Any) -> None:  # noqa: ANN401 - an answer of the API server
    if not answer.ok:
        raise PodError(f"the demo's own objects: {answer.status} {answer.message}")
