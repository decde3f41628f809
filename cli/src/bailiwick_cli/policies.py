"""Policies of one namespace, from the cluster or from files, compiled by the engine as in the cluster.

Holds: what does not compile is told and denies as it does in the cluster; nothing of it is left out.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bailiwick_api.meta import API_VERSION
from bailiwick_api.positions import documents
from bailiwick_cli import output
from bailiwick_cli.cluster import Cluster, policies_path
from bailiwick_cli.errors import CliError
from bailiwick_engine.acceptance import judge
from bailiwick_engine.compile import compile_object, policy_ref
from bailiwick_engine.compiled import BrokenPolicy
from bailiwick_engine.display import visible
from bailiwick_engine.snapshot import CompiledEndpoint, Snapshot

Object = dict[str, Any]

_KIND: Final = "EndpointPolicy"


def of_cluster(cluster: Cluster) -> Snapshot:
    """Compile the policies of a namespace."""
    items, _ = cluster.listed(policies_path(cluster.namespace))
    return _compiled(items)


def of_files(names: Sequence[str], namespace: str | None) -> tuple[Snapshot, str]:
    """Compile the policies of files; returns the namespace that they are of, too."""
    found = [raw for name in names for file in _files(name) for raw in _read(file)]
    if not found:
        raise CliError(f"{', '.join(names)}: no {_KIND} there")
    spaces = sorted({raw["metadata"].get("namespace") or namespace or "default" for raw in found})
    if namespace is None and len(spaces) > 1:
        raise CliError(f"the policies are of several namespaces, say which with -n: {', '.join(spaces)}")
    chosen = namespace or spaces[0]
    for raw in found:
        raw["metadata"].setdefault("namespace", chosen)
        raw["metadata"].setdefault("uid", f"{raw['metadata']['namespace']}/{raw['metadata']['name']}")
    return _compiled(found), chosen


def endpoint(snapshot: Snapshot, namespace: str, wanted: str | None) -> tuple[str, CompiledEndpoint]:
    """Return the endpoint of this name, or the only one that there is."""
    known = {name: one for (space, name), one in snapshot.endpoints.items() if space == namespace}
    listed = ", ".join(sorted(known)) or "none"
    if wanted is None:
        if len(known) != 1:
            raise CliError(f"say --endpoint: in {namespace} there are {listed}")
        return next(iter(known.items()))
    if wanted not in known:
        raise CliError(f"no policy in {namespace} speaks of the endpoint {wanted!r}: there are {listed}")
    return wanted, known[wanted]


def _compiled(items: Sequence[Object]) -> Snapshot:
    compiled = [compile_object(raw) for raw in items]
    for raw, policy in zip(items, compiled, strict=True):
        if isinstance(policy, BrokenPolicy):
            for problem in judge(policy_ref(raw), raw.get("spec")).problems:
                output.talk(f"warning: the policy {visible(policy.ref.name)} is broken: {visible(str(problem))}")
    return Snapshot.of(compiled)


def _files(name: str) -> list[str]:
    """Return a file itself, and of a folder the files that a decision point takes from it, hidden names passed over."""
    folder = Path(name)
    if not folder.is_dir():
        return [name]
    below = (file.relative_to(folder) for file in folder.rglob("*") if file.suffix in {".yaml", ".yml"})
    return sorted(str(folder / file) for file in below if not any(part.startswith(".") for part in file.parts))


def _read(name: str) -> list[Object]:
    try:
        raw = Path(name).read_bytes()
    except OSError as error:
        raise CliError(f"{name} cannot be read: {error.strerror}") from error
    found: list[Object] = []
    for document in documents(raw):
        for flaw in document.flaws:
            where = f"{name}:{flaw.place.line}:{flaw.place.column}"
            raise CliError(f"{where}: {': '.join(part for part in (flaw.path, flaw.message) if part)}")
        found += [obj for obj in _objects(document.data) if obj.get("apiVersion") == API_VERSION]
    for obj in found:
        if not isinstance(obj.get("metadata"), dict) or not isinstance(obj["metadata"].get("name"), str):
            raise CliError(f"{name}: a policy has no metadata.name")
    return [obj for obj in found if obj.get("kind") == _KIND]


def _objects(content: object) -> list[Object]:
    if not isinstance(content, dict):
        return []
    if content.get("kind") in {"List", f"{_KIND}List"}:
        return [item for item in content.get("items") or () if isinstance(item, dict)]
    return [content]
