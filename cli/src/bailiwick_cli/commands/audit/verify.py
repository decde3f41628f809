"""`audit verify`: what became of each chain of a log, and whether decisions, counts and reviews bear examination.

Holds: it says up to when nothing was removed or changed, and never that nothing was; exit code 1 where something was.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bailiwick_api import times
from bailiwick_cli import output
from bailiwick_cli.commands.audit.clusterlog import read_cluster_log
from bailiwick_cli.commands.audit.leaves import kept_leaves
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.options import LogOutput, Output
from bailiwick_cli.registrarkeys import read_registrars, require_registrars
from bailiwick_cli.verbs.auditverbs import VerifyFlags
from bailiwick_cli.witnesses import book_of
from bailiwick_engine.approval.display import visible
from bailiwick_engine.signatures.registrars import NO_REGISTRARS
from bailiwick_evidence.audit.findings import ChainReport
from bailiwick_evidence.audit.historyfold import HistoryFold, HistoryReport
from bailiwick_evidence.audit.logaudit import LogAudit, known_upto
from bailiwick_evidence.audit.reviewfold import ReviewFold, ReviewReport
from bailiwick_evidence.clusterlog.clusterlog import ClusterLogReport
from bailiwick_governance.arguments import moment, moment_or_none
from bailiwick_governance.display import Line, talk
from bailiwick_governance.records.derivations import ContradictedRecord, DerivedRecords
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.views.auditview import chain_line, headline, hints
from bailiwick_governance.views.clusterlogview import cluster_log_lines, cluster_log_object
from bailiwick_governance.views.foldview import histories_line, histories_notes, histories_object, history_lines
from bailiwick_governance.views.nearview import NearView
from bailiwick_governance.views.reviewfoldview import review_lines, reviews_line, reviews_notes, reviews_object


def run(options: VerifyFlags) -> int:
    """Verify as the flags say."""
    since = None if options.since is None else moment(options.since, "--since")
    book = book_of(options.checkpoints, options.witness_key, options, options.witness_quorum)
    logged = read_cluster_log(options, book)
    audit = LogAudit(book, kept_leaves(options.leaves))
    files = LogFiles(
        options.files,
        again=options.policies is not None,
        modified_since=moment_or_none(options.modified_since, "--modified-since"),
    )
    began = time.monotonic()
    fold, reviews = HistoryFold(), _review_fold(options)
    for line in files.lines(audit, "Reading lines"):
        reviews.add(line)
        if options.policies is None:
            fold.add(line)
    if not audit.lines and not audit.book.witnessed_chains:
        raise CliError(f"{', '.join(files.names)}: no line of a chain, and no checkpoint that says that there was one")
    reports = audit.reports(since)
    records = None
    if options.policies is not None:
        records = DerivedRecords.from_source(options.policies, audit)
        again = LogAudit(audit.book)
        for line in files.lines(again, "Deriving decisions"):
            # Of the first reading, which knows the line that opens a chain wherever it stands; but a log can grow.
            chain = audit.chains.get(line.link.id, again.chains[line.link.id])
            fold.add(line, records.add(chain, line))
    found = _Findings(audit, reports, records, fold.report(), reviews.report(), logged)
    took = time.monotonic() - began
    if options.output is LogOutput.JSON:
        sys.stdout.write(output.document(_object(found), Output.JSON))
    else:
        output.write(_lines(found))
    talk(f"{audit.lines} lines in {took:.1f} s, {audit.lines / max(took, 0.001):.0f} a second")
    for note in hints(audit, checkpoints=bool(options.checkpoints) or logged is not None):
        talk(f"note: {note}")
    for note in () if records is None else records.notes:
        talk(f"note: {note}")
    for note in (*histories_notes(found.histories), *reviews_notes(found.signed)):
        talk(f"note: {note}")
    return Exit.NO if found.bad else Exit.OK


class _Findings(NamedTuple):
    """All that was found. `records` and `logged` are None if they were not asked for."""

    audit: LogAudit
    reports: Sequence[ChainReport]
    records: DerivedRecords | None
    histories: HistoryReport
    signed: ReviewReport
    logged: ClusterLogReport | None

    @property
    def contradicted(self) -> int:
        """How many findings show that something is not what it was, beside those of chains."""
        records = 0 if self.records is None else len(self.records.contradicted)
        logged = 0 if self.logged is None else self.logged.forged
        return self.histories.contradicted + len(self.signed.findings) + records + logged

    @property
    def bad(self) -> bool:
        """Whether a person must look at it."""
        silent = self.logged is not None and bool(self.logged.findings)
        return bool(self.contradicted) or silent or self.signed.bad or any(report.bad for report in self.reports)


def _review_fold(options: VerifyFlags) -> ReviewFold:
    """Return what verifies signed reviews by the registrars' keys that are given. Raises `CliError`."""
    origins, installation = options.passkey_origin, options.reviewers_installation
    if options.registrar_key:
        return ReviewFold(read_registrars(options.registrar_key, options.registrar_quorum, origins, installation))
    require_registrars("--registrar-key", origins, installation)
    return ReviewFold(NO_REGISTRARS)


def _lines(found: _Findings) -> Iterator[Line]:
    audit, reports, records, histories, signed, logged = found
    yield [(headline(reports, contradicted=found.contradicted), "bold red" if found.bad else "bold")]
    intact = sum(report.intact for report in reports)
    yield [
        (f"Chains: {len(reports)}, intact as far as a witness saw: {intact}. Lines: {audit.lines}", ""),
        (f", repeated: {sum(report.repeated for report in reports)}, torn: {audit.torn}", ""),
        (f", in no chain: {audit.foreign}.", ""),
    ]
    if records is not None:
        yield [(records.totals, "")]
    if histories.lines or histories.findings:
        yield [(histories_line(histories), "")]
    if signed.verified or signed.reviews:
        yield [(reviews_line(signed), "")]
    if logged is not None:
        yield from cluster_log_lines(logged, reports)
    for report in reports:
        yield chain_line(report)
        for one in report.findings:
            yield [("  ", ""), (one.place, "red" if one.bad else "yellow"), (f": {visible(one.said)}", "")]
    if records is not None:
        for record in records.contradicted:
            yield [(f"{record.place}: ", ""), ("contradicted", "red"), (f": {visible(record.said)}", "")]
            near = None if record.retrace is None else NearView.from_retrace(record.retrace)
            for line in () if near is None else near.lines():
                yield [("  ", ""), *line]
    yield from history_lines(histories)
    yield from review_lines(signed)


def _object(findings: _Findings) -> dict[str, object]:
    audit, reports, records, histories, signed, logged = findings
    upto = known_upto(reports)
    found: dict[str, object] = {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "LogAudit",
        "message": headline(reports, contradicted=findings.contradicted),
        "upTo": None if upto is None else times.epoch_stamp(upto),
        "totals": {
            "chains": len(reports),
            "intact": sum(report.intact for report in reports),
            "lines": audit.lines,
            "repeated": sum(report.repeated for report in reports),
            "torn": audit.torn,
            "outside": audit.foreign,
            "checkpointsRefused": audit.book.refused,
        },
        "chains": [_chain_object(report) for report in reports],
    }
    if records is not None:
        found["records"] = records.object() | {
            "contradictedLines": [_contradiction_object(one) for one in records.contradicted]
        }
    if histories.lines or histories.findings:
        found["histories"] = histories_object(histories)
    if signed.verified or signed.reviews:
        found["reviews"] = reviews_object(signed)
    if logged is not None:
        found["clusterLog"] = cluster_log_object(logged, reports)
    return found


def _contradiction_object(one: ContradictedRecord) -> dict[str, object]:
    near = None if one.retrace is None else NearView.from_retrace(one.retrace)
    return {"line": one.place, "message": one.said} | ({} if near is None else near.objects())


def _chain_object(report: ChainReport) -> dict[str, object]:
    findings = []
    for one in report.findings:
        entry: dict[str, object] = {"code": one.code.value, "bad": one.bad, "message": one.said}
        if one.first is not None:
            entry |= {"first": one.first, "last": one.last}
        findings.append(entry)
    return {
        "chain": report.chain,
        "pod": report.pod,
        "intact": report.intact,
        "lines": report.lines,
        "removed": report.removed,
        "witnessed": report.witnessed,
        "upTo": None if report.upto is None else times.epoch_stamp(report.upto),
        "began": None if report.began is None else times.epoch_stamp(report.began),
        "ended": None if report.ended is None else times.epoch_stamp(report.ended),
        "closed": report.closed,
        "findings": findings,
    }
