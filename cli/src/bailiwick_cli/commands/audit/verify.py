"""`audit verify`: what became of each chain of a log, and whether each decision follows from its policies.

Holds: it says up to when nothing was removed or changed, and never that nothing was; exit code 1 where something was.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

from bailiwick_api import times
from bailiwick_cli import output
from bailiwick_cli.arguments import moment
from bailiwick_cli.auditflags import VerifyFlags
from bailiwick_cli.derivations import DerivedRecords
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.logfiles import LogFiles
from bailiwick_cli.options import LogOutput, Output
from bailiwick_cli.output import Line
from bailiwick_cli.witnesses import book_of
from bailiwick_engine.approval.display import visible
from bailiwick_evidence.audit.findings import ChainReport, FindingCode
from bailiwick_evidence.audit.logaudit import LogAudit, known_upto

_NAMED: Final = 3


def run(options: VerifyFlags) -> int:
    """Verify as the flags say."""
    since = None if options.since is None else moment(options.since, "--since")
    audit = LogAudit(book_of(options.checkpoints, options.witness_key, options, options.witness_quorum))
    files = LogFiles(options.files, again=options.policies is not None)
    began = time.monotonic()
    for _ in files.lines(audit, "Reading lines"):
        pass
    if not audit.lines and not audit.book.witnessed:
        raise CliError(f"{', '.join(files.names)}: no line of a chain, and no checkpoint that says that there was one")
    reports = audit.reports(since)
    records = None
    if options.policies is not None:
        records = DerivedRecords.of(options.policies, audit)
        again = LogAudit(audit.book)
        for line in files.lines(again, "Deriving decisions"):
            records.add(again.chains[line.link.id], line)
    took = time.monotonic() - began
    if options.output is LogOutput.JSON:
        sys.stdout.write(output.document(_object(audit, reports, records), Output.JSON))
    else:
        output.write(_lines(audit, reports, records))
    output.talk(f"{audit.lines} lines in {took:.1f} s, {audit.lines / max(took, 0.001):.0f} a second")
    _hint(audit, options)
    for note in () if records is None else records.notes:
        output.talk(f"note: {note}")
    bad = any(report.bad for report in reports) or (records is not None and bool(records.contradicted))
    return Exit.NO if bad else Exit.OK


def headline(reports: Sequence[ChainReport], *, contradicted: int = 0) -> str:
    """Return what can be said of all of it."""
    upto = known_upto(reports)
    bad = sum(found.bad for report in reports for found in report.findings) + contradicted
    if bad and not contradicted and all(f.code is FindingCode.UNKNOWN for r in reports for f in r.findings if f.bad):
        return f"Nothing can be told of {bad} chain{'s' if bad > 1 else ''}: no witness that you trust saw them."
    if bad:
        return f"This log is not what it was: {bad} finding{'s' if bad > 1 else ''}."
    if upto is None:
        return "No witness saw any of this: nothing can be told of what was removed or changed."
    return f"Nothing removed or changed up to {times.epoch_stamp(upto)} (last cosignature); later cannot be told."


def _lines(audit: LogAudit, reports: Sequence[ChainReport], records: DerivedRecords | None) -> Iterator[Line]:
    contradicted = 0 if records is None else len(records.contradicted)
    bad = contradicted or any(report.bad for report in reports)
    yield [(headline(reports, contradicted=contradicted), "bold red" if bad else "bold")]
    intact = sum(report.intact for report in reports)
    yield [
        (f"Chains: {len(reports)}, intact as far as a witness saw: {intact}. Lines: {audit.lines}", ""),
        (f", repeated: {sum(report.repeated for report in reports)}, torn: {audit.torn}", ""),
        (f", in no chain: {audit.foreign}.", ""),
    ]
    if records is not None:
        yield [(records.totals, "")]
    for report in reports:
        yield _chain(report)
        for found in report.findings:
            yield [("  ", ""), (found.place, "red" if found.bad else "yellow"), (f": {visible(found.said)}", "")]
    if records is not None:
        for place, said in records.contradicted:
            yield [(f"{place}: ", ""), ("contradicted", "red"), (f": {visible(said)}", "")]


def _chain(report: ChainReport) -> Line:
    result = ("intact", "green") if report.intact else ("not intact", "red") if report.bad else ("not witnessed", "")
    seen = "never witnessed"
    if report.witnessed is not None and report.upto is not None:
        seen = f"witnessed {report.witnessed} up to {times.epoch_stamp(report.upto)}"
    pod = f" ({visible(report.pod)})" if report.pod else ""
    return [(f"{report.chain}{pod}: ", "bold"), result, (f"; {report.lines} lines, {seen}", "")]


def _object(audit: LogAudit, reports: Sequence[ChainReport], records: DerivedRecords | None) -> dict[str, object]:
    upto = known_upto(reports)
    found: dict[str, object] = {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "LogAudit",
        "message": headline(reports, contradicted=0 if records is None else len(records.contradicted)),
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
        found["records"] = records.object()
    return found


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
        "witnessed": report.witnessed,
        "upTo": None if report.upto is None else times.epoch_stamp(report.upto),
        "began": None if report.began is None else times.epoch_stamp(report.began),
        "ended": None if report.ended is None else times.epoch_stamp(report.ended),
        "closed": report.closed,
        "findings": findings,
    }


def _hint(audit: LogAudit, options: VerifyFlags) -> None:
    if not audit.book.keys:
        output.talk("note: without --witness-key no checkpoint counts, so that no chain can be found intact")
    elif strangers := audit.book.strangers:
        names = ", ".join(sorted({*strangers.values()})[:_NAMED])
        output.talk(
            f"note: checkpoints of {len(strangers)} chains are cosigned by {names}, whose key is not given; if you"
            " trust it, as one that was replaced, add it with --witness-key"
        )
    elif not audit.book.witnessed and not options.checkpoints:
        output.talk("note: no checkpoint in these files: set --checkpoints, or add the operator's ledger to the files")
