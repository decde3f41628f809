"""Pods for the demo and the tests, whose status is written by hand.

Standing: a control plane without nodes runs no pod, so what a kubelet would report is written here, through the API
server and with its validation. The pods name a scheduler that does not exist, so that a cluster with nodes leaves them
alone, too.
"""

from collections.abc import Mapping
from typing import Any

from localcluster.errors import AccessError
from localcluster.rest import Rest

Pod = dict[str, Any]


def create(
    rest: Rest,
    namespace: str,
    name: str,
    account: str,
    containers: Mapping[str, str],
    init: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Pod:
    """Create a pod that runs as `account`; containers by name, each with the image id that its status shows.

    An image id of "" is that of a container that has not started. Returns the pod as stored.
    """
    spec: dict[str, Any] = {
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "schedulerName": "nobody",
        "containers": _containers(containers),
    }
    if init:
        spec["initContainers"] = _containers(init)
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": dict(labels or {})},
        "spec": spec,
    }
    stored = rest.create(manifest)
    if not stored.ok:
        raise AccessError(f"pod {namespace}/{name}: {stored.message}")
    return show(rest, stored.body, containers, init)


def show(rest: Rest, pod: Pod, containers: Mapping[str, str], init: Mapping[str, str] | None = None) -> Pod:
    """Write what a kubelet would report: which image each container runs."""
    status = {
        "phase": "Running",
        "containerStatuses": [_status(name, image) for name, image in containers.items()],
        "initContainerStatuses": [_status(name, image) for name, image in (init or {}).items()],
    }
    shown = rest.patch(pod, {"status": status}, "merge", "status")
    if not shown.ok:
        raise AccessError(f"status of pod {pod['metadata']['name']}: {shown.message}")
    return shown.body


def delete(rest: Rest, pod: Pod) -> None:
    """Delete a pod at once; nobody else would confirm its end."""
    metadata = pod["metadata"]
    gone = rest.delete(f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}?gracePeriodSeconds=0")
    if not gone.ok:
        raise AccessError(f"pod {metadata['name']}: {gone.message}")


def _containers(images: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "image": image or "registry.example/not-started"} for name, image in images.items()]


def _status(name: str, image: str) -> dict[str, Any]:
    return {"name": name, "image": image, "imageID": image, "ready": True, "restartCount": 0}
