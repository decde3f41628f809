"""Formats of reports for other programs: SARIF, which shows findings at their lines, and JUnit XML for CI.

Standing: under the views. Holds: SARIF is ASCII, and names every file by a valid reference; nothing is printed here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, Literal
from urllib.parse import quote
from xml.etree import ElementTree

from bailiwick_api.distribution import DISTRIBUTION

Level = Literal["error", "warning", "note"]
SarifPlace = tuple[str, int, int]
"""File, line and column, the last two from 1."""

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif_result(rule: str, level: Level, text: str, place: SarifPlace | None) -> dict[str, Any]:
    """Return one finding. `rule` is one of those that `sarif_text` lists."""
    body: dict[str, Any] = {"ruleId": rule, "level": level, "message": {"text": text}}
    if place is not None:
        file, line, column = place
        region = {"startLine": line, "startColumn": column}
        body["locations"] = [{"physicalLocation": {"artifactLocation": {"uri": quote(file)}, "region": region}}]
    return body


def sarif_text(command: str, rules: Mapping[str, str], results: Sequence[Mapping[str, Any]]) -> str:
    """Return a log of SARIF 2.1.0 (OASIS), of one run. `rules`: what each kind of finding means."""
    listed = [{"id": name, "shortDescription": {"text": meaning}} for name, meaning in rules.items()]
    driver = {"name": f"bailiwick {command}", "version": version(DISTRIBUTION), "rules": listed}
    run = {"tool": {"driver": driver}, "results": list(results)}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class JunitCase:
    """One test. `reasons`: why it is what `outcome` says, a line each; the first is its headline."""

    group: str
    name: str
    outcome: Literal["passed", "failure", "error", "skipped"] = "passed"
    reasons: tuple[str, ...] = ()


def junit_text(name: str, suites: Sequence[tuple[str, Sequence[JunitCase]]]) -> str:
    """Return suites of tests as JUnit XML, each with its name. The texts are as `visible` makes them."""
    root = ElementTree.Element("testsuites", name=name)
    for title, cases in suites:
        counts = {
            plural: str(sum(one.outcome == outcome for one in cases))
            for plural, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
        }
        suite = ElementTree.SubElement(root, "testsuite", {"name": title, "tests": str(len(cases)), **counts})
        for one in cases:
            element = ElementTree.SubElement(suite, "testcase", classname=one.group, name=one.name)
            if one.outcome != "passed":
                reasons = one.reasons or (one.name,)
                ElementTree.SubElement(element, one.outcome, message=reasons[0]).text = "\n".join(reasons)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
