"""`audit checkpoint`: the newest checkpoint of each chain that a witness cosigned, as notes, to be kept elsewhere.

Holds: nothing leaves here that no trusted witness cosigned; of a witness that contradicted itself both sides are kept.
What is to be kept in a log and cannot be is an error, since its absence would not show there.
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from bailiwick_api import times
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.verbs.auditverbs import CheckpointFlags
from bailiwick_cli.witnesses import CLUSTER, book_of
from bailiwick_evidence.audit.claims import RootClaim, WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.clusterlog.tiles import MOST_ENTRY
from bailiwick_governance.arguments import moment_or_none
from bailiwick_governance.display import talk
from bailiwick_governance.records.logfiles import LogFiles

_BETWEEN: Final = "\n"


def run(options: CheckpointFlags) -> int:
    """Print the notes, or write each to a file."""
    since = moment_or_none(options.since, "--since")
    sources = options.checkpoints or ([] if options.files else [CLUSTER])
    audit = LogAudit(book_of(sources, options.witness_key, options))
    names = {key.name for key in audit.book.keys}
    if not names:
        raise CliError("set --witness-key: say whose cosignature you trust")
    if len(names) > 1:
        # A note is kept with one cosignature: that of another witness would be lost unseen.
        raise CliError(f"--witness-key has keys of {len(names)} witnesses: run this once for each")
    unused = audit.book.refused
    for _ in LogFiles(options.files or ()).lines(audit, "Reading lines"):
        pass
    if audit.book.refused > unused:
        count = audit.book.refused - unused
        talk(f"warning: {count} checkpoints of the log are not used: no witness that you trust cosigned them")
    found = list(_newest(audit.book))
    if not found:
        raise CliError("no witness that you trust cosigned a checkpoint", Exit.NO)
    if since is not None and not (found := [claim for claim in found if claim.time >= since]):
        raise CliError(f"--since: no checkpoint was cosigned since {times.epoch_stamp(since)}", Exit.NO)
    if options.entries is None:
        sys.stdout.write(_BETWEEN.join(note for claim in found for note in claim.notes))
    else:
        notes = (note for claim in found for note in claim.notes)
        if too_long := _write_entries(options.entries, notes):
            talk(
                f"warning: {too_long} checkpoints are not written: with their signatures they are too long for an entry"
            )
        if too_long or audit.book.refused or audit.book.unread:
            return Exit.NO
    last = times.epoch_stamp(max(claim.time for claim in found))
    talk(f"checkpoints of {len({claim.chain for claim in found})} chains, the latest from {last}")
    return Exit.OK


def _write_entries(folder: str, notes: Iterable[str]) -> int:
    """Write each note to a file that is called by its hash, so that clusters share a folder. Raises `CliError`.

    Returns how many are too long: one such file would keep the entries of all clusters out of the log.
    """
    too_long = 0
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for note in notes:
            text = note.encode()
            if len(text) > MOST_ENTRY:
                too_long += 1
            else:
                (Path(folder) / f"{hashlib.sha256(text).hexdigest()}.note").write_bytes(text)
    except OSError as error:
        raise CliError(f"--entries: {folder} cannot be written: {error.strerror or error}") from error
    return too_long


def _newest(book: WitnessBook) -> Iterator[RootClaim]:
    """Yield, of each chain that a witness saw, what it cosigned over the most lines."""
    for chain in sorted(book.witnessed_chains):
        claims = book.claims_of(chain)
        yield from (claim for claim in claims if claim.size == claims[-1].size)
