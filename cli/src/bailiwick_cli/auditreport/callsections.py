"""The sections about calls and approvals: who did what, by which approval, who reviewed, and what was denied.

Standing: under `sections`. Holds: data only; every text of others is a cell.
"""

from collections.abc import Sequence
from typing import Final

from bailiwick_api import times
from bailiwick_cli.auditreport.figures.periodtally import OUTCOMES, REQUESTS, USES
from bailiwick_cli.auditreport.figures.reportedcall import BY_APPROVAL, BY_RULE
from bailiwick_cli.auditreport.report import AuditReport
from bailiwick_cli.auditreport.section import (
    ReportChart,
    ReportSection,
    ReportTable,
    cell,
    count_cell,
    parties_cell,
    rest_of,
    rest_of_rows,
    reviews_cell,
    span_cell,
)
from bailiwick_engine.reasons import EXPLAINED, Reason
from bailiwick_governance.records.listedrecords import ASKED, DENIED

LABELS: Final = {BY_RULE: BY_RULE, BY_APPROVAL: BY_APPROVAL, ASKED: "approval needed", DENIED: "denied"}
"""What each outcome is called on the page."""
_ENDS: Final = {
    "denied or revoked": frozenset({"Denied", "Revoked", "Deleted"}),
    "expired or withdrawn": frozenset({"Expired", "Lapsed", "Withdrawn"}),
}
_CODES: Final = frozenset(Reason)


def decisions_section(report: AuditReport) -> ReportSection:
    """Return decisions over time, by outcome."""
    tally = report.tally
    if not tally.decisions:
        return ReportSection("Decisions over time", ("No decision is on record in this period.",))
    series = [(LABELS[outcome], _by_slot(report, tally.outcomes, outcome)) for outcome in OUTCOMES]
    return _chart_section(report, "Decisions over time", "Decisions over time, by outcome", series)


def approvals_section(report: AuditReport) -> ReportSection:
    """Return requests, uses and ends of approvals over time."""
    series = [(event, _by_slot(report, report.tally.events, event)) for event in (REQUESTS, USES)]
    for label, phases in _ENDS.items():
        counts = [0] * report.period.slots
        for grant in report.ended:
            counts[report.period.slot(grant.ended)] += grant.phase in phases
        series.append((label, tuple(counts)))
    if not any(count for _, counts in series for count in counts):
        return ReportSection(
            "Approvals over time", ("In this period, no approval was requested or used, and none was denied.",)
        )
    return _chart_section(report, "Approvals over time", "Requests, uses and ends of approvals over time", series)


def uses_section(report: AuditReport) -> ReportSection:
    """Return who did what by which approval."""
    top = report.tally.uses.top(report.top)
    if not top.rows:
        return ReportSection("Who did what by which approval", ("No approval was used in this period.",))
    rows = tuple(
        (
            span_cell(row),
            parties_cell(row.key.parties),
            f"{cell(row.key.action)} on {cell(row.key.resource)}",
            f"{cell(row.key.rule)} at {cell(row.key.endpoint)}",
            cell(row.key.approval),
            reviews_cell(row.key.reviews),
            count_cell(row),
        )
        for row in top.rows
    )
    headers = ("When", "Who", "What", "Rule", "Approval", "Reviewed by", "Uses")
    return ReportSection(
        "Who did what by which approval", tables=(ReportTable(headers, rows, rest_of(top), frozenset({6})),)
    )


def reviewers_section(report: AuditReport) -> ReportSection:
    """Return who reviewed how much."""
    people = report.reviewers
    sentences = ["Reviews of approvals that were used or that ended in this period."]
    if report.tally.uses.dropped:
        sentences.append("There were more uses than there is room for: there may be more reviews, and more reviewers.")
    rows = tuple(
        (cell(one.reviewer), f"{one.approved:,}", f"{one.denied:,}", f"{one.approvals:,}")
        for one in people[: report.top]
    )
    if not rows:
        return ReportSection("Who reviewed", (*sentences, "There are none."))
    headers = ("Reviewer", "Approved", "Denied", "Approvals")
    table = ReportTable(headers, rows, rest_of_rows(people, report.top), frozenset({1, 2, 3}))
    return ReportSection("Who reviewed", tuple(sentences), tables=(table,))


def ended_section(report: AuditReport) -> ReportSection:
    """Return how approvals ended."""
    if not report.ended:
        return ReportSection("How approvals ended", ("The logs have no approval that ended in this period.",))
    phases = ", ".join(f"{count:,} {cell(phase)}" for phase, count in report.phases.most_common(report.top))
    rows = tuple(
        (
            times.epoch_stamp(one.ended),
            cell(one.approval),
            cell(one.phase),
            cell(one.subject),
            f"{cell(one.action)} on {cell(one.resource)}",
            reviews_cell(one.reviews),
            f"{one.uses:,}",
        )
        for one in report.ended[: report.top]
    )
    headers = ("Ended", "Approval", "How", "For", "What", "Reviewed by", "Uses")
    table = ReportTable(headers, rows, rest_of_rows(report.ended, report.top), frozenset({6}))
    return ReportSection("How approvals ended", (f"By the operator's ledger: {phases}.",), tables=(table,))


def rules_section(report: AuditReport) -> ReportSection:
    """Return what rules let through without an approval."""
    top = report.tally.rules.top(report.top)
    if not top.rows:
        return ReportSection("What rules allowed", ("No rule let a call through without an approval in this period.",))
    rows = tuple(
        (
            count_cell(row),
            parties_cell(row.key.parties),
            f"{cell(row.key.action)} on {cell(row.key.kind)}",
            f"{cell(row.key.rule)} at {cell(row.key.endpoint)}",
            span_cell(row),
        )
        for row in top.rows
    )
    headers = ("Decisions", "Who", "What", "Rule", "When")
    return ReportSection("What rules allowed", tables=(ReportTable(headers, rows, rest_of(top), frozenset({0})),))


def refusals_section(report: AuditReport) -> ReportSection:
    """Return what was denied: by reason, and by whom and what."""
    reasons, top = report.tally.reasons.top(report.top), report.tally.refusals.top(report.top)
    if not top.rows:
        return ReportSection("What was denied", ("Nothing was denied in this period.",))
    by_reason = tuple((count_cell(row), cell(row.key[0]), _sentence(row.key[0])) for row in reasons.rows)
    rows = tuple(
        (
            count_cell(row),
            cell(row.key.reason),
            parties_cell(row.key.parties),
            f"{cell(row.key.action)} on {cell(row.key.kind)}",
            cell(row.key.endpoint),
            span_cell(row),
        )
        for row in top.rows
    )
    tables = (
        ReportTable(("Decisions", "Reason", "What it means"), by_reason, rest_of(reasons), frozenset({0})),
        ReportTable(("Decisions", "Reason", "Who", "What", "Endpoint", "When"), rows, rest_of(top), frozenset({0})),
    )
    return ReportSection("What was denied", ("Who needs an approval is denied until there is one.",), tables=tables)


def _chart_section(
    report: AuditReport, title: str, subject: str, series: Sequence[tuple[str, tuple[int, ...]]]
) -> ReportSection:
    """Return a chart, and the table of what it draws."""
    period = report.period
    names = tuple(period.name(slot) for slot in range(period.slots))
    rows = tuple(
        (name, *(f"{counts[slot]:,}" for _, counts in series))
        for slot, name in enumerate(names)
        if any(counts[slot] for _, counts in series)
    )
    headers = ("From", *(label for label, _ in series))
    table = ReportTable(headers, rows, numbers=frozenset(range(1, len(headers))))
    sentence = "The times are in UTC. A time that is not in the table has none."
    return ReportSection(title, (sentence,), chart=ReportChart(subject, names, tuple(series)), tables=(table,))


def _by_slot(report: AuditReport, counts: dict[tuple[int, str], int], name: str) -> tuple[int, ...]:
    return tuple(counts.get((slot, name), 0) for slot in range(report.period.slots))


def _sentence(code: str) -> str:
    return EXPLAINED[Reason(code)].sentence if code in _CODES else "This version does not know the reason."
