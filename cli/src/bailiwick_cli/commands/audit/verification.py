"""The verification of a log as flags say. Standing: under `audit verify` and `audit report`, which say what came of it.

Holds: a caller that looks at the lines too sees those that are judged, each once, and changes nothing of the judgement.
"""

from collections.abc import Callable

from bailiwick_cli.commands.audit.leaves import kept_leaves
from bailiwick_cli.errors import CliError
from bailiwick_cli.registrarkeys import read_registrars, require_registrars
from bailiwick_cli.verbs.auditverbs import EvidenceFlags
from bailiwick_cli.witnesses import book_of
from bailiwick_engine.signatures.registrars import NO_REGISTRARS
from bailiwick_evidence.audit.historyfold import HistoryFold
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.audit.reviewfold import ReviewFold
from bailiwick_governance.arguments import moment, moment_or_none
from bailiwick_governance.records.derivations import DerivedRecords
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.views.verificationview import LogVerification


def verify_log(options: EvidenceFlags, see: Callable[[ChainLine], None] | None = None) -> LogVerification:
    """Read the files and judge them. `see` takes each line of a chain. Raises `UserError`."""
    since = None if options.since is None else moment(options.since, "--since")
    book = book_of(options.checkpoints, options.witness_key, options, options.witness_quorum)
    audit = LogAudit(book, kept_leaves(options.leaves))
    files = LogFiles(
        options.files,
        again=options.policies is not None,
        modified_since=moment_or_none(options.modified_since, "--modified-since"),
    )
    fold, reviews = HistoryFold(), _review_fold(options)
    for line in files.lines(audit, "Reading lines"):
        reviews.add(line)
        if options.policies is None:
            fold.add(line)
        if see is not None:
            see(line)
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
    return LogVerification(audit, tuple(reports), records, fold.report(), reviews.report(), bool(options.checkpoints))


def _review_fold(options: EvidenceFlags) -> ReviewFold:
    """Return what verifies signed reviews by the registrars' keys that are given. Raises `CliError`."""
    origins, installation = options.passkey_origin, options.reviewers_installation
    if options.registrar_key:
        return ReviewFold(read_registrars(options.registrar_key, options.registrar_quorum, origins, installation))
    require_registrars("--registrar-key", origins, installation)
    return ReviewFold(NO_REGISTRARS)
