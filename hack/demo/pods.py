"""Pods for the demo and the tests, whose status is written by hand.

Standing: a control plane without nodes runs no pod, so what a kubelet would report is written here, through the API
server and with its validation. The pods name a scheduler that does not exist, so that a cluster with nodes leaves them
alone, too.
"""

from collections.abc import Mapping
from typing import Any, Final

from demo.ground import Pod
from localcluster.errors import AccessError
from localcluster.rest import Rest

APPROVED: Final = "registry.example/deployer@sha256:5b1f4c0a7d2e6f83941a0cbb5e7d93f2681c4a70e5d9b3f1287c6a4e0d5f9b13"
OTHER: Final = "registry.example/shell@sha256:" + "0" * 64


class Written:
    """The deployer's pods, as objects whose status is written here. An init container that waits shows no image."""

    how: Final = "No node runs the pods here: the demo writes their status."

    def __init__(self, rest: Rest) -> None:
        """Prepare; nothing is made yet."""
        self._rest = rest

    def create(self, name: str, containers: Mapping[str, bool], init: Mapping[str, bool] | None = None) -> Pod:
        """Return a pod of the deployer. Raises `AccessError`."""
        images = {container: APPROVED if approved else OTHER for container, approved in containers.items()}
        waiting = {container: APPROVED if approved else "" for container, approved in (init or {}).items()}
        return create(self._rest, "ci", name, "deployer", images, waiting)


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
