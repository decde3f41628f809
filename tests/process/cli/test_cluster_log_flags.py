"""What `audit verify` refuses of a log of all clusters: it exits with 2, and says what to set."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from bailiwick_evidence.base64text import encode_base64
from bailiwick_evidence.clusterlog.tiles import MOST_ENTRY
from bailiwick_evidence.note import SignatureType, VerifierKey, cosign_note, sign_note, split
from support import commandline
from support.commandline import Ran
from support.evidence.logs import BEGAN
from support.evidence.tilelogs import EAST, EAST_KEY, LOG_KEY, WEST, WEST_KEY, log_files, process_log

# Where a word has @, the files of the test are.
LOG: Final = "--cluster-log @clusters --cluster-log-key @log.vkey"
BOTH: Final = "--witness-key east=@east.vkey --witness-key west=@west.vkey"

NAMED: Final = "--witness-key of audit verify and audit report names a cluster"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The log of a process, the log of all clusters with a checkpoint of it, and all keys."""
    log = process_log().records(5)
    (tmp_path / "east.log").write_bytes(b"".join(log.lines))
    for path, content in log_files([log.checkpoint(by=EAST).encode()]).items():
        (tmp_path / "clusters" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clusters" / path).write_bytes(content)
    own = VerifierKey("example.org/self", SignatureType.COSIGNATURE, LOG_KEY.public)
    again = EAST_KEY._replace(name="example.org/again")
    for name, key in (("east", EAST_KEY), ("west", WEST_KEY), ("log", LOG_KEY), ("self", own), ("again", again)):
        (tmp_path / f"{name}.vkey").write_text(f"{key}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ("--cluster-log-age 3d", "--cluster-log-age needs --cluster-log"),
        ("--cluster-log @clusters", "--cluster-log needs --cluster-log-key"),
        ("--cluster-log @nowhere --cluster-log-key @log.vkey", "nowhere has no checkpoint"),
        ("--cluster-log @clusters --cluster-log-key @east.vkey", "is not one of a log: it signs cosignatures"),
        (f"{LOG} --cluster-log-witness @log.vkey", "--cluster-log-witness: the"),
        (f"{LOG} --cluster-log-witness east=@east.vkey", f"only {NAMED}"),
        (f"{LOG} --cluster-log-quorum 1", "keys of 0 witnesses; give more"),
        (
            f"{LOG} {BOTH} --cluster-log-witness @west.vkey",
            "is that of the witness of west, which",
        ),
        (f"{LOG} {BOTH} --cluster-log-witness @self.vkey", "is that of the log, which so vouches for itself"),
        (
            "--witness-key @east.vkey --witness-key @again.vkey --witness-quorum 2",
            "and so are one witness",
        ),
        (
            f"{LOG} --cluster-log-witness @east.vkey --cluster-log-witness @again.vkey --cluster-log-quorum 2",
            "and so are one witness",
        ),
        (f"{LOG} --cluster-log-checkpoint @east.vkey", "not a signed note"),
        (f"{LOG} --cluster-log-age soon", "is not a duration"),
        (LOG, "set --witness-key CLUSTER=FILE for each"),
        (f"{LOG} --witness-key @east.vkey", "set --witness-key CLUSTER=FILE for each"),
        ("--witness-key east=@east.vkey --witness-key @west.vkey", "is of no cluster, and another one is of east"),
        ("--witness-key east=@east.vkey --witness-key west=@east.vkey", "is given for east and for west"),
        (f"{BOTH} --witness-quorum 2", "keys of 1 witnesses of east"),
        (f"{LOG} {BOTH} --shards 2 --shard 0", "--cluster-log cannot be divided"),
        (f"{BOTH} --cluster-log-key @log.vkey --shards 2 --shard 0", "--cluster-log cannot be divided"),
        (f"{LOG} {BOTH} --since 24h", "--since leaves out logs that ended before"),
        (f"{BOTH} --registrar-key @log.vkey", "verify signed reviews of one cluster at a time"),
    ],
)
def test_what_cannot_be_verified_exits_with_2_and_says_what_to_set(folder: Path, flags: str, why: str) -> None:
    ran = commandline.run("audit", "verify", f"{folder}/east.log", *flags.replace("@", f"{folder}/").split())
    assert (ran.code, why in ran.err, ran.out) == (2, True, ""), ran


@pytest.mark.parametrize("verb", ["prove", "checkpoint", "check-proof"])
def test_other_verbs_take_the_keys_of_one_cluster(folder: Path, verb: str) -> None:
    words = {"prove": ["one", "@east.log"], "checkpoint": ["@east.log"], "check-proof": ["@east.log", "@east.log"]}
    given = [*words[verb], "--witness-key", "east=@east.vkey"]
    ran = commandline.run("audit", verb, *(word.replace("@", f"{folder}/") for word in given))
    assert (ran.code, f"only {NAMED}" in ran.err) == (2, True), ran


def test_a_cluster_of_which_nothing_is_here_is_named_with_a_nonzero_exit(folder: Path) -> None:
    log = process_log().records(5).close()
    (folder / "east.log").write_bytes(b"".join(log.lines))
    (folder / "east.notes").write_text(log.checkpoint(by=EAST))
    words = ["audit", "verify", f"{folder}/east.log", "--checkpoints", f"{folder}/east.notes"]
    alone = commandline.run(*words, "--witness-key", f"east={folder}/east.vkey")
    assert alone.code == 0, alone
    ran = commandline.run(*words, *BOTH.replace("@", f"{folder}/").split())
    assert (ran.code, ran.out.splitlines()[0]) == (1, "Nothing is known of what was removed or changed in west."), ran
    assert "Cluster west: absent: no checkpoint that its witness cosigned is here" in ran.out, ran


def test_a_cluster_that_is_silent_since_the_time_asked_for_is_named(folder: Path) -> None:
    log, old = process_log(5, seconds=time.time() - BEGAN - 60).records(5), process_log(3).records(2)
    (folder / "new.log").write_bytes(b"".join(log.lines))
    (folder / "old.log").write_bytes(b"".join(old.lines))
    notes = [log.checkpoint(by=EAST, now=int(time.time())), old.checkpoint(by=WEST)]
    (folder / "both.notes").write_text("\n".join(notes))
    words = ["audit", "verify", "--checkpoints", f"{folder}/both.notes", *BOTH.replace("@", f"{folder}/").split()]
    ran = commandline.run(*words, f"{folder}/new.log", "--since", "24h")
    assert (ran.code, "Cluster west: absent: no checkpoint" in ran.out) == (1, True), ran
    # Its files are here.
    ran = commandline.run(*words, f"{folder}/new.log", f"{folder}/old.log", "--since", "24h")
    assert "absent" not in ran.out, ran


def entries_of(folder: Path, note: str) -> tuple[Ran, list[str]]:
    """Write the entries of what a cluster has, which is one note; return what ran, and the entries."""
    (folder / "checkpoints.notes").write_text(note)
    words = ["--checkpoints", f"{folder}/checkpoints.notes", "--witness-key", f"{folder}/east.vkey"]
    ran = commandline.run("audit", "checkpoint", *words, "--entries", f"{folder}/entries")
    return ran, [one.read_text() for one in (folder / "entries").iterdir()]


def test_an_entry_has_the_signatures_of_the_process_and_the_witness_alone(folder: Path) -> None:
    note = process_log().records(5).checkpoint(by=EAST)
    junk = f"\N{EM DASH} {WEST_KEY.name} {encode_base64(WEST_KEY.id + bytes(72))}\n"
    ran, entries = entries_of(folder, note + junk)
    assert (ran.code, entries) == (0, [note]), ran


def test_a_note_that_is_refused_exits_with_1_and_the_others_are_written(folder: Path) -> None:
    """A job that goes on would not say that a checkpoint is missing in the log."""
    note, other = process_log().records(5).checkpoint(by=EAST), process_log(3).records(2).checkpoint(by=WEST)
    ran, entries = entries_of(folder, f"{note}\n{other}")
    assert (ran.code, entries, "warning: 1 checkpoints are not used" in ran.err) == (1, [note], True), ran


@pytest.mark.parametrize(
    "spoiled",
    [
        lambda note: note.replace("\n", "\r\n"),
        lambda note: note.replace("\n\n", "\n\n\n"),
        lambda note: note + "\N{EM DASH} junk\ttab\n",
        lambda note: note + "\N{EM DASH} junk AAAA\n" * 70,
    ],
    ids=["CRLF", "an empty line", "a tab", "70 lines"],
)
def test_an_entry_has_the_form_of_a_note_whatever_form_the_note_has(
    folder: Path, spoiled: Callable[[str], str]
) -> None:
    note = process_log().records(5).checkpoint(by=EAST)
    ran, entries = entries_of(folder, spoiled(note))
    assert (ran.code, entries) == (0, [note]), ran


def test_a_checkpoint_that_is_too_long_for_an_entry_is_left_out_and_exits_with_1(folder: Path) -> None:
    text = f"{split(process_log().records(5).checkpoint(by=EAST))[0]}{chr(0x20AC) * (MOST_ENTRY // 3)}\n"
    log = process_log()
    note = cosign_note(sign_note(text, log.origin, log.key), EAST_KEY.name, EAST, BEGAN)
    ran, entries = entries_of(folder, note)
    assert (ran.code, entries, "warning: 1 checkpoints are not written" in ran.err) == (1, [], True), ran
