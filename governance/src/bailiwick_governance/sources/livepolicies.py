"""The policies and data of a namespace in the cluster, as the files that they would be.

Standing: under the commands `diff` and `test`, as the command line's `gitfiles` is. Holds: what is in the cluster goes
through the same reader as a file, so that two sides differ only where their texts do; nothing but name, namespace and
spec is taken. What is stored and not in force, or soon not, is refused.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_api.documents import policyfiles
from bailiwick_api.documents.policyfiles import File
from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_engine.approval.display import visible
from bailiwick_engine.compile.listing import budget_excess
from bailiwick_governance.apiserver.cluster import ClusterClient, policies_path
from bailiwick_governance.errors import UserError
from bailiwick_kube.paths import data_path

_POLICY: Final = "EndpointPolicy"
_DATA: Final = "EndpointData"
# What YAML takes for the end of a line, or for no text at all.
_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class LivePolicies:
    """What is in force in a namespace: one file an object, each with a label that says which.

    `data` are those of `files` that are data, by namespace and name, `ns/name`.
    """

    namespace: str
    files: tuple[tuple[str, File], ...]
    data: Mapping[str, tuple[str, File]]


def live_policies(cluster: ClusterClient) -> LivePolicies:
    """Read the namespace of a cluster's client. Raises `UserError`."""
    policies = cluster.list_all(policies_path(cluster.namespace))[0]
    return render_files(cluster.namespace, policies, lambda: cluster.list_all(data_path(cluster.namespace))[0])


def render_files(
    namespace: str, policies: Iterable[dict[str, Any]], data: Callable[[], Iterable[dict[str, Any]]]
) -> LivePolicies:
    """Return policies of a namespace as files, with its data, which is read if one asks for it. Raises `UserError`."""
    found = _objects(policies, data)
    files = [(f"{kind} {_name(raw)} in the cluster", policyfiles.policy_file(_text(kind, raw))) for kind, raw in found]
    held = {_name(raw): file for (kind, raw), file in zip(found, files, strict=True) if kind == _DATA}
    return LivePolicies(namespace, tuple(files), held)


def _objects(
    policies: Iterable[dict[str, Any]], data: Callable[[], Iterable[dict[str, Any]]]
) -> list[tuple[str, dict[str, Any]]]:
    found = [(_POLICY, raw) for raw in policies]
    # Without data, conditions that read it would be unknown on one side, and the comparison about something else.
    if any("data" in (raw.get("spec") or {}) for _, raw in found):
        found += [(_DATA, raw) for raw in data()]
    for kind, raw in found:
        _refuse_passing(kind, raw)
    return found


def _refuse_passing(kind: str, raw: dict[str, Any]) -> None:
    """Refuse what does not count as its text says. Raises `UserError`."""
    name = f"the {kind} {visible(_name(raw))} in the cluster"
    if raw["metadata"].get("deletionTimestamp"):
        raise UserError(f"{name} is being deleted, so it cannot be used: wait until it is gone")
    if (excess := budget_excess(raw)) is not None:
        raise UserError(
            f"{name} is over budget, and denies what it names: {visible(excess)}; make room for it, or delete it"
        )


def _name(raw: dict[str, Any]) -> str:
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"


def _text(kind: str, raw: dict[str, Any]) -> bytes:
    metadata = {member: raw["metadata"][member] for member in ("namespace", "name")}
    body = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": raw.get("spec")}
    # JSON, since plain YAML has strings that two readers take for different things. A character outside the basic plane
    # stays as it is: YAML knows no surrogates.
    text = json.dumps(body, indent=1, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
