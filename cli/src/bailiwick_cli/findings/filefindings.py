"""Findings: what is wrong with policies and data in files, each with its file, line and column.

Standing: under `dryrun` and `view`. Holds: whether something is an error, the engine says, in the words of the operator
and of admission. A warning is what the cluster accepts, and what is likely not what was meant.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bailiwick_api.documents.positions import Document
from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_cli.reach import unproven, unreachable
from bailiwick_engine.compile import acceptance
from bailiwick_engine.compile.historychecks import uncountable_calls, unread_histories
from bailiwick_engine.compile.manifests import objects
from bailiwick_engine.policy.model import PolicyRef
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.problem import Problem
from bailiwick_governance.sources.policies import PolicySet

KIND: Final = "EndpointPolicy"
_PLACED: Final = re.compile(r"(?P<file>.*?):(?P<line>\d+):(?P<column>\d+): (?P<message>.*)", re.DOTALL)


class FindingSeverity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class FileFinding:
    """One thing that is wrong: `file:line:column: path: message`, and what is denied because of it.

    `by_server`: the API server said it, not this program.
    """

    severity: FindingSeverity
    problem: str
    denies: str | None = None
    by_server: bool = False

    @property
    def placed(self) -> tuple[str, int, int, str] | None:
        """File, line, column and message; None where the problem has no place."""
        found = _PLACED.fullmatch(self.problem)
        return None if found is None else (found["file"], int(found["line"]), int(found["column"]), found["message"])


def findings(found: PolicySet, now: float) -> Iterator[FileFinding]:
    """Yield what is wrong. `now`: when, in seconds since the epoch."""
    snapshot, reports = found.assembled()
    yield from (FileFinding(FindingSeverity.ERROR, report.problem, report.denies) for report in reports)
    for entry in found.entries:
        for expiry in entry.expiries:
            if expiry.time <= now:
                yield FileFinding(FindingSeverity.WARNING, expiry.problem)
    yield from (FileFinding(FindingSeverity.WARNING, problem) for problem in _warnings(found, snapshot))


def place_problem(label: str, document: Document, path: str, problem: Problem) -> str:
    """Return a problem with its place. `path` is where its object stands in the document."""
    whole = ".".join(part for part in (path, problem.path) if part)
    line, column = document.place(whole, problem.line, problem.column)
    text = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return f"{label}:{line}:{column}: {text}"


def _warnings(found: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    """Yield what the engine warns of in each policy, the rules that can never decide, and those without a subject."""
    lints: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for (namespace, _), endpoint in snapshot.endpoints.items():
        warnings = [(rule, "name", why) for rule, why in unreachable(endpoint.rules)]
        warnings += [(rule, "subjects", why) for rule, why in unproven(endpoint)]
        warnings += [(rule, "conditions", why) for rule, why in unread_histories(endpoint)]
        warnings += [(rule, "actions", why) for rule, why in uncountable_calls(endpoint)]
        for rule, member, why in warnings:
            lints.setdefault((namespace, rule.policy.name), []).append((rule.name, member, why))
    for label, document in found.documents:
        if document.flaws or not document.complete:
            continue
        for path, obj in objects(document):
            if not isinstance(obj, dict) or (obj.get("apiVersion"), obj.get("kind")) != (API_VERSION, KIND):
                continue
            metadata = obj.get("metadata")
            names = metadata if isinstance(metadata, dict) else {}
            ref = PolicyRef(str(names.get("namespace")), str(names.get("name")), "", 0)
            judged = acceptance.judge(ref, obj.get("spec"))
            if not judged.problems:
                linted = _place_lints(obj["spec"], lints.get((ref.namespace, ref.name), ()))
                yield from (place_problem(label, document, path, problem) for problem in (*judged.warnings, *linted))


def _place_lints(spec: dict[str, Any], lints: Iterable[tuple[str, str, str]]) -> Iterator[Problem]:
    places = {rule["name"]: index for index, rule in enumerate(spec["rules"])}
    yield from (Problem(f"spec.rules[{places[name]}].{member}", why) for name, member, why in lints)
