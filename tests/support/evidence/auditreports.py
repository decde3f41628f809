"""Reports of logs that stand in memory, as `audit report` makes them of files."""

from collections.abc import Iterable, Sequence
from typing import Final

from bailiwick_cli.auditreport.figures.endedgrants import ended_grants
from bailiwick_cli.auditreport.figures.period import ReportPeriod
from bailiwick_cli.auditreport.figures.periodtally import PeriodTally
from bailiwick_cli.auditreport.report import AuditReport, ReportSources
from bailiwick_engine.signatures.registrars import NO_REGISTRARS
from bailiwick_evidence.audit.claims import ShownCheckpoint, WitnessBook
from bailiwick_evidence.audit.historyfold import HistoryFold
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.audit.reviewfold import ReviewFold
from bailiwick_evidence.note import VerifierKey
from bailiwick_governance.views.auditview import hints
from bailiwick_governance.views.verificationview import ChainResults, LogTotals, LogVerification
from support.evidence import march
from support.evidence.logs import BEGAN, WITNESS_KEY

HOUR: Final = ReportPeriod(BEGAN, BEGAN + 3600)
MARCH: Final = ReportPeriod(1_772_323_200, 1_775_001_600)
"""The month of `march`."""


def report_of(
    files: Iterable[bytes],
    checkpoints: Iterable[str] = (),
    *,
    period: ReportPeriod = HOUR,
    keys: Sequence[VerifierKey] = (WITNESS_KEY,),
    top: int = 50,
    cluster: str | None = None,
) -> AuditReport:
    """Return the report of files."""
    book = WitnessBook(keys)
    for note in checkpoints:
        book.add(ShownCheckpoint(note))
    audit, tally = LogAudit(book, keeps_grants=True), PeriodTally(period)
    for file in files:
        for line in audit.feed(file):
            tally.add(line)
        for line in audit.end():
            tally.add(line)
    for line in audit.finish():
        tally.add(line)
    signed = ReviewFold(NO_REGISTRARS).report({})
    results = ChainResults(tuple(audit.reports()), {}, ())
    totals = LogTotals(
        lines=audit.lines,
        outside=audit.foreign,
        torn=audit.torn_apart,
        refused=book.refused,
        chains=audit.count_of_chains(),
        derived=False,
        histories=HistoryFold().report({}),
        signed=signed,
        hints=tuple(hints(audit, checkpoints=False)),
    )
    found = LogVerification(totals, results)
    ended = tuple(sorted(ended_grants(audit.grants.values(), period), key=lambda one: -one.ended))
    sources = ReportSources(cluster, ("decisions.log",), tuple(key.label for key in keys), 1, (), 0.0, "0")
    return AuditReport(audit, found, tally, ended, sources, top)


def march_report() -> AuditReport:
    """Return the report of the logs of `examples/audit`."""
    files = march.files()
    logs = [files["decisions.log"], files["ledger.log"]]
    return report_of(logs, [files["checkpoints.notes"].decode()], period=MARCH, cluster="production-east")
