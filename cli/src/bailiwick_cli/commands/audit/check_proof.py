"""`audit check-proof`: whether a record was in a log that a witness cosigned, from the record and the proof alone."""

import sys
from pathlib import Path

from bailiwick_api import times
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.offline import refuse_cluster, refuse_namespace
from bailiwick_cli.verbs.auditverbs import CheckProofFlags
from bailiwick_evidence.chain import link
from bailiwick_evidence.chainentry import keys_for
from bailiwick_evidence.checkpoint import Checkpoint, chain_of
from bailiwick_evidence.merkle import is_included, leaf_hash
from bailiwick_evidence.note import NoteError, open_note, split
from bailiwick_evidence.tlogproof import LogProof
from bailiwick_governance.records.witnesskeys import keys_of


def run(options: CheckProofFlags) -> int:
    """Check."""
    refuse_cluster(options, "audit check-proof")
    refuse_namespace(options, "audit check-proof")
    keys = keys_of(options.witness_key)
    if not keys:
        raise CliError("set --witness-key: a proof is worth as much as the witness who cosigned it")
    try:
        proof = LogProof.parse(_bytes(options.proof).decode(errors="replace"))
    except NoteError as error:
        raise CliError(f"{options.proof}: {error}") from error
    try:
        said = Checkpoint.parse(split(proof.checkpoint)[0])
        named = chain_of(said.origin)
        note = open_note(proof.checkpoint, keys if named is None else keys_for(named[0], keys))
    except NoteError as error:
        raise CliError(f"not proven: {error}", Exit.NO) from error
    line = _bytes(options.record).removesuffix(b"\n")
    place = link(line)
    if place is None:
        raise CliError(f"not proven: {options.record} does not hold exactly one line of a log", Exit.NO)
    if named is None or named[1] != place.id or place.seq != proof.seq:
        raise CliError("not proven: the proof is for another line", Exit.NO)
    if not is_included(leaf_hash(line), proof.seq, said.size, proof.path, said.root):
        raise CliError("not proven: this record is not the one that was cosigned", Exit.NO)
    time = times.epoch_stamp(max(one.time or 0 for one in note.signatures))
    witness = ", ".join(sorted({one.key.name for one in note.signatures}))
    sys.stdout.write(f"proven: line {proof.seq} of the log {said.origin}, cosigned {time} by {witness}\n")
    return Exit.OK


def _bytes(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CliError(f"{name} cannot be read: {error.strerror or error}") from error
