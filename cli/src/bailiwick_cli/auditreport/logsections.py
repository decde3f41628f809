"""The sections about the logs themselves: what was found, what was lost, and what was read.

Standing: under `sections`. Holds: data only; every text of others is a cell. What is bad stands first, and what a table
leaves out is counted by whether it is bad.
"""

from collections.abc import Iterator
from typing import Final

from bailiwick_api import times
from bailiwick_cli.auditreport.report import AuditReport
from bailiwick_cli.auditreport.section import ReportSection, ReportTable, Row, cell, rest_of_rows
from bailiwick_engine.approval.display import visible
from bailiwick_evidence.audit.findings import ChainReport
from bailiwick_governance.display import Line, counted, show_escaped
from bailiwick_governance.views.foldview import history_lines
from bailiwick_governance.views.reviewfoldview import review_lines

_BAD: Final = "not intact"
_NOTE: Final = "note"
NO_LOG: Final = (
    "No log shows what a decision point in the hands of an attacker did not write. Compare the logs of the enforcement"
    " points."
)


def findings_section(report: AuditReport) -> ReportSection:
    """Return what is not known, and what was found in the logs."""
    rows = sorted(_findings(report), key=lambda row: row[0] != _BAD)
    points = (*(show_escaped(one) for one in report.caveats), NO_LOG)
    if not rows:
        return ReportSection("What is not known", ("The logs are judged whole, also outside of the period.",), points)
    chosen, hidden = rows[: report.top], rows[report.top :]
    bad = sum(row[0] == _BAD for row in hidden)
    rest = f"And {counted(len(hidden), 'more finding')}, {bad:,} of them {_BAD}." if hidden else ""
    table = ReportTable(("State", "Where", "Finding", "What it says"), tuple(chosen), rest)
    sentences = ("The logs are judged whole, also outside of the period.",)
    return ReportSection("What is not known", sentences, points, tables=(table,))


def losses_section(report: AuditReport) -> ReportSection:
    """Return which log lost how many records."""
    losses = report.losses
    if not losses:
        sentence = (
            "Neither the logs nor an operator's ledger among them say that a record was lost. A process that was killed"
            " may have lost some, and says nothing."
        )
        return ReportSection("What was lost", (sentence,))
    pods = {one.chain: one.pod for one in report.verification.reports}
    every = sorted(losses.items(), key=lambda item: (-item[1], item[0]))
    rows = tuple((f"{lost:,}", _log_cell(name, pods.get(name))) for name, lost in every[: report.top])
    table = ReportTable(("Records", "Log"), rows, rest_of_rows(every, report.top), frozenset({0}))
    sentence = "A process says itself how many records it could not write: there may be more."
    return ReportSection("What was lost", (sentence,), tables=(table,))


def logs_section(report: AuditReport) -> ReportSection:
    """Return each log that was read, or that a witness saw."""
    reports = report.verification.reports
    rows = tuple(_log_row(report, one) for one in reports[: report.top])
    hidden = reports[report.top :]
    rest = (
        f"And {counted(len(hidden), 'more log')}, {sum(one.bad for one in hidden):,} of them {_BAD},"
        f" with {counted(sum(report.tally.chains[one.chain] for one in hidden), 'decision')} together."
        if hidden
        else ""
    )
    headers = ("Log", "Installation", "State", "Lines", "Witnessed", "Decisions")
    return ReportSection("The logs", tables=(ReportTable(headers, rows, rest, frozenset({3, 5})),))


def sources_section(report: AuditReport) -> ReportSection:
    """Return what the report stands on."""
    sources = report.sources
    keys = [cell(one) for one in sources.witnesses]
    files = [cell(one) for one in sources.files]
    points = (
        f"Read: {_some(files, report.top)}.",
        f"Trusted witnesses: {_some(keys, report.top)}." if keys else "No key of a witness was given.",
        f"So many of them must agree: {sources.quorum}.",
        "The decisions were derived again, by the texts of the policies."
        if report.verification.totals.derived
        else "The decisions were not derived again (--policies): whether they follow from the policies is not known.",
        f"Written by Bailiwick {cell(sources.version)} at {times.epoch_stamp(sources.written)}.",
        "To find out the same again, give the same files and keys to kubectl bailiwick audit verify.",
    )
    return ReportSection("How this page came about", points=points)


def _findings(report: AuditReport) -> Iterator[Row]:
    verification, totals = report.verification, report.verification.totals
    for one in verification.reports:
        for each in one.findings:
            state = _BAD if each.bad else _NOTE
            yield state, _log_cell(one.chain, one.pod), each.place, visible(each.said)
    for contradicted in verification.results.contradicted:
        yield _BAD, cell(contradicted.place), contradicted.code, show_escaped(contradicted.said)
    for line in verification.unproven_lines():
        yield _BAD if totals.strict else _NOTE, *_pieces(line)
    bad = [found.bad for found in totals.histories.findings]
    for line, wrong in zip(history_lines(totals.histories), bad, strict=True):
        yield _BAD if wrong else _NOTE, *_pieces(line)
    for line in review_lines(totals.signed):
        yield _BAD, *_pieces(line)


def _pieces(line: Line) -> tuple[str, str, str]:
    """Return where, code and sentence of a line of a view, which has escaped them."""
    (where, _), (code, _), (said, _) = line
    return where.removesuffix(": "), code, said.removeprefix(": ")


def _log_row(report: AuditReport, one: ChainReport) -> Row:
    log = report.audit.chains.get(one.chain)
    installation = (log.opening or {}).get("installation") if log is not None else None
    state = "intact" if one.intact else _BAD if one.bad else "not witnessed"
    upto = "never" if one.upto is None else f"{one.witnessed:,} lines, up to {times.epoch_stamp(one.upto)}"
    return (
        _log_cell(one.chain, one.pod),
        cell(installation) if isinstance(installation, str) else "not known",
        state,
        f"{one.lines:,}" + (f", {one.removed:,} removed" if one.removed else ""),
        upto,
        f"{report.tally.chains[one.chain]:,}",
    )


def _log_cell(chain: str, pod: str | None) -> str:
    return cell(chain) if pod is None else f"{cell(chain)} of {cell(pod)}"


def _some(texts: list[str], most: int) -> str:
    rest = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + rest
