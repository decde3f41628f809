"""Kubeconfig files: making ours, and reducing a user's to the one context that counts.

Standing: plain data in, plain data out; `login` turns the result into something that can call. A user's
own file is only ever read. What we write has its authority embedded, one context, and mode 0600.
"""

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from localcluster.errors import AccessError
from localcluster.files import write_secret
from localcluster.people import Person

# Fields that hold a path; a relative one counts from the folder of the kubeconfig.
_PATHS: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """One context: the cluster entry, the user entry, both as kubectl writes them."""

    cluster: Mapping[str, Any]
    user: Mapping[str, Any]
    cluster_name: str = "bailiwick"
    user_name: str = "admin"
    namespace: str = "default"

    def as_person(self, person: Person) -> "Kubeconfig":
        """Return this login, acting as `person` by impersonation."""
        acting = {"as": person.name, "as-uid": person.uid, "as-groups": list(person.groups)}
        return Kubeconfig(self.cluster, {**self.user, **acting}, self.cluster_name, person.name, self.namespace)

    def with_user(self, name: str, user: Mapping[str, Any]) -> "Kubeconfig":
        """Return the same cluster with another user entry."""
        return Kubeconfig(self.cluster, user, self.cluster_name, name, self.namespace)

    def write(self, path: Path) -> Path:
        """Write it for kubectl and any client library."""
        context = f"{self.user_name}@{self.cluster_name}"
        bound = {"cluster": self.cluster_name, "user": self.user_name, "namespace": self.namespace}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.cluster_name, "cluster": dict(self.cluster)}],
            "users": [{"name": self.user_name, "user": dict(self.user)}],
            "contexts": [{"name": context, "context": bound}],
            "current-context": context,
        }
        write_secret(path, yaml.safe_dump(content, sort_keys=False))
        return path


def for_server(server: str, authority: Path, name: str) -> Kubeconfig:
    """Begin a kubeconfig for a server that we run; it has no user yet."""
    embedded = base64.b64encode(authority.read_bytes()).decode()
    return Kubeconfig({"server": server, "certificate-authority-data": embedded}, {}, cluster_name=name)


def default_paths() -> list[Path]:
    """Where kubectl would look: `$KUBECONFIG` (several, joined like a PATH) or `~/.kube/config`."""
    named = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return named or [Path.home() / ".kube" / "config"]


def read(paths: Iterable[Path]) -> Kubeconfig:
    """Read the current context of these files; where they disagree the first one holds, as for kubectl."""
    paths = list(paths)
    contents = [(path.parent.absolute(), _load(path)) for path in paths if path.exists()]
    where = " or ".join(str(path) for path in paths)
    if not contents:
        msg = f"No kubeconfig at {where}: set KUBECONFIG to the kubeconfig of your cluster."
        raise AccessError(msg)
    current = next((content["current-context"] for _, content in contents if content.get("current-context")), None)
    if current is None:
        msg = f"{where} has no current-context: choose one with `kubectl config use-context NAME`."
        raise AccessError(msg)
    context = _entry(contents, "context", current)
    cluster = _entry(contents, "cluster", context.get("cluster", ""))
    user = _entry(contents, "user", context.get("user", ""))
    return Kubeconfig(cluster, user, context["cluster"], context["user"], context.get("namespace") or "default")


def _load(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        msg = f"{path} is not a kubeconfig: it should be a YAML mapping with clusters, users and contexts."
        raise AccessError(msg)
    return content


def _entry(contents: list[tuple[Path, dict[str, Any]]], kind: str, name: str) -> dict[str, Any]:
    for folder, content in contents:
        for entry in content.get(f"{kind}s") or ():
            if entry.get("name") == name:
                return _absolute(entry.get(kind) or {}, folder)
    msg = f"The kubeconfig names a {kind} {name!r} that it does not contain: fix it, or use another context."
    raise AccessError(msg)


def _absolute(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {key: str(folder / value) if key in _PATHS and value else value for key, value in entry.items()}
