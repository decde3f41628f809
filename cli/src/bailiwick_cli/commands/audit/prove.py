"""`audit prove`: one record as a file that a third party can check, who has neither the log nor the cluster.

Holds: nothing is proven that the cosigned root does not cover, or of a log whose root is another one.
"""

import sys
from pathlib import Path

from bailiwick_api import times
from bailiwick_cli.commands.audit.leaves import kept_leaves
from bailiwick_cli.commands.audit.recordline import record_line
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.verbs.auditverbs import ProveFlags
from bailiwick_cli.witnesses import book_of
from bailiwick_evidence.audit.claims import RootClaim
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.audit.vouchers import key_of, signed_by
from bailiwick_evidence.chain import link
from bailiwick_evidence.tlogproof import LogProof
from bailiwick_governance.display import talk


def run(options: ProveFlags) -> int:
    """Print the proof."""
    audit = LogAudit(book_of(options.checkpoints, options.witness_key, options), kept_leaves(options.leaves))
    if not audit.book.keys:
        raise CliError("set --witness-key: a proof is worth as much as the witness who cosigned it")
    line = record_line(options.files, audit, options.evaluation_id, options.item)
    if link(line.text) is None:
        raise CliError(
            f"line {line.link.seq} of chain {line.link.id} has only the hash of this record, which is too long for an"
            " entry of a log: it cannot be proven by itself, but `audit verify` compares it with its hash",
            Exit.NO,
        )
    claim = _claim(audit, line)
    # The person who checks it gets the line itself, byte by byte.
    log = audit.chains[line.link.id]
    note = next((note for note in claim.notes if signed_by(key_of(log), (note,))), claim.notes[0])
    proof = LogProof(line.link.seq, tuple(log.leaves.inclusion(line.link.seq, claim.size)), note)
    if options.record is not None:
        try:
            Path(options.record).write_bytes(line.text + b"\n")
        except OSError as error:
            raise CliError(f"{options.record} cannot be written: {error.strerror or error}") from error
    sys.stdout.write(proof.text())
    talk(
        f"line {line.link.seq} of the log {claim.origin}, cosigned {times.epoch_stamp(claim.time)} with"
        f" {claim.size} lines; to check it: kubectl bailiwick audit check-proof PROOF RECORD-FILE --witness-key KEY"
    )
    return Exit.OK


def _claim(audit: LogAudit, line: ChainLine) -> RootClaim:
    """Return the first checkpoint that covers a line and whose root is that of the lines that are here."""
    name, seq = line.link.id, line.link.seq
    claims = [claim for claim in audit.book.claims_of(name) if claim.size > seq]
    if not claims:
        raise CliError(f"no cosigned checkpoint covers line {seq} of chain {name} yet: nothing proves it", Exit.NO)
    (report,) = (one for one in audit.reports() if one.chain == name)
    leaves = audit.chains[name].leaves
    whole = leaves.runs()[:1]
    for claim in claims:
        here = whole and whole[0][0] == 0 and whole[0][1] >= claim.size
        if here and leaves.roots([claim.size])[claim.size] == claim.root:
            return claim
    said = "; ".join(found.place for found in report.findings if found.bad) or "its root is another one"
    raise CliError(f"chain {name} is not what a witness cosigned ({said}): it proves nothing", Exit.NO)
