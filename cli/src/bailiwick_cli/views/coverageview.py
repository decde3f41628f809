"""How coverage is printed: a table for people, JSON, Markdown with a picture for a review, and fixes to apply.

Standing: over `coveragepicture`. Holds: data only; every text of others is escaped before people see it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from bailiwick_cli import output
from bailiwick_cli.views.coveragepicture import mermaid, picture_of
from bailiwick_coverage.findings import CoverageCode, CoverageFinding, CoverageFix
from bailiwick_coverage.protection import ProtectionKind
from bailiwick_coverage.report import CoverageReport, ServiceRow, count_codes
from bailiwick_engine.approval.display import visible
from bailiwick_governance.display import Line
from bailiwick_governance.markdown import plain, table

HEADERS: Final = ("FINDING", "OBJECT", "WHAT")
EXEMPT_HEADERS: Final = ("EXEMPT", "OBJECT", "REASON")
FIRST: Final = """\
# A first policy. Mode Audit decides nothing: it is evaluated and recorded beside what decides.
# Name your callers, your actions and your resources, test it, and then set mode: Enforce.
"""
_STYLES: Final = {CoverageCode.UNPROTECTED: "bold red", CoverageCode.AROUND: "bold red", CoverageCode.STALE: "dim"}


@dataclass(frozen=True, slots=True)
class ClusterCoverage:
    """The report about one cluster, under the name of its context."""

    context: str
    report: CoverageReport


def write_tables(found: Sequence[ClusterCoverage]) -> None:
    """Print a table for each cluster, with its headline."""
    for one in found:
        if len(found) > 1:
            output.write([[(visible(one.context), "bold underline")]])
        if one.report.findings:
            output.Table(HEADERS).add([_row(finding) for finding in one.report.findings])
        if one.report.exempt:
            exempt = [
                [(each.finding.code.value, "dim"), (visible(str(each.finding.ref)), ""), (visible(each.reason), "")]
                for each in one.report.exempt
            ]
            output.Table(EXEMPT_HEADERS).add(exempt)
        output.write([[(headline(one.report), "bold")]])


def headline(report: CoverageReport) -> str:
    """Return how many findings there are of each code, and how many Services are protected."""
    counts = [f"{count} {code.value}" for code, count in count_codes(report.findings).items() if count]
    guarded = sum(row.held.kind is not ProtectionKind.NONE for row in report.services)
    services = f"; {guarded} of {len(report.services)} Services have an enforcement point"
    exempt = f"; {len(report.exempt)} exempt" if report.exempt else ""
    return f"{', '.join(counts) or 'no finding'}{exempt}{services if report.knows_services else ''}"


def _row(one: CoverageFinding) -> Line:
    return [
        (one.code.value, _STYLES.get(one.code, "yellow")),
        (visible(str(one.ref)), ""),
        (visible(one.sentence), ""),
    ]


def fixes(found: Sequence[ClusterCoverage]) -> str:
    """Return the fixes of all findings as documents of YAML."""
    return "".join(fix_text(one, one.fix) for each in found for one in each.report.findings if one.fix is not None)


def fix_text(finding: CoverageFinding, fix: CoverageFix) -> str:
    """Return a fix as documents of YAML, with comments that say what it is for."""
    head = f"---\n# {finding.code.value}: {_comment(str(finding.ref))}: {_comment(finding.sentence)}\n"
    note = f"# {_comment(fix.note)}\n" if fix.note else ""
    documents = [yaml.safe_dump(_plain(one), sort_keys=False, allow_unicode=False) for one in fix.manifests]
    return head + note + "---\n".join(documents)


def _comment(text: str) -> str:
    # A line break would end the comment.
    return visible(" ".join(text.split()))


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return JSON with lists and objects of its own, so that YAML writes none of them as an alias."""
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value


def document(found: Sequence[ClusterCoverage]) -> str:
    """Return all of it as JSON, in ASCII."""
    totals = {code.value: sum(count_codes(one.report.findings)[code] for one in found) for code in CoverageCode}
    body = {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "Coverage",
        "totals": {**totals, "exempt": sum(len(one.report.exempt) for one in found)},
        "clusters": [_cluster(one) for one in found],
    }
    return json.dumps(body, indent=2) + "\n"


def _cluster(one: ClusterCoverage) -> dict[str, Any]:
    facts = one.report.facts
    return {
        "context": one.context,
        "namespaces": list(facts.asked),
        "examined": [code.value for code in one.report.examined],
        "leftOut": list(facts.left_out),
        "services": [_service(row) for row in one.report.services],
        "findings": [_finding(each) for each in one.report.findings],
        "exempt": [{**_finding(each.finding), "reason": each.reason} for each in one.report.exempt],
    }


def _service(row: ServiceRow) -> dict[str, Any]:
    body: dict[str, Any] = {
        "namespace": row.service.namespace,
        "name": row.service.name,
        "enforcementPoint": row.held.kind.value,
    }
    if row.held.endpoint is not None:
        body["endpoint"] = "/".join(row.held.endpoint)
        body["enforcers"] = sorted(row.held.enforcers)
    return body


def _finding(one: CoverageFinding) -> dict[str, Any]:
    ref = {
        "kind": one.ref.kind,
        **({"namespace": one.ref.namespace} if one.ref.namespace else {}),
        "name": one.ref.name,
    }
    body: dict[str, Any] = {"code": one.code.value, "object": ref, "message": one.sentence}
    if one.detail:
        body["detail"] = one.detail
    if one.fix is not None:
        body["fix"] = {"manifests": [_plain(each) for each in one.fix.manifests]}
        if one.fix.note:
            body["fix"]["note"] = one.fix.note
    return body


def markdown(found: Sequence[ClusterCoverage]) -> str:
    """Return the picture, a table and the fixes of each cluster in Markdown."""
    return "\n".join(line for one in found for line in _sections(one)) + "\n"


def _sections(one: ClusterCoverage) -> Iterator[str]:
    report = one.report
    yield f"## {plain(visible(one.context))}"
    yield from ("", f"**{headline(report)}**", "")
    if report.knows_services:
        yield from ("```mermaid", mermaid(picture_of(report)).rstrip(), "```", "")
    if report.findings:
        rows = [[text for text, _ in _row(each)] for each in report.findings]
        yield from table([each.lower() for each in HEADERS], rows)
        yield ""
    if report.exempt:
        rows = [
            [each.finding.code.value, visible(str(each.finding.ref)), visible(each.reason)] for each in report.exempt
        ]
        yield from table([each.lower() for each in EXEMPT_HEADERS], rows)
        yield ""
    for each in report.findings:
        if each.fix is not None:
            yield from ("```yaml", fix_text(each, each.fix).removeprefix("---\n").rstrip(), "```", "")
