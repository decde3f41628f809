"""Manifests that close findings: a first policy, a rule that asks, a network policy, a binding without somebody.

Standing: under the modules of findings. Holds: pure; a manifest can be applied as it is, and an object that
exists keeps what the finding is not about. What only you can know has a telling name.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_coverage.facts import BoundSubject, ObjectRef, PodFacts, PolicyFacts

RBAC: Final = "rbac.authorization.k8s.io"
NETWORKING: Final = "networking.k8s.io"
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
_LONGEST: Final = 50
_SUFFIX_LENGTH: Final = 6
# Labels of one rollout or one pod, which the next one does not have.
_PASSING: Final = frozenset(
    {"pod-template-hash", "controller-revision-hash", "pod-template-generation", "apps.kubernetes.io/pod-index"}
    | {"statefulset.kubernetes.io/pod-name", "batch.kubernetes.io/job-completion-index"}
)
Manifest = dict[str, Any]


def name_from(*parts: str) -> str:
    """Return a name of an object made of texts."""
    return _NOT_IN_NAMES.sub("-", "-".join(parts).lower()).strip("-")[:_LONGEST].strip("-") or "x"


def policy(namespace: str, name: str, spec: Mapping[str, object]) -> Manifest:
    """Return an EndpointPolicy."""
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": API_VERSION, "kind": "EndpointPolicy", "metadata": metadata, "spec": dict(spec)}


def changed_policy(one: PolicyFacts, changes: Mapping[str, object]) -> Manifest:
    """Return a policy that exists, with other members in its spec."""
    spec = one.raw.get("spec")
    return policy(one.namespace, one.name, {**(spec if isinstance(spec, Mapping) else {}), **changes})


def first_policy(
    namespace: str, endpoint: str, accounts: Sequence[str], callers: Sequence[tuple[str, str]]
) -> Manifest:
    """Return a policy in mode Audit for what nothing protects yet.

    `accounts` are those of its pods, which are to enforce; `callers`: namespace and name of accounts that may call it.
    """
    subjects = [
        {"name": name_from(space, name), "serviceAccount": {"namespace": space, "name": name}}
        for space, name in callers
    ]
    rule = {
        "name": "every-call",
        "effect": "Allow",
        "subjects": [one["name"] for one in subjects],
        "actions": ["*"],
        "resources": [{"type": endpoint, "ids": ["*"]}],
    }
    spec = {
        "endpoint": endpoint,
        "endpointSettings": {"enforcers": [{"namespace": namespace, "name": one} for one in accounts]},
        "mode": "Audit",
        "subjects": subjects,
        "rules": [rule],
    }
    return policy(namespace, endpoint, spec)


def gating_policy(
    namespace: str,
    endpoint: str,
    subjects: Sequence[Mapping[str, object]],
    action: str,
    resources: Sequence[Mapping[str, object]],
    groups: Sequence[str],
) -> Manifest:
    """Return a policy beside those of an endpoint, by which an action of these subjects needs an approval."""
    rule = {
        "name": "approve",
        "effect": "RequireApproval",
        "subjects": [str(one["name"]) for one in subjects],
        "actions": [action],
        "resources": [dict(one) for one in resources],
        "approval": {"steps": [{"name": "owner", "kind": "Human", "groups": list(groups)}]},
    }
    spec = {"endpoint": endpoint, "subjects": [dict(one) for one in subjects], "rules": [rule]}
    # Two actions may differ in characters that no name of an object can have.
    suffix = hashlib.sha256(f"{action} {resources}".encode()).hexdigest()[:_SUFFIX_LENGTH]
    return policy(namespace, f"{name_from('gate', endpoint, action)}-{suffix}", spec)


def network_policy(
    namespace: str,
    name: str,
    selector: Mapping[str, str],
    peers: Sequence[Mapping[str, object]],
    ports: Iterable[tuple[str, int | str]],
) -> Manifest:
    """Return a NetworkPolicy that lets in these peers alone, on these ports: protocol, and number or name."""
    listed = [{"protocol": protocol, "port": port} for protocol, port in ports]
    ingress = [{"from": [dict(one) for one in peers], "ports": listed}] if peers else []
    spec = {"podSelector": {"matchLabels": dict(selector)}, "policyTypes": ["Ingress"], "ingress": ingress}
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": f"{NETWORKING}/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def lasting_labels(pods: Sequence[PodFacts]) -> dict[str, str]:
    """Return the labels that all of these pods have, and their next ones will."""
    if not pods:
        return {}
    first, *others = pods
    return {
        key: value
        for key, value in sorted(first.labels.items())
        if key not in _PASSING and all(one.labels.get(key) == value for one in others)
    }


def binding_without(ref: ObjectRef, role: tuple[str, str], subjects: Iterable[BoundSubject]) -> Manifest:
    """Return a binding that has only these subjects left."""
    kept: list[dict[str, str]] = []
    for one in subjects:
        if one.kind == "ServiceAccount":
            kept.append({"kind": one.kind, "namespace": one.namespace, "name": one.name})
        else:
            kept.append({"apiGroup": RBAC, "kind": one.kind, "name": one.name})
    metadata = {"name": ref.name, **({"namespace": ref.namespace} if ref.namespace else {})}
    reference = {"apiGroup": RBAC, "kind": role[0], "name": role[1]}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": ref.kind,
        "metadata": metadata,
        "roleRef": reference,
        "subjects": kept,
    }


def annotated(version: str, ref: ObjectRef, annotations: Mapping[str, str]) -> Manifest:
    """Return the part of an object that gives it these annotations."""
    metadata = {"namespace": ref.namespace, "name": ref.name, "annotations": dict(annotations)}
    return {"apiVersion": version, "kind": ref.kind, "metadata": metadata}


def reading_right(group: str, plural: str, namespace: str | None, reader: str) -> tuple[Manifest, Manifest]:
    """Return a role that may list a plural, and its binding to who reads: in a namespace, or in all (None)."""
    kind = "ClusterRole" if namespace is None else "Role"
    metadata: dict[str, str] = {
        "name": name_from("coverage", plural),
        **({"namespace": namespace} if namespace else {}),
    }
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": metadata,
        "rules": [{"apiGroups": [group], "resources": [plural], "verbs": ["get", "list"]}],
    }
    subject = BoundSubject("User", "", reader)
    parts = reader.removeprefix("system:serviceaccount:").split(":")
    if reader.startswith("system:serviceaccount:") and len(parts) == 2:  # noqa: PLR2004 - namespace and name
        subject = BoundSubject("ServiceAccount", *parts)
    ref = ObjectRef(f"{kind}Binding", namespace or "", name_from("coverage", plural, reader))
    return role, binding_without(ref, (kind, metadata["name"]), (subject,))
