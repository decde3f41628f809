"""`validate`: what is wrong with policies and data, told before they are applied.

Holds: whether something is an error, the engine says, in the words of the operator and of admission; each finding has
its file, line and column. A warning is what the cluster accepts, and what is likely not what was meant.
"""

import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from bailiwick_api.meta import API_VERSION
from bailiwick_api.positions import Document
from bailiwick_cli import output, policies
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.options import LogOutput, Output
from bailiwick_cli.policies import PolicySet
from bailiwick_cli.policyflags import ValidateFlags
from bailiwick_cli.reach import unreachable
from bailiwick_engine.approval.display import visible
from bailiwick_engine.compile import acceptance
from bailiwick_engine.compile.manifests import objects
from bailiwick_engine.policy.model import PolicyRef
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.problem import Problem

_KIND: Final = "EndpointPolicy"
_PLACED: Final = re.compile(r"(?P<file>.*?):(?P<line>\d+):(?P<column>\d+): (?P<message>.*)", re.DOTALL)
_STYLES: Final = {"error": "red", "warning": "yellow"}


@dataclass(frozen=True, slots=True)
class FileFinding:
    """One thing that is wrong: `file:line:column: path: message`, and what is denied because of it."""

    severity: Literal["error", "warning"]
    problem: str
    denies: str | None = None


def run(options: ValidateFlags) -> int:
    """Read, judge and tell."""
    found = policies.policy_set([file for name in options.files for file in policies.files_of(name)])
    if not (found.entries or found.data):
        raise CliError(f"{', '.join(options.files)}: no {_KIND} found")
    findings = list(_findings(found, time.time()))
    if options.output is LogOutput.JSON:
        sys.stdout.write(output.document(_object(found, findings), Output.JSON))
    else:
        for one in findings:
            denies = "" if one.denies is None else f"; this denies {one.denies}"
            said = output.rendered(f"{one.problem}{denies}")
            output.write([[(one.severity, f"bold {_STYLES[one.severity]}"), (f": {said}", "")]])
        output.write([[(_summary(found, findings), "")]])
    if any(contents.unreadable for _, contents in found.files):
        return Exit.FAILURE
    return Exit.NO if findings else Exit.OK


def _findings(found: PolicySet, now: float) -> Iterator[FileFinding]:
    snapshot, reports = found.assembled()
    yield from (FileFinding("error", report.problem, report.denies) for report in reports)
    for entry in found.entries:
        for expiry in entry.expiries:
            if expiry.time <= now:
                yield FileFinding("warning", expiry.problem)
    yield from (FileFinding("warning", problem) for problem in _warnings(found, snapshot))


def _warnings(found: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    """Yield what the engine warns of in each policy, and the rules that can never decide."""
    hidden: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for (namespace, _), endpoint in snapshot.endpoints.items():
        for rule, why in unreachable(endpoint.rules):
            hidden.setdefault((namespace, rule.policy.name), []).append((rule.name, why))
    for label, document in found.documents:
        if document.flaws or not document.complete:
            continue
        for path, obj in objects(document):
            if not isinstance(obj, dict) or (obj.get("apiVersion"), obj.get("kind")) != (API_VERSION, _KIND):
                continue
            metadata = obj.get("metadata")
            names = metadata if isinstance(metadata, dict) else {}
            ref = PolicyRef(str(names.get("namespace")), str(names.get("name")), "", 0)
            judged = acceptance.judge(ref, obj.get("spec"))
            if not judged.problems:
                unreached = _placed(obj["spec"], hidden.get((ref.namespace, ref.name), ()))
                yield from (_said(label, document, path, problem) for problem in (*judged.warnings, *unreached))


def _placed(spec: dict[str, Any], hidden: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    places = {rule["name"]: index for index, rule in enumerate(spec["rules"])}
    yield from (Problem(f"spec.rules[{places[name]}].name", why) for name, why in hidden)


def _said(label: str, document: Document, path: str, problem: Problem) -> str:
    whole = ".".join(part for part in (path, problem.path) if part)
    line, column = document.place(whole, problem.line, problem.column)
    return f"{label}:{line}:{column}: {problem.path}: {problem.message}"


def _summary(found: PolicySet, findings: list[FileFinding]) -> str:
    errors = sum(one.severity == "error" for one in findings)
    data = f", {len(found.data)} of data" if found.data else ""
    return f"{len(found.entries)} policies{data}: {errors} errors, {len(findings) - errors} warnings"


def _object(found: PolicySet, findings: list[FileFinding]) -> dict[str, Any]:
    return {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "PolicyValidation",
        "message": _summary(found, findings),
        "policies": len(found.entries),
        "data": len(found.data),
        "ignored": found.ignored,
        "findings": [_finding(one) for one in findings],
    }


def _finding(one: FileFinding) -> dict[str, Any]:
    body: dict[str, Any] = {"severity": one.severity}
    placed = _PLACED.fullmatch(one.problem)
    if placed is None:
        body["message"] = visible(one.problem)
    else:
        body |= {
            "file": placed["file"],
            "line": int(placed["line"]),
            "column": int(placed["column"]),
            "message": placed["message"],
        }
    return body | ({} if one.denies is None else {"denies": one.denies})
