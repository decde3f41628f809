"""The log of all clusters that `audit verify` is given: by which keys it is judged, and the reading of it.

Holds: without the log's own key nothing of it counts; a flag about a log that is not named is an error.
"""

import time
from typing import Final

from bailiwick_cli.errors import CliError
from bailiwick_cli.verbs.auditverbs import VerifyFlags
from bailiwick_cli.witnesses import refuse_one_as_two
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.clusterlog.clusterlog import (
    ClusterLogReport,
    ClusterLogTrust,
    checkpoint_of_log,
    verify_cluster_log,
)
from bailiwick_evidence.clusterlog.tiles import CHECKPOINT, MOST_BUNDLE
from bailiwick_evidence.note import MOST_BYTES, NoteError, VerifierKey
from bailiwick_governance.arguments import seconds
from bailiwick_governance.display import talk
from bailiwick_governance.records.tilefiles import tile_files
from bailiwick_governance.records.witnesskeys import keys_of, log_key_of, text_of

_AGE: Final = "26h"


def read_cluster_log(options: VerifyFlags, book: WitnessBook) -> ClusterLogReport | None:
    """Verify the log that the flags name, and add its checkpoints to the book. Raises `CliError`."""
    if options.cluster_log is None:
        _refuse_alone(options)
        return None
    if options.since is not None:
        raise CliError(
            "--since leaves out logs that ended before, and --cluster-log is to show that the end of no log was cut:"
            " verify the cluster log without --since"
        )
    trust = _trust(options)
    _refuse_insiders(trust, book)
    files = tile_files(options.cluster_log)
    note = files(CHECKPOINT, MOST_BYTES + 1)
    if note is None:
        raise CliError(f"--cluster-log: {options.cluster_log} has no {CHECKPOINT}: name the folder of a log of tiles")
    if not book.clusters:
        raise CliError(
            "--cluster-log needs the key of each cluster's own witness, with a name of yours for the cluster: set"
            " --witness-key CLUSTER=FILE for each"
        )
    report = verify_cluster_log(
        note.decode(errors="replace"), lambda path: files(path, MOST_BUNDLE + 1), trust, book, time.time()
    )
    if not (trust.quorum or trust.earlier):
        talk(
            "note: anyone who holds the key of the cluster log can show you another one than others see; set"
            " --cluster-log-witness, or --cluster-log-checkpoint with one that you kept"
        )
    return report


def _refuse_insiders(trust: ClusterLogTrust, book: WitnessBook) -> None:
    """Refuse one key in two places: who holds it would vouch for itself. Raises `CliError`."""
    owners = {key.public: f"the witness of {cluster}" for key, cluster in book.clusters.items()}
    for flag, keys in (("--cluster-log-key", [trust.key]), ("--cluster-log-witness", trust.witnesses)):
        for key in keys:
            if (other := owners.get(key.public)) is not None:
                raise CliError(f"{flag}: the key {key.label} is that of {other}, which so vouches for itself")
        owners |= {key.public: "the log" for key in keys if flag == "--cluster-log-key"}


def _trust(options: VerifyFlags) -> ClusterLogTrust:
    if options.cluster_log_key is None:
        raise CliError("--cluster-log needs --cluster-log-key: say whose signature you trust")
    key = log_key_of(options.cluster_log_key, "--cluster-log-key")
    witnesses = keys_of(options.cluster_log_witness, "--cluster-log-witness")
    names = {one.name for one in witnesses}
    quorum = options.cluster_log_quorum or min(1, len(names))
    if quorum > len(names):
        raise CliError(
            f"--cluster-log-quorum {quorum}: --cluster-log-witness has keys of {len(names)} witnesses; give more"
        )
    refuse_one_as_two(witnesses, "--cluster-log-quorum", quorum)
    longest = seconds(options.cluster_log_age or _AGE, "--cluster-log-age")
    earlier = tuple(_earlier(name, key) for name in options.cluster_log_checkpoint or ())
    return ClusterLogTrust(key, tuple(witnesses), quorum, longest, earlier)


def _earlier(name: str, key: VerifierKey) -> Checkpoint:
    try:
        return checkpoint_of_log(text_of(name), key)
    except NoteError as error:
        raise CliError(f"--cluster-log-checkpoint: {name}: {error}") from error


def _refuse_alone(options: VerifyFlags) -> None:
    flags = {
        "--cluster-log-key": options.cluster_log_key,
        "--cluster-log-witness": options.cluster_log_witness,
        "--cluster-log-quorum": options.cluster_log_quorum,
        "--cluster-log-checkpoint": options.cluster_log_checkpoint,
        "--cluster-log-age": options.cluster_log_age,
    }
    if given := [flag for flag, value in flags.items() if value is not None]:
        raise CliError(f"{given[0]} needs --cluster-log, which says where the log is")
