"""Pods of the tests on a node: each runs a few lines of Python in one of our images, under the restricted profile.

Holds: a pod that returns from here runs, or has run; what it printed is in its log.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from localcluster.node import images
from localcluster.rest import Rest
from support.installation import accepted
from support.objects import Object
from support.waits import until

RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}
IMAGE: Final = images.reference("webhook")
_SECONDS: Final = 60.0
_CONTAINER_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_POD_SECURITY: Final = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def container(image: str = IMAGE, /, **fields: object) -> dict[str, Any]:
    """Return a container that the restricted profile lets run."""
    return {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "securityContext": _CONTAINER_SECURITY,
        **fields,
    }


def pod_spec(*containers: Mapping[str, Any], **fields: object) -> dict[str, Any]:
    """Return the spec of a pod that ends as soon as it is asked to."""
    usual = {"containers": list(containers), "securityContext": _POD_SECURITY, "terminationGracePeriodSeconds": 1}
    return {**usual, "automountServiceAccountToken": False, **fields}


def python(code: str, *arguments: str, **fields: object) -> dict[str, Any]:
    """Return a container that runs these lines."""
    return container(command=["python3", "-c", code, *arguments], **fields)


class Pods:
    """The pods of one namespace."""

    def __init__(self, admin: Rest, namespace: str) -> None:
        self._admin = admin
        self.namespace = namespace

    def start(self, name: str, spec: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> Object:
        """Create a pod and wait until it is ready; return it as stored."""
        metadata = {"namespace": self.namespace, "name": name, "labels": dict(labels or {})}
        accepted(self._admin.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
        until(lambda: self._is(name, "Ready"), f"pod {name} is ready", _SECONDS)
        return self.get(name)

    def run(self, name: str, spec: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> str:
        """Run a pod to its end, and return what it printed; a pod that fails is an `AssertionError`."""
        metadata = {"namespace": self.namespace, "name": name, "labels": dict(labels or {})}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**spec, "restartPolicy": "Never"}}
        accepted(self._admin.create(body))
        until(lambda: self.get(name)["status"].get("phase") in {"Succeeded", "Failed"}, f"pod {name} ends", _SECONDS)
        printed = self.log(name)
        assert self.get(name)["status"]["phase"] == "Succeeded", printed
        return printed

    def get(self, name: str) -> Object:
        """Return a pod as stored."""
        return accepted(self._admin.get(f"/api/v1/namespaces/{self.namespace}/pods/{name}"))

    def log(self, name: str) -> str:
        """Return what it printed."""
        answer = self._admin.get(f"/api/v1/namespaces/{self.namespace}/pods/{name}/log")
        assert answer.ok, answer.message
        return answer.text

    def service(self, name: str, labels: Mapping[str, str], port: int, target: int) -> str:
        """Make a Service of the pods with these labels, and return its address."""
        spec = {"selector": dict(labels), "ports": [{"port": port, "targetPort": target}]}
        metadata = {"namespace": self.namespace, "name": name}
        made = accepted(self._admin.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}))
        return str(made["spec"]["clusterIP"])

    def _is(self, name: str, condition: str) -> bool:
        pod = self.get(name)
        assert pod["status"].get("phase") != "Failed", json.dumps(pod["status"])
        conditions = pod["status"].get("conditions", ())
        return any(each["type"] == condition and each["status"] == "True" for each in conditions)
