"""The verification of a log as flags say. Standing: under `audit verify`, also of a shard, and `audit report`.

Holds: this alone reads a log and judges it. A caller that looks at the lines too sees those that are judged, each once,
and changes nothing of the judgement; a shard has what one process would say of its chains.
"""

import time
from collections.abc import Callable, Iterable

from bailiwick_cli.commands.audit.leaves import kept_leaves
from bailiwick_cli.errors import CliError
from bailiwick_cli.registrarkeys import read_registrars, require_registrars
from bailiwick_cli.shards.shardfile import ShardWriter
from bailiwick_cli.verbs.auditverbs import EvidenceFlags, VerifyFailure
from bailiwick_cli.witnesses import book_of
from bailiwick_engine.signatures.registrars import NO_REGISTRARS
from bailiwick_evidence.audit.chainshares import WHOLE
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.historyevents import NAMED
from bailiwick_evidence.audit.historyfold import HistoryFold
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.audit.reviewfold import ReviewFold
from bailiwick_evidence.clusterlog.clusterlog import ClusterLogReport
from bailiwick_evidence.linekinds import is_plain_evaluation
from bailiwick_governance.arguments import moment, moment_or_none
from bailiwick_governance.records.derivations import DerivedRecords
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.views.auditview import hints
from bailiwick_governance.views.verificationview import ChainResults, ContradictedLine, LogTotals, LogVerification


def trusted_book(options: EvidenceFlags) -> WitnessBook:
    """Return the checkpoints from elsewhere, and whom they are believed from. Raises `CliError`."""
    return book_of(
        options.checkpoints, options.witness_key, options, options.witness_quorum, clusters=True, now=time.time()
    )


def verify_log(
    options: EvidenceFlags,
    book: WitnessBook,
    see: Callable[[ChainLine], None] | None = None,
    logged: ClusterLogReport | None = None,
    *,
    keeps_grants: bool = False,
) -> tuple[LogAudit, LogVerification]:
    """Read the files and judge them, and return what was read and what came of it. Raises `UserError`.

    `see` takes each line of a chain. `logged`: what came of the log of all clusters, whose checkpoints are in the book.
    `keeps_grants`: the audit is asked later how grants ended.
    """
    return _verify(options, book, see=see, logged=logged, keeps_grants=keeps_grants)


def verify_shard(options: EvidenceFlags, book: WitnessBook, writer: ShardWriter) -> LogVerification:
    """Read the files and judge the chains of the writer's shard, and return what came of them. Raises `UserError`.

    A shard may have to read the files again, so no other caller sees its lines.
    """
    return _verify(options, book, writer=writer)[1]


def _verify(
    options: EvidenceFlags,
    book: WitnessBook,
    *,
    see: Callable[[ChainLine], None] | None = None,
    writer: ShardWriter | None = None,
    logged: ClusterLogReport | None = None,
    keeps_grants: bool = False,
) -> tuple[LogAudit, LogVerification]:
    since = None if options.since is None else moment(options.since, "--since")
    if options.fail_on and options.policies is None:
        raise CliError("--fail-on unproven needs --policies, by which each decision is derived")
    files = LogFiles(
        options.files,
        again=options.policies is not None or writer is not None,
        modified_since=moment_or_none(options.modified_since, "--modified-since"),
        hashed=writer is not None,
    )
    kept, share = kept_leaves(options.leaves), WHOLE if writer is None else writer.share
    while True:
        audit = LogAudit(book.copy(), kept, share, keeps_grants=keeps_grants)
        fold, reviews = HistoryFold(), _review_fold(options, book.clusters.values())
        for line in files.lines(audit, "Reading lines"):
            reviews.add(line)
            if options.policies is None:
                fold.add(line)
            if see is not None:
                see(line)
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
    witnessed = audit.witnessed_sizes()
    totals = LogTotals(
        audit.lines,
        audit.foreign,
        audit.torn_apart,
        refused,
        chains,
        records is not None,
        fold.report(witnessed, audit.book.clusters_of if audit.book.clusters else None),
        reviews.report(witnessed, audit.ledger_time()),
        notes,
        audit.book.unread,
        audit.absent_clusters(since),
        strict=VerifyFailure.UNPROVEN in (options.fail_on or ()),
    )
    contradicted = () if records is None else tuple(map(ContradictedLine.from_record, records.contradicted))
    unproven = () if records is None else tuple(records.unproven)
    results = ChainResults(reports, {} if records is None else dict(records.counts), contradicted, unproven)
    return audit, LogVerification(totals, results, logged)


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


def _review_fold(options: EvidenceFlags, clusters: Iterable[str]) -> ReviewFold:
    """Return what verifies signed reviews by the registrars' keys that are given. Raises `CliError`."""
    origins, installation = options.passkey_origin, options.reviewers_installation
    if options.registrar_key:
        if len(names := sorted({*clusters})) > 1:
            raise CliError(
                f"--registrar-key: the keys of witnesses are of {', '.join(names)}, and each cluster has its own file"
                " of reviewers' keys: verify signed reviews of one cluster at a time"
            )
        return ReviewFold(read_registrars(options.registrar_key, options.registrar_quorum, origins, installation))
    require_registrars("--registrar-key", origins, installation)
    return ReviewFold(NO_REGISTRARS)
