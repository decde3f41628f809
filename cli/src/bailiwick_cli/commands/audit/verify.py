"""`audit verify`: what became of each chain of a log, and whether decisions, counts and reviews bear examination.

Holds: it says up to when nothing was removed or changed, and never that nothing was; exit code 1 where something was.
"""

import sys
import time
from typing import Final

from bailiwick_cli import output
from bailiwick_cli.commands.audit.clusterlog import read_cluster_log
from bailiwick_cli.commands.audit.verification import trusted_book, verify_log, verify_shard
from bailiwick_cli.errors import Exit
from bailiwick_cli.options import LogOutput, Output
from bailiwick_cli.shards.shardfile import ShardWriter, book_state, share_of
from bailiwick_cli.shards.shardjob import print_job
from bailiwick_cli.verbs.auditverbs import VerifyFlags
from bailiwick_governance.display import talk
from bailiwick_governance.views.verificationview import LogVerification

VERB: Final = "audit verify"


def run(options: VerifyFlags) -> int:
    """Verify as the flags say."""
    if options.as_job is not None:
        return print_job(options, options.files, VERB)
    share = share_of(options)
    book = trusted_book(options)
    logged = read_cluster_log(options, book)
    began = time.monotonic()
    if share is not None:
        writer = ShardWriter(options, share, VERB, [book_state(book)])
        found = verify_shard(options, book, writer)
        _talk_of_speed(found, began)
        writer.write(found.totals, found.results)
        return Exit.OK
    _, found = verify_log(options, book, logged=logged)
    _talk_of_speed(found, began)
    return show(found, in_json=options.output is LogOutput.JSON)


def _talk_of_speed(found: LogVerification, began: float) -> None:
    took, lines = time.monotonic() - began, found.totals.lines
    talk(f"{lines} lines in {took:.1f} s, {lines / max(took, 0.001):.0f} a second")


def show(found: LogVerification, *, in_json: bool) -> int:
    """Print what came of a log, and return the exit code."""
    if in_json:
        body = {"apiVersion": "cli.bailiwick.dev/v1alpha1", "kind": "LogAudit", **found.object()}
        sys.stdout.write(output.document(body, Output.JSON))
    else:
        output.write(found.lines())
    for note in found.notes:
        talk(f"note: {note}")
    return Exit.NO if found.bad else Exit.OK
