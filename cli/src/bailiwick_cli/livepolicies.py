"""The policies and data of a namespace in the cluster, as the files that they would be.

Standing: under `diff`, beside `gitfiles`. Holds: what is in the cluster goes through the same reader as a file, so that
the two sides differ only where their texts do; nothing but name, namespace and spec is taken.
"""

from dataclasses import dataclass
from typing import Any, Final

import yaml

from bailiwick_api import policyfiles
from bailiwick_api.meta import API_VERSION
from bailiwick_api.policyfiles import File
from bailiwick_cli.cluster import ClusterClient, connect, policies_path
from bailiwick_cli.options import Flags
from bailiwick_kube.paths import data_path

_POLICY: Final = "EndpointPolicy"
_DATA: Final = "EndpointData"


@dataclass(frozen=True, slots=True)
class LivePolicies:
    """What is in force in a namespace: one file an object, each with a label that says which."""

    namespace: str
    files: tuple[tuple[str, File], ...]


def live_policies(options: Flags) -> LivePolicies:
    """Read the namespace of the flags, or of the context. Raises `CliError`."""
    cluster = connect(options)
    return LivePolicies(cluster.namespace, tuple(_files(cluster)))


def _files(cluster: ClusterClient) -> list[tuple[str, File]]:
    found = [(_POLICY, raw) for raw in cluster.listed(policies_path(cluster.namespace))[0]]
    # Without data, conditions that read it would be unknown on one side, and the comparison about something else.
    if any("data" in (raw.get("spec") or {}) for _, raw in found):
        found += [(_DATA, raw) for raw in cluster.listed(data_path(cluster.namespace))[0]]
    return [(f"{kind} {_name(raw)} in the cluster", policyfiles.taken(_text(kind, raw))) for kind, raw in found]


def _name(raw: dict[str, Any]) -> str:
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"


def _text(kind: str, raw: dict[str, Any]) -> bytes:
    metadata = {member: raw["metadata"][member] for member in ("namespace", "name")}
    body = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": raw.get("spec")}
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True).encode()
