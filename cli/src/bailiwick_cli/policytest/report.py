"""Report: what the tests of files came to, for people and for programs.

Holds: every text of a file is escaped; a file that could not be run is named in each format, and is never a pass.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bailiwick_cli.policytest.coverage import Coverage
from bailiwick_cli.policytest.model import API_VERSION
from bailiwick_cli.policytest.regiontrial import TriedRegion
from bailiwick_cli.policytest.trial import TriedCall, TriedCase
from bailiwick_cli.reportformats import JunitCase, junit_text
from bailiwick_engine.approval.display import visible


@dataclass(frozen=True, slots=True)
class FileReport:
    """What one file came to. `problems`: why it, or a part of it, could not be run."""

    label: str
    cases: tuple[TriedCase, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """What all files came to. `unstable`: results that depend on an order."""

    files: tuple[FileReport, ...]
    unstable: tuple[str, ...] = ()
    coverage: Coverage | None = None

    @property
    def problems(self) -> list[str]:
        """Why something could not be run."""
        return [problem for file in self.files for problem in file.problems]

    @property
    def failed(self) -> list[TriedCase]:
        """The tests that failed."""
        return [case for file in self.files for case in file.cases if case.failures]

    def summary(self) -> str:
        """Return all of it in a sentence."""
        cases = [case for file in self.files for case in file.cases]
        broken = [file for file in self.files if file.problems]
        said = f"{len(cases) - len(self.failed)} passed, {len(self.failed)} failed"
        said += f", {len(broken)} of {len(self.files)} files could not be run" if broken else ""
        said += f", {len(self.unstable)} differ in another order" if self.unstable else ""
        patterns = sum(len(case.regions) for case in cases)
        said += f" ({sum(len(case.calls) for case in cases)} calls"
        return f"{said}, {patterns} patterns)" if patterns else f"{said})"


def failures(report: SuiteReport) -> Iterator[str]:
    """Yield a line for each call or pattern that came to something else, and for each result that varies."""
    for case in report.failed:
        for call in case.failures:
            yield _failure(case, call)
    yield from report.unstable


def document(report: SuiteReport) -> dict[str, Any]:
    """Return the report as an object."""
    body: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "PolicyTestReport",
        "message": report.summary(),
        "files": [
            {"file": file.label, "problems": list(file.problems), "tests": [_case(case) for case in file.cases]}
            for file in report.files
        ],
        "unstable": list(report.unstable),
    }
    if report.coverage is not None:
        body["coverage"] = {
            "rules": [
                {
                    "namespace": namespace,
                    "policy": policy,
                    "rule": name,
                    "decisive": rule.decisive,
                    "conditions": {condition: sorted(seen) for condition, seen in rule.outcomes.items()},
                }
                for (namespace, policy, name), rule in report.coverage.rules.items()
            ],
            "gaps": list(report.coverage.gaps()),
        }
    return body


def junit(report: SuiteReport) -> str:
    """Return the report as JUnit XML."""
    suites = [(visible(file.label), _cases(file)) for file in report.files]
    if report.unstable:
        shuffled = [JunitCase("shuffle", visible(one), "failure", (visible(one),)) for one in report.unstable]
        suites.append(("shuffle", shuffled))
    return junit_text("bailiwick test", suites)


def _cases(file: FileReport) -> list[JunitCase]:
    label = visible(file.label)
    made = [
        JunitCase(
            label,
            visible(case.name),
            "failure" if case.failures else "passed",
            tuple(_failure(case, call) for call in case.failures),
        )
        for case in file.cases
    ]
    if file.problems:
        made.append(JunitCase(label, "could not be run", "error", tuple(visible(one) for one in file.problems)))
    return made


def _case(case: TriedCase) -> dict[str, Any]:
    return {
        "name": case.name,
        "place": case.place,
        "passed": not case.failures,
        "calls": [_call(call) for call in case.calls],
        "regions": [_region(region) for region in case.regions],
    }


def _region(region: TriedRegion) -> dict[str, Any]:
    body: dict[str, Any] = {"says": region.said, "holds": not region.wrong}
    return body | {"place": region.place, "wrong": list(region.wrong)} if region.wrong else body


def _call(call: TriedCall) -> dict[str, Any]:
    subject, resource, action = call.names
    body: dict[str, Any] = {
        "subject": subject,
        "resource": resource,
        "action": action,
        "is": call.verdict,
        "reason": call.reason,
    }
    if call.rule is not None:
        body["rule"] = call.rule
    if call.wrong:
        body |= {"place": call.place, "wrong": list(call.wrong)}
    return body


def _failure(case: TriedCase, failed: TriedCall | TriedRegion) -> str:
    said = " ".join(failed.names) if isinstance(failed, TriedCall) else failed.said
    return visible(f"{failed.place}: {case.name}: {said}: {'; '.join(failed.wrong)}")
