"""The report in words: its head, and its sections in order.

Standing: over `callsections` and `logsections`, under the page and Markdown. Holds: the head says the verdict of the
verification before anything else, and what it means for the figures.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bailiwick_api import times
from bailiwick_cli.auditreport.callsections import (
    LABELS,
    approvals_section,
    decisions_section,
    ended_section,
    refusals_section,
    reviewers_section,
    rules_section,
    uses_section,
)
from bailiwick_cli.auditreport.figures.periodtally import OUTCOMES, REQUESTS
from bailiwick_cli.auditreport.logsections import findings_section, logs_section, losses_section, sources_section
from bailiwick_cli.auditreport.report import AuditReport, ReportVerdict
from bailiwick_cli.auditreport.section import ReportSection, ReportTable
from bailiwick_governance.display import counted


@dataclass(frozen=True, slots=True)
class ReportHead:
    """What stands first. `title`: of the document too; `sentences`: what the verdict is of, and what it means."""

    title: str
    verdict: ReportVerdict
    sentences: tuple[str, ...]
    period: str


def head_of(report: AuditReport) -> ReportHead:
    """Return the head."""
    cluster = f" of {report.sources.cluster}" if report.sources.cluster else ""
    losses = sum(report.losses.values())
    lost = (f"Lost, as far as is known: {counted(losses, 'record')}.",) if losses else ()
    doubt = (report.doubt,) if report.doubt else ()
    sentences = (report.verification.headline, report.coverage, *doubt, *lost)
    return ReportHead(f"Audit report{cluster}", report.verdict, sentences, f"The period is {report.period.sentence}.")


def sections_of(report: AuditReport) -> Iterator[ReportSection]:
    """Yield the sections."""
    yield _summary(report)
    yield findings_section(report)
    yield decisions_section(report)
    yield uses_section(report)
    yield reviewers_section(report)
    yield approvals_section(report)
    yield ended_section(report)
    yield refusals_section(report)
    yield rules_section(report)
    yield losses_section(report)
    yield logs_section(report)
    yield sources_section(report)


def _summary(report: AuditReport) -> ReportSection:
    tally, left = report.tally, report.tally.left_out
    first, last = ("none" if one is None else times.epoch_stamp(one) for one in (tally.first, tally.last))
    rows = [
        ("Decisions", f"{tally.decisions:,}"),
        *((f"Decisions: {LABELS[outcome]}", f"{tally.total(outcome):,}") for outcome in OUTCOMES),
        ("Requests for an approval", f"{sum(n for (_, name), n in tally.events.items() if name == REQUESTS):,}"),
        ("Searches", f"{tally.searches:,}"),
        ("First decision on record", first),
        ("Last decision on record", last),
        ("Dry runs, which are in no other figure", f"{left.dry_runs:,}"),
        ("Decisions before the period, and after it", f"{left.before:,}, and {left.after:,}"),
        (
            "Logs, and intact as far as a witness saw",
            f"{len(report.verification.reports):,}, and {report.verification.intact:,}",
        ),
        ("Records that were lost", f"{sum(report.losses.values()):,}"),
    ]
    empty = () if tally.decisions else ("No decision is on record in this period.",)
    return ReportSection("The period in figures", empty, tables=(ReportTable(("Figure", "Value"), tuple(rows)),))
