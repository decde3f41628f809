"""`audit report`: one page about a period for an auditor, which begins with what `audit verify` says.

Holds: it stands on the verification of `audit verify`, and ends with its exit code; nothing is printed where that could
not be done; its keys are of one cluster, if they name any.
"""

import sys
import time
from importlib.metadata import version

from bailiwick_api.distribution import DISTRIBUTION
from bailiwick_cli.auditreport.document import document
from bailiwick_cli.auditreport.figures.endedgrants import ended_grants
from bailiwick_cli.auditreport.figures.period import ReportPeriod
from bailiwick_cli.auditreport.figures.periodtally import PeriodTally
from bailiwick_cli.auditreport.markdown import markdown
from bailiwick_cli.auditreport.page import page
from bailiwick_cli.auditreport.report import AuditReport, ReportSources
from bailiwick_cli.clusternames import cluster_name
from bailiwick_cli.commands.audit.verification import trusted_book, verify_log
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.verbs.auditverbs import AuditReportFlags, AuditReportOutput
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_governance.arguments import moment
from bailiwick_governance.display import talk


def run(options: AuditReportFlags) -> int:
    """Verify, count and write."""
    cluster = cluster_name(options.cluster_name)
    period = ReportPeriod.between(moment(options.begin, "--from"), moment(options.end, "--to"))
    tally = PeriodTally(period)
    book = trusted_book(options)
    _refuse_several_clusters(book)
    audit, found = verify_log(options, book, tally.add, keeps_grants=True)
    ended = sorted(ended_grants(audit.grants.values(), period), key=lambda one: (-one.ended, one.approval))
    report = AuditReport(audit, found, tally, tuple(ended), _sources(options, cluster, audit.book), options.top)
    match options.output:
        case AuditReportOutput.JSON:
            sys.stdout.write(document(report))
        case AuditReportOutput.MARKDOWN:
            sys.stdout.write(markdown(report))
        case _:
            sys.stdout.write(page(report))
    talk(f"{report.verdict.value}: {found.headline}")
    return Exit.NO if found.bad else Exit.OK


def _refuse_several_clusters(book: WitnessBook) -> None:
    """Refuse keys of more than one named cluster: no line says whose it is, so the figures would be of all of them."""
    if len(names := sorted({*book.clusters.values()})) > 1:
        raise CliError(
            f"--witness-key: a report is about one cluster, and the keys are of {', '.join(names)}: write one for each,"
            " from its own logs"
        )


def _sources(options: AuditReportFlags, cluster: str | None, book: WitnessBook) -> ReportSources:
    limits = []
    if options.since is not None:
        limits.append(f"Logs that ended before {options.since} were not asked for (--since).")
    if options.modified_since is not None:
        limits.append(f"Objects that were last changed before {options.modified_since} were not read.")
    return ReportSources(
        cluster=cluster,
        files=tuple(options.files),
        witnesses=tuple(key.label for key in book.keys),
        quorum=options.witness_quorum,
        limits=tuple(limits),
        written=time.time(),
        version=version(DISTRIBUTION),
    )
