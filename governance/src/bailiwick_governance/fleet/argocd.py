"""The clusters that Argo CD deploys to: the names and servers in its cluster Secrets, and nothing else of them.

Standing: over `apiserver`. Holds: no Secret is passed over; no credential of Argo CD is used, kept or printed; a
cluster is asked as the person, by a context of the person's own kubeconfig that leads to the same server.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import ApiError, UserError
from bailiwick_kube.paths import CORE, object_path

_LABEL: Final = "argocd.argoproj.io/secret-type=cluster"
_OWN: Final = ("kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
_PORT: Final = 443


@dataclass(frozen=True, slots=True, order=True)
class ArgoCluster:
    """A cluster as Argo CD names it. `server` is empty where its Secret has none that can be read."""

    name: str
    server: str


@dataclass(frozen=True, slots=True)
class ClusterContext:
    """Which context leads to a cluster. `context` None: none, and `problem` says why."""

    name: str
    context: str | None
    problem: str = ""


def read_clusters(cluster: ClusterClient, namespace: str) -> tuple[ArgoCluster, ...]:
    """Return the clusters of the Secrets in Argo CD's namespace, by name. Raises `UserError`."""
    try:
        secrets, _ = cluster.list_all(object_path(CORE, "secrets", namespace), labelSelector=_LABEL)
    except ApiError as error:
        raise UserError(f"--argocd: the cluster Secrets cannot be listed: {error}") from error
    if not all(map(_is_object, secrets)):
        raise UserError("--argocd: the cluster of Argo CD does not answer as an API server does")
    found = tuple(sorted(map(_cluster, secrets)))
    if not found:
        raise UserError(f"--argocd: there is no cluster Secret ({_LABEL}) in the namespace {namespace}")
    return found


def contexts_of(
    clusters: Iterable[ArgoCluster], servers: Mapping[str, str], current: str | None
) -> tuple[ClusterContext, ...]:
    """Return the context for each cluster. `servers`: of each context. `current`: where Argo CD itself is."""
    places: dict[object, list[str]] = {}
    for context, server in servers.items():
        places.setdefault(_place(server), []).append(context)
    return tuple(_context(one, places, current) for one in clusters)


def _context(cluster: ArgoCluster, places: Mapping[object, list[str]], current: str | None) -> ClusterContext:
    if not cluster.server:
        return ClusterContext(cluster.name, None, "its cluster Secret has no server that can be read")
    place = _place(cluster.server)
    if place is not None and place[0] in _OWN:
        return ClusterContext(cluster.name, current, "" if current else "there is no current context")
    found = [] if place is None else places.get(place, [])
    if current in found:
        return ClusterContext(cluster.name, current)
    if len(found) == 1:
        return ClusterContext(cluster.name, found[0])
    why = f"{len(found)} contexts lead to it: choose with --contexts" if found else "no context leads to its server"
    return ClusterContext(cluster.name, None, why)


def _place(server: str) -> tuple[str, int, str] | None:
    """Return host, port and path of a server, by which two spellings of one are the same; None: it is no URL."""
    try:
        parts = urlsplit(server)
        return (parts.hostname, parts.port or _PORT, parts.path.rstrip("/")) if parts.hostname else None
    except ValueError:
        return None


def _is_object(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("metadata"), dict)


def _cluster(secret: Mapping[str, Any]) -> ArgoCluster:
    """Read a cluster Secret. One that cannot be read is a cluster all the same, and a row that says so."""
    server = _text(secret, "server")
    return ArgoCluster(_text(secret, "name") or server or str(secret["metadata"].get("name")), server)


def _text(secret: Mapping[str, Any], part: str) -> str:
    """Return a part of the data; empty where there is none that can be read."""
    try:
        return base64.b64decode(secret["data"][part], validate=True).decode()
    except (KeyError, TypeError, ValueError):
        return ""
