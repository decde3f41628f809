"""What of an object of Kubernetes a decision is about: what somebody wrote, and nothing that the API server made of it.

Standing: under `enforce`. Holds: pure; two objects come to the same only if they mean the same: a member is left out
where the API server sets it, or where its value is the one that it would have if it were not there.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

# Set by the API server, or named by the resource already.
_METADATA: Final = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generateName",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
# kubectl's own copy of the object.
_ANNOTATIONS: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
_ROLLING: Final = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
_WORKLOADS: Final[Mapping[str, Mapping[str, Any]]] = {
    "apps/deployments": {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": _ROLLING,
    },
    "apps/replicasets": {"replicas": 1},
    "apps/statefulsets": {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    },
    "apps/daemonsets": {
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    },
}
_POD: Final[Mapping[str, Any]] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_CONTAINER: Final[Mapping[str, Any]] = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}
# Of which the status is written by controllers, by a subresource of its own.
_REPORTED: Final = ("apps/", "batch/")
_CONTAINERS: Final = ("containers", "initContainers")


def written(kind: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what somebody wrote of an object. `kind` is its resource type, `<group>/<resource>[/<subresource>]`.

    Members that have their default are left out of the workloads of `apps`; other kinds keep theirs.
    """
    # Which kind it is, the resource says; its version can change what the rest means.
    left = {"kind", "metadata"} | ({"status"} if kind.startswith(_REPORTED) and kind.count("/") == 1 else set())
    said = {name: value for name, value in found.items() if name not in left}
    if metadata := _metadata(found.get("metadata")):
        said["metadata"] = metadata
    spec = said.get("spec")
    if kind in _WORKLOADS and isinstance(spec, Mapping):
        said["spec"] = _change_member(_without(spec, _WORKLOADS[kind]), "template", _template)
    return said


def replaced(kind: str, old: Mapping[str, Any]) -> dict[str, Any]:
    """Return what somebody wrote of the object that an update replaces, so without its status."""
    said = written(kind, old)
    if not kind.endswith("/status"):
        said.pop("status", None)
    return said


def _metadata(found: object) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        return {}
    said = {name: value for name, value in found.items() if name not in _METADATA and value not in ({}, [], None)}
    return _change_member(
        said, "annotations", lambda notes: {name: notes[name] for name in notes if name not in _ANNOTATIONS}
    )


def _template(found: Mapping[str, Any]) -> dict[str, Any]:
    said = dict(found)
    metadata = _metadata(said.pop("metadata", None))
    return _change_member({**said, **({"metadata": metadata} if metadata else {})}, "spec", _pod)


def _pod(found: Mapping[str, Any]) -> dict[str, Any]:
    said = _without(found, _POD)
    # The deprecated name of the same thing, which the API server keeps equal.
    if "serviceAccount" in said and said["serviceAccount"] == said.get("serviceAccountName"):
        del said["serviceAccount"]
    for kind in _CONTAINERS:
        listed = said.get(kind)
        if isinstance(listed, list):
            said[kind] = [_container(one) if isinstance(one, Mapping) else one for one in listed]
    return said


def _container(found: Mapping[str, Any]) -> dict[str, Any]:
    said = _without(found, _CONTAINER)
    if "imagePullPolicy" in said and said["imagePullPolicy"] == _pulled(said.get("image")):
        del said["imagePullPolicy"]
    ports = said.get("ports")
    if isinstance(ports, list):
        said["ports"] = [_without(one, {"protocol": "TCP"}) if isinstance(one, Mapping) else one for one in ports]
    return said


def _pulled(image: object) -> str:
    """Return the policy by which the API server has an image pulled by default: by its tag."""
    last = str(image).rpartition("/")[2]
    if "@" in last:
        return "IfNotPresent"
    _, _, tag = last.partition(":")
    return "Always" if tag in {"", "latest"} else "IfNotPresent"


def _without(found: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in defaults or not _same(value, defaults[name])}


def _same(value: object, default: object) -> bool:
    # In Python 1 equals True, and those are two values.
    return type(value) is type(default) and value == default


def _change_member(
    found: dict[str, Any], name: str, change: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    inner = found.get(name)
    if not isinstance(inner, Mapping):
        return found
    changed = change(inner)
    rest = {key: value for key, value in found.items() if key != name}
    return {**rest, name: changed} if changed else rest
