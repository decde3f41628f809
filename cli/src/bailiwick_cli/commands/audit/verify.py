"""`audit verify`: what became of each chain of a log, and whether decisions, counts and reviews bear examination.

Holds: it says up to when nothing was removed or changed, and never that nothing was; exit code 1 where something was.
"""

import sys
import time
from collections.abc import Iterator

from bailiwick_cli import output
from bailiwick_cli.commands.audit.verification import verify_log
from bailiwick_cli.errors import Exit
from bailiwick_cli.options import LogOutput, Output
from bailiwick_cli.verbs.auditverbs import VerifyFlags
from bailiwick_engine.approval.display import visible
from bailiwick_governance.display import Line, talk
from bailiwick_governance.views.auditview import chain_line
from bailiwick_governance.views.foldview import histories_line, history_lines
from bailiwick_governance.views.nearview import NearView
from bailiwick_governance.views.reviewfoldview import review_lines, reviews_line
from bailiwick_governance.views.verificationview import LogVerification


def run(options: VerifyFlags) -> int:
    """Verify as the flags say."""
    began = time.monotonic()
    found = verify_log(options)
    took = time.monotonic() - began
    if options.output is LogOutput.JSON:
        body = {"apiVersion": "cli.bailiwick.dev/v1alpha1", "kind": "LogAudit", **found.object()}
        sys.stdout.write(output.document(body, Output.JSON))
    else:
        output.write(_lines(found))
    lines = found.audit.lines
    talk(f"{lines} lines in {took:.1f} s, {lines / max(took, 0.001):.0f} a second")
    for note in found.notes:
        talk(f"note: {note}")
    return Exit.NO if found.bad else Exit.OK


def _lines(found: LogVerification) -> Iterator[Line]:
    audit, reports, records = found.audit, found.reports, found.records
    yield [(found.headline, "bold red" if found.bad else "bold")]
    yield [
        (f"Chains: {len(reports)}, intact as far as a witness saw: {found.intact}. Lines: {audit.lines}", ""),
        (f", repeated: {found.repeated}, torn: {audit.torn}", ""),
        (f", in no chain: {audit.foreign}.", ""),
    ]
    if records is not None:
        yield [(records.totals, "")]
    if found.histories.lines or found.histories.findings:
        yield [(histories_line(found.histories), "")]
    if found.signed.verified or found.signed.reviews:
        yield [(reviews_line(found.signed), "")]
    for report in reports:
        yield chain_line(report)
        for one in report.findings:
            yield [("  ", ""), (one.place, "red" if one.bad else "yellow"), (f": {visible(one.said)}", "")]
    if records is not None:
        for each in records.contradicted:
            yield [(f"{each.place}: ", ""), ("contradicted", "red"), (f": {visible(each.said)}", "")]
            near = None if each.retrace is None else NearView.from_retrace(each.retrace)
            for line in () if near is None else near.lines():
                yield [("  ", ""), *line]
    yield from history_lines(found.histories)
    yield from review_lines(found.signed)
