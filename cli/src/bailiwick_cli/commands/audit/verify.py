"""`audit verify`: what became of each chain of a log, and whether decisions, counts and reviews bear examination.

Holds: it says up to when nothing was removed or changed, and never that nothing was; exit code 1 where something was.
"""

import sys
import time
from typing import Final

from bailiwick_cli import output
from bailiwick_cli.commands.audit.clusterlog import read_cluster_log
from bailiwick_cli.commands.audit.leaves import kept_leaves
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.options import LogOutput, Output
from bailiwick_cli.registrarkeys import read_registrars, require_registrars
from bailiwick_cli.shards.shardfile import ShardWriter, book_state, share_of
from bailiwick_cli.shards.shardjob import print_job
from bailiwick_cli.verbs.auditverbs import VerifyFlags
from bailiwick_cli.views.logauditview import ChainResults, ContradictedLine, LogAuditView, LogTotals
from bailiwick_cli.witnesses import book_of
from bailiwick_engine.signatures.registrars import NO_REGISTRARS
from bailiwick_evidence.audit.chainshares import WHOLE
from bailiwick_evidence.audit.historyevents import NAMED
from bailiwick_evidence.audit.historyfold import HistoryFold
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.audit.reviewfold import ReviewFold
from bailiwick_evidence.linekinds import is_plain_evaluation
from bailiwick_governance.arguments import moment, moment_or_none
from bailiwick_governance.display import talk
from bailiwick_governance.records.derivations import DerivedRecords
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.views.auditview import hints

VERB: Final = "audit verify"


def run(options: VerifyFlags) -> int:
    """Verify as the flags say."""
    if options.as_job is not None:
        return print_job(options, options.files, VERB)
    share = share_of(options)
    since = None if options.since is None else moment(options.since, "--since")
    book = book_of(options.checkpoints, options.witness_key, options, options.witness_quorum, clusters=True)
    logged = read_cluster_log(options, book)
    writer = None if share is None else ShardWriter(options, share, VERB, [book_state(book)])
    files = LogFiles(
        options.files,
        again=options.policies is not None or share is not None,
        modified_since=moment_or_none(options.modified_since, "--modified-since"),
        hashed=share is not None,
    )
    began, kept = time.monotonic(), kept_leaves(options.leaves)
    share = WHOLE if share is None else share
    while True:
        audit = LogAudit(book.copy(), kept, share)
        fold, reviews = HistoryFold(), _review_fold(options)
        for line in files.lines(audit, "Reading lines"):
            reviews.add(line)
            if options.policies is None:
                fold.add(line)
        if writer is not None:
            writer.check(files)
        if not audit.lacking:
            break
        share = share.keeping(audit.lacking)
    if not audit.lines and not audit.book.witnessed_chains:
        raise CliError(f"{', '.join(files.names)}: no line of a chain, and no checkpoint that says that there was one")
    reports = tuple(audit.reports(since))
    notes = tuple(hints(audit, checkpoints=bool(options.checkpoints) or logged is not None))
    refused, chains = audit.book.refused, audit.count_of_chains(since)
    records = None if options.policies is None else _derive(options.policies, files, audit, fold)
    if writer is not None:
        writer.check(files)
    totals = LogTotals(
        audit.lines,
        audit.foreign,
        audit.torn_apart,
        refused,
        chains,
        records is not None,
        fold.report(),
        reviews.report(),
        notes,
    )
    contradicted = () if records is None else tuple(map(ContradictedLine.from_record, records.contradicted))
    results = ChainResults(reports, {} if records is None else dict(records.counts), contradicted)
    took = time.monotonic() - began
    talk(f"{audit.lines} lines in {took:.1f} s, {audit.lines / max(took, 0.001):.0f} a second")
    if writer is not None:
        writer.write(totals, results)
        return Exit.OK
    return show(LogAuditView(totals, results, logged), in_json=options.output is LogOutput.JSON)


def show(view: LogAuditView, *, in_json: bool) -> int:
    """Print an audit, and return the exit code."""
    if in_json:
        sys.stdout.write(output.document(view.object(), Output.JSON))
    else:
        output.write(view.lines())
    for note in view.notes:
        talk(f"note: {note}")
    return Exit.NO if view.bad else Exit.OK


def _derive(source: str, files: LogFiles, audit: LogAudit, fold: HistoryFold) -> DerivedRecords:
    """Derive the decisions of the chains that are judged. Of others only lists and histories are wanted."""
    records = DerivedRecords.from_source(source, audit)
    again = LogAudit(audit.book, share=audit.share)
    for line in files.lines(again, "Deriving decisions"):
        judged = again.judges(line.link.id)
        if not judged and NAMED not in line.text and is_plain_evaluation(line.text):
            continue
        # Of the first reading, which knows the line that opens a chain wherever it stands; but a log can grow.
        opening = audit.opening_of(line.link.id) or again.opening_of(line.link.id)
        fold.add(line, records.add(opening, line, again.lines, counts=judged))
    return records


def _review_fold(options: VerifyFlags) -> ReviewFold:
    """Return what verifies signed reviews by the registrars' keys that are given. Raises `CliError`."""
    origins, installation = options.passkey_origin, options.reviewers_installation
    if options.registrar_key:
        return ReviewFold(read_registrars(options.registrar_key, options.registrar_quorum, origins, installation))
    require_registrars("--registrar-key", origins, installation)
    return ReviewFold(NO_REGISTRARS)
