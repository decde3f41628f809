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
from bailiwick_engine.approval.display import visible
from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.budget.ledger import Budget, Claim, Ledger
from bailiwick_engine.compile.acceptance import Why, judge, over_budget
from bailiwick_engine.compile.policies import compile_object, policy_ref
from bailiwick_engine.compile.withheld import withheld
from bailiwick_engine.policy.model import BrokenPolicy
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot

Object = dict[str, Any]

_KIND: Final = "EndpointPolicy"


def of_cluster(cluster: Cluster) -> Snapshot:
    """Compile the policies of a namespace. Who is over budget there, their status says."""
    items, _ = cluster.listed(policies_path(cluster.namespace))
    return _compiled(items, [_told_over(raw) for raw in items])


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
    return _compiled(found, _over(found)), chosen


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


def _compiled(items: Sequence[Object], over: Sequence[str | None]) -> Snapshot:
    """Compile policies. `over`: of each, in what it is over budget, so that it denies; None where it is not."""
    compiled = []
    for raw, excess in zip(items, over, strict=True):
        ref = policy_ref(raw)
        policy = compile_object(raw) if excess is None else withheld(ref, raw.get("spec"))
        if excess is not None:
            output.talk(f"warning: the policy {visible(ref.name)} is over budget: {visible(excess)}")
        elif isinstance(policy, BrokenPolicy):
            for problem in judge(ref, raw.get("spec")).problems:
                output.talk(f"warning: the policy {visible(ref.name)} is broken: {visible(str(problem))}")
        compiled.append(policy)
    return Snapshot.of(compiled)


def _over(items: Sequence[Object]) -> list[str | None]:
    """Tell of files who is over, by the budgets that an installation has by default, and with no other policies."""
    ledger = Ledger(Budget())
    for raw in items:
        metadata = raw["metadata"]
        claim = Claim(str(metadata.get("creationTimestamp", "")), metadata["name"], footprint(raw.get("spec")))
        ledger.put(metadata["namespace"], metadata["name"], claim)
    ledger.settle()
    found = [ledger.excess(raw["metadata"]["namespace"], raw["metadata"]["name"]) for raw in items]
    return [None if excess is None else over_budget(excess).message for excess in found]


def _told_over(raw: Object) -> str | None:
    generation = raw["metadata"].get("generation")
    for condition in (raw.get("status") or {}).get("conditions") or ():
        if condition.get("reason") == Why.OVER_BUDGET and condition.get("observedGeneration") == generation:
            return str(condition.get("message", ""))
    return None


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
