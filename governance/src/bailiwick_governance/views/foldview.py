"""What the fold of histories says, in words and as an object.

Standing: under `audit verify`. Holds: data only; every text of others is escaped.
"""

from collections.abc import Iterator

from bailiwick_engine.approval.display import visible
from bailiwick_evidence.audit.historyfold import HistoryReport
from bailiwick_evidence.audit.objectfold import HistoryFinding
from bailiwick_governance.display import Line


def histories_line(report: HistoryReport) -> str:
    """Return the counts in a line."""
    objects = f"{report.objects} history object{'' if report.objects == 1 else 's'}"
    counts = f"{report.derived} derived, {report.gaps} gap{'' if report.gaps == 1 else 's'}"
    return f"{report.lines} lines about {objects}: {counts}, {report.contradicted} contradicted"


def history_lines(report: HistoryReport) -> Iterator[Line]:
    """Yield a line for each finding."""
    for found in report.findings:
        code = (found.code.value, "red" if found.bad else "yellow")
        yield [(f"{_subject_of(found)}: ", ""), code, (f": {visible(found.said)}", "")]


def histories_notes(report: HistoryReport) -> Iterator[str]:
    """Say what the fold could not find out, and what would help."""
    if report.gaps:
        yield (
            "gap: a log is missing, or a process died after it counted a call and before it wrote the record; give the"
            " files of all decision points"
        )
    if report.lines and not report.known:
        yield "the windows of some histories are not known, so a count that is too small is not found; set --policies"
    if report.left_out:
        yield f"{report.left_out} history objects were not checked, since there are too many: give fewer files"


def histories_object(report: HistoryReport) -> dict[str, object]:
    """Return it as an object."""
    return {
        "objects": report.objects,
        "lines": report.lines,
        "derived": report.derived,
        "gaps": report.gaps,
        "contradicted": report.contradicted,
        "leftOut": report.left_out,
        "windowsKnown": report.known,
        "findings": [_finding_object(one) for one in report.findings],
    }


def _finding_object(found: HistoryFinding) -> dict[str, object]:
    endpoint, name = found.object
    entry: dict[str, object] = {"code": found.code.value, "bad": found.bad, "endpoint": endpoint, "object": name}
    if found.cluster is not None:
        entry["cluster"] = found.cluster
    if found.place is not None:
        entry["line"] = f"{found.place[0]} {found.place[1]}"
    return entry | {"message": found.said}


def _subject_of(found: HistoryFinding) -> str:
    endpoint, name = found.object
    about = visible(f"{endpoint} {name}".strip() + ("" if found.cluster is None else f" of {found.cluster}"))
    return about if found.place is None else f"{found.place[0]} {found.place[1]} ({about})"
