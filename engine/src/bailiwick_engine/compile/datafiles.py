"""Data files: the `EndpointData` objects in files, for processes that decide by files.

Standing: under `manifests`, which finds the objects; `assembly` puts them beside the policies. Holds: a problem of an
object makes the object unknown, which denies what its readers would allow, and nothing else. If two objects have one
name, neither is read, since it is unknown which was meant.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_api.kinds.endpointdata import KIND
from bailiwick_api.kinds.meta import API_VERSION, GROUP
from bailiwick_engine.budget.datasize import ledger_name
from bailiwick_engine.budget.ledger import BudgetLedger
from bailiwick_engine.cel.data import Data, DataObject, Unknown, UnknownReason, over_budget, read_steps
from bailiwick_engine.compile.acceptance import over_budget as told_over
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy
from bailiwick_engine.problem import Problem
from bailiwick_engine.steps import Steps

_MEMBERS: Final = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


@dataclass(frozen=True, slots=True)
class DataEntry:
    """One object of data. `where` is its place; `problem` what is wrong with it, with its place."""

    where: str
    namespace: str
    made: DataObject
    problem: str = ""
    over: bool = False

    @property
    def named(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.made.name}"


def is_data(obj: object) -> bool:
    """Tell whether an object names itself data."""
    if not isinstance(obj, dict) or obj.get("kind") != KIND:
        return False
    version = obj.get("apiVersion")
    return isinstance(version, str) and version.partition("/")[0] == GROUP


def data_steps(
    ref: tuple[str, str, str, int], obj: Mapping[str, Any], flaw: Problem | None, ledger: BudgetLedger
) -> Steps[DataObject]:
    """Return what an object comes to. `ref`: namespace, name, uid and generation; `flaw`: it cannot be read whole."""
    namespace, name, uid, generation = ref
    wrong = flaw
    if wrong is None and obj.get("apiVersion") != API_VERSION:
        wrong = Problem("apiVersion", f"must be {API_VERSION}")
    for member in sorted(obj.keys() - _MEMBERS) if wrong is None else ():
        wrong = wrong or Problem(member, "unknown field")
    if wrong is not None:
        return DataObject(name, uid, generation, None, unknown=Unknown(UnknownReason.UNREADABLE, wrong))
    excess = ledger.excess(namespace, ledger_name(name))
    if excess is not None:
        return over_budget(name, uid, generation, told_over(excess).message)
    return (yield from read_steps(name, uid, generation, obj.get("spec")))


def by_namespace(entries: Iterable[DataEntry]) -> tuple[dict[str, dict[str, DataObject]], list[str]]:
    """Return the readable objects by namespace and name, and the problems of duplicate ones."""
    found: dict[str, dict[str, DataObject]] = {}
    first: dict[str, DataEntry] = {}
    problems: list[str] = []
    for entry in entries:
        other = first.setdefault(entry.named, entry)
        if other is not entry:
            problems.append(f"{entry.where}: metadata.name: {entry.named} is also defined at {other.where}")
            wrong = Unknown(UnknownReason.UNREADABLE, Problem("metadata.name", f"is also defined at {entry.where}"))
            made = DataObject(entry.made.name, "", 0, None, unknown=wrong)
        else:
            made = entry.made
        if entry.namespace:
            found.setdefault(entry.namespace, {})[made.name] = made
    return found, problems


def missing(policy: CompiledPolicy | BrokenPolicy, data: Data) -> Iterator[str]:
    """Yield the objects that a policy names and that are not there."""
    yield from (name for name in policy.data if name not in data)
