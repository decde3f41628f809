"""What the audit of a log says, in words: of all of it, of one chain, and what would tell more.

Standing: under `audit verify` and the console. Holds: data only; it says up to when nothing was removed or changed, and
never that nothing was; every text of others is escaped.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from bailiwick_api import times
from bailiwick_engine.approval.display import visible
from bailiwick_evidence.audit.findings import ChainReport, FindingCode
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_governance.display import Line

_NAMED: Final = 3


def headline(reports: Sequence[ChainReport], upto: int | None, *, contradicted: int = 0) -> str:
    """Return what can be said of all of it. `upto`: up to when it is known, in seconds since the epoch."""
    bad = sum(found.bad for report in reports for found in report.findings) + contradicted
    if bad and not contradicted and all(f.code is FindingCode.UNKNOWN for r in reports for f in r.findings if f.bad):
        return f"Nothing is known of {bad} chain{'s' if bad > 1 else ''}: no witness that you trust saw them."
    if bad:
        return f"This log is not what it was: {bad} finding{'s' if bad > 1 else ''}."
    if upto is None:
        return "No witness saw any of this: nothing is known of what was removed or changed."
    if removed := sum(report.removed for report in reports):
        lines = f"{removed} line{'s' if removed > 1 else ''}"
        return (
            f"Nothing changed, and nothing removed but {lines} whose leaves you gave, up to {times.epoch_stamp(upto)}"
            " (last cosignature). What came later is not known."
        )
    return (
        f"Nothing removed or changed up to {times.epoch_stamp(upto)} (last cosignature). What came later is not known."
    )


def chain_line(report: ChainReport) -> Line:
    """Return what became of a chain."""
    result = ("intact", "green") if report.intact else ("not intact", "red") if report.bad else ("not witnessed", "")
    seen = "never witnessed"
    if report.witnessed is not None and report.upto is not None:
        seen = f"witnessed {report.witnessed} up to {times.epoch_stamp(report.upto)}"
    pod = f" ({visible(report.pod)})" if report.pod else ""
    pod += f" of {visible(report.cluster)}" if report.cluster else ""
    removed = f", {report.removed} removed" if report.removed else ""
    return [(f"{report.chain}{pod}: ", "bold"), result, (f"; {report.lines} lines{removed}, {seen}", "")]


def hints(audit: LogAudit, *, checkpoints: bool) -> Iterator[str]:
    """Say what would tell more. `checkpoints`: some were given beside the files."""
    if not audit.book.keys:
        yield "without --witness-key no checkpoint counts, so that no chain can be found intact"
    elif strangers := audit.book.strangers:
        names = ", ".join(sorted({*strangers.values()})[:_NAMED])
        yield (
            f"checkpoints of {len(strangers)} chains are cosigned by {names}, whose key is not given; if you"
            " trust it, as one that was replaced, add it with --witness-key"
        )
    elif not audit.book.witnessed_chains and not checkpoints:
        yield "no checkpoint in these files: set --checkpoints, or add the operator's ledger to the files"
