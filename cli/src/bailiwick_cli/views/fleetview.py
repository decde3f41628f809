"""How the state of several clusters is printed: a table with what is not well below it, or JSON.

Holds: data only; every text of others is escaped before people see it, and JSON is ASCII.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from bailiwick_cli import output
from bailiwick_engine.approval.display import visible
from bailiwick_governance.display import Line
from bailiwick_governance.fleet.judging import FleetCheck, FleetCheckCode
from bailiwick_governance.fleet.policies import PolicyDifference
from bailiwick_governance.fleet.report import FleetReport, FleetRow
from bailiwick_governance.health.evidencefacts import HealthTone

_HEADERS: Final = {
    FleetCheckCode.VERSION: "VERSION",
    FleetCheckCode.GUARDS: "GUARDS",
    FleetCheckCode.POLICIES: "POLICIES",
    FleetCheckCode.SERVED: "SERVED",
    FleetCheckCode.DRIFT: "DRIFT",
    FleetCheckCode.WITNESS: "WITNESS",
    FleetCheckCode.LOSSES: "LOST",
    FleetCheckCode.REVOCATIONS: "REVOKED",
}
_STYLES: Final = {HealthTone.GOOD: "green", HealthTone.DOUBT: "bold red", HealthTone.UNKNOWN: "yellow"}
_DIGITS: Final = 19


def write_tables(report: FleetReport) -> None:
    """Print a row for each cluster, and below the table what is not well, in full."""
    codes = [code for code in FleetCheckCode if any(one.code is code for row in report.rows for one in row.checks)]
    shown = codes or [code for code in FleetCheckCode if code is not FleetCheckCode.DRIFT]
    table = output.Table(("CLUSTER", *(_HEADERS[code] for code in shown)))
    table.add([_row(row, shown) for row in report.rows])
    lines = [*_findings(report)]
    if lines:
        output.write([[("", "")], *lines])


def _row(row: FleetRow, codes: list[FleetCheckCode]) -> Line:
    checks = {one.code: one for one in row.checks}
    cells = [_cell(checks.get(code)) for code in codes]
    return [(visible(row.name), "" if row.problem is None else "bold red"), *cells]


def _cell(check: FleetCheck | None) -> tuple[str, str]:
    if check is None:
        return ("unknown", _STYLES[HealthTone.UNKNOWN])
    return (visible(check.cell), _STYLES[check.tone])


def _findings(report: FleetReport) -> Iterator[Line]:
    for row in report.rows:
        name = visible(row.name)
        if row.problem is not None:
            yield [(f"{name}: ", "bold"), (f"could not be asked: {visible(row.problem)}", "bold red")]
        for check in row.checks:
            if check.tone is not HealthTone.GOOD:
                yield [(f"{name}: ", "bold"), (f"{check.code}: {visible(check.told)}", _STYLES[check.tone])]
    for one in report.differences:
        yield [(_difference(one), "bold red")]
    if report.partial:
        count = len(report.partial)
        yield [(f"note: {count} {'policy is' if count == 1 else 'policies are'} not in every cluster; see -o json", "")]


def _difference(one: PolicyDifference) -> str:
    states = (
        f"{visible(cluster)} {str(state.digest)[:_DIGITS]} (generation {state.generation})"
        for cluster, state in one.states.items()
    )
    return f"differs: {visible('/'.join(one.name))}: {', '.join(states)}"


def document(report: FleetReport) -> str:
    """Return the report as JSON."""
    raw = {
        "kind": "FleetStatus",
        "clusters": [_cluster(row) for row in report.rows],
        "differences": [
            {
                "namespace": one.name[0],
                "name": one.name[1],
                "clusters": {
                    cluster: {"digest": state.digest, "generation": state.generation}
                    for cluster, state in one.states.items()
                },
            }
            for one in report.differences
        ],
        "partial": [
            {"namespace": name[0], "name": name[1], "clusters": list(having)} for name, having in report.partial.items()
        ],
    }
    return json.dumps(raw, indent=2) + "\n"


def _cluster(row: FleetRow) -> dict[str, Any]:
    found: dict[str, Any] = {"name": row.name, "asked": row.problem is None}
    if row.problem is not None:
        return found | {"problem": row.problem}
    if row.versions is not None:
        versions = row.versions
        found["versions"] = {"operator": versions.operator, "webhook": versions.webhook, "chart": versions.chart}
        found["versions"]["images"] = list(versions.images)
    found["checks"] = {
        str(one.code): {"state": str(one.tone), "summary": one.cell, "message": one.told} for one in row.checks
    }
    found["policies"] = [
        {
            "namespace": one.name[0],
            "name": one.name[1],
            "generation": one.generation,
            "digest": one.digest,
            "accepted": one.accepted,
            "served": one.served,
        }
        for one in row.policies
    ]
    if row.drift is not None and row.drift.problem is None:
        found["drift"] = {str(kind): count for kind, count in row.drift.counts.items()}
    return found
