"""A log of all clusters is intact only if nothing of it is gone or changed, and speaks for each cluster by its key."""

from collections.abc import Callable, Mapping
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.base64text import encode_base64
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.clusterlog.clusterlog import (
    ClusterLogReport,
    ClusterLogTrust,
    checkpoint_of_log,
    verify_cluster_log,
)
from bailiwick_evidence.note import NoteError, SignatureType, VerifierKey, cosign_note, sign_note, verifier_key
from support.evidence.logs import BEGAN, private_key
from support.evidence.tilelogs import (
    CLUSTERS,
    EAST,
    EAST_KEY,
    LOG,
    LOG_KEY,
    ORIGIN,
    OUTSIDE,
    OUTSIDE_KEY,
    OUTSIDE_NAME,
    WEST,
    WEST_KEY,
    bundle_of,
    log_checkpoint,
    log_files,
    process_log,
)

DAY: Final = 86_400
NOW: Final = BEGAN + 1_000


def of_east(number: int) -> str:
    """Return a checkpoint of a chain of the first cluster."""
    return process_log(number).records(number).checkpoint(now=BEGAN + number, by=EAST)


def of_west(size: int, number: int = 9, time: int = BEGAN, by: Ed25519PrivateKey = WEST) -> str:
    """Return a checkpoint of a chain of the other cluster, which has the name of the first one."""
    return process_log(number).records(size - 1).checkpoint(now=time, by=by)


EAST_NOTES: Final = [of_east(number) for number in range(2, 8)]
ENTRIES: Final = [note.encode() for note in (*EAST_NOTES, of_west(1), of_west(2), of_west(3, 10))]


def book_of(clusters: Mapping[VerifierKey, str] = CLUSTERS) -> WitnessBook:
    """Return an empty book."""
    return WitnessBook(tuple(clusters), clusters=clusters)


def verified(
    files: Mapping[str, bytes],
    *earlier: Checkpoint,
    clusters: Mapping[VerifierKey, str] = CLUSTERS,
    quorum: int = 0,
    now: float = NOW,
    book: WitnessBook | None = None,
) -> ClusterLogReport:
    """Verify files as a log."""
    trust = ClusterLogTrust(LOG_KEY, (OUTSIDE_KEY,), quorum, DAY, earlier)
    book = book_of(clusters) if book is None else book
    return verify_cluster_log(files["checkpoint"].decode(), files.get, trust, book, now)


def codes(report: ClusterLogReport) -> list[str]:
    """Return what was found."""
    return [found.code.value for found in report.findings]


def of_size(size: int) -> Checkpoint:
    """Return the log's own checkpoint when it had so many entries."""
    return checkpoint_of_log(log_checkpoint(ENTRIES[:size]), LOG_KEY)


def test_a_whole_log_is_intact_and_its_checkpoints_count() -> None:
    book = book_of()
    report = verified(log_files(ENTRIES, NOW), of_size(0), of_size(4), of_size(9), quorum=1, book=book)
    assert (codes(report), report.size, report.witnessed, report.others, report.refused) == ([], 9, NOW, 0, 0)
    east, west = report.clusters
    assert (east.name, len(east.chains), east.newest, east.silent) == ("east", 6, BEGAN + 7, False)
    assert (west.name, len(west.chains), west.newest, west.silent) == ("west", 2, BEGAN, False)
    assert len(book.witnessed_chains) == 8
    # Not only the latest of a chain.
    assert sorted(len(book.claims_of(chain)) for chain in west.chains) == [1, 2]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 700])
def test_a_log_of_any_size_is_read_to_its_end(size: int) -> None:
    entries = [b"entry %d" % number for number in range(size)]
    report = verified(log_files(entries), clusters={})
    assert (codes(report), report.size, report.refused) == ([], size, size)


def test_a_bundle_that_was_filled_since_stands_for_the_partial_one() -> None:
    entries = [b"entry %d" % number for number in range(300)]
    files = log_files(entries[:256]) | {"checkpoint": log_checkpoint(entries[:7]).encode()}
    report = verified(files, clusters={})
    assert (codes(report), report.size) == ([], 7)


LAST: Final = "tile/entries/000.p/9"


@pytest.mark.parametrize(
    ("spoiled", "code"),
    [
        ({LAST: b""}, "incomplete"),
        ({LAST: bundle_of(ENTRIES)[:-1]}, "incomplete"),
        ({LAST: bundle_of(ENTRIES[:-1])}, "incomplete"),
        ({LAST: bundle_of([*ENTRIES, b"more"])}, "incomplete"),
        ({LAST: bundle_of([*ENTRIES[:-1], of_west(4, 10).encode()])}, "altered"),
        ({LAST: bundle_of(ENTRIES[::-1])}, "altered"),
    ],
)
def test_entries_that_are_cut_or_changed_are_found(spoiled: dict[str, bytes], code: str) -> None:
    assert codes(verified(log_files(ENTRIES) | spoiled)) == [code]


def test_a_bundle_that_is_missing_is_found_and_no_size_is_proven() -> None:
    files = log_files(ENTRIES)
    del files[LAST]
    report = verified(files)
    assert (codes(report), report.size) == (["incomplete"], None)
    assert report.findings[0].said == f"{LAST} is missing"


@pytest.mark.parametrize(
    "note",
    [
        "",
        "not a note\n",
        log_checkpoint(ENTRIES, private_key(80)),
        # By a key of the same name and id as the log's, whose signature is another.
        log_checkpoint(ENTRIES).replace(log_checkpoint(ENTRIES).split()[-1], encode_base64(LOG_KEY.id + bytes(64))),
        log_checkpoint(ENTRIES, origin="example.org/other"),
        # Of another log, which has the same key.
        sign_note(Checkpoint("example.org/other", 0, bytes(32)).text(), ORIGIN, LOG),
        sign_note("no checkpoint\n", ORIGIN, LOG),
        log_checkpoint(ENTRIES).replace("\n9\n", "\n8\n"),
        cosign_note(log_checkpoint(ENTRIES), OUTSIDE_NAME, OUTSIDE, NOW).replace(ORIGIN, "example.org/x", 1),
        # A junk signature of a witness whose key is given.
        log_checkpoint(ENTRIES) + f"— {OUTSIDE_NAME} {encode_base64(OUTSIDE_KEY.id + bytes(72))}\n",
    ],
)
def test_a_checkpoint_without_the_signature_of_the_log_counts_for_nothing(note: str) -> None:
    report = verified(log_files(ENTRIES) | {"checkpoint": note.encode()})
    assert (codes(report), report.size, report.forged) == (["unsigned"], None, 1)


def test_a_log_that_was_rolled_back_is_found_by_a_checkpoint_that_was_kept() -> None:
    assert codes(verified(log_files(ENTRIES[:8]), of_size(9))) == ["rolled-back"]
    assert codes(verified(log_files(ENTRIES[:8]))) == []


@pytest.mark.parametrize("size", [1, 5, 9])
def test_another_root_at_the_size_of_an_earlier_checkpoint_is_found(size: int) -> None:
    other = [b"another", *ENTRIES[1:]]
    assert codes(verified(log_files(other), of_size(size))) == ["contradicted"]
    assert codes(verified(log_files(other), of_size(1), of_size(size))) == ["contradicted"] * 2


def test_an_earlier_checkpoint_counts_only_with_the_signature_of_the_log() -> None:
    with pytest.raises(NoteError):
        checkpoint_of_log(log_checkpoint(ENTRIES, private_key(80)), LOG_KEY)


def test_a_log_is_as_old_as_the_cosignature_of_its_witness() -> None:
    assert codes(verified(log_files(ENTRIES), quorum=1)) == ["unwitnessed"]
    assert codes(verified(log_files(ENTRIES, NOW), quorum=2)) == ["unwitnessed"]
    assert codes(verified(log_files(ENTRIES, NOW - DAY), quorum=1)) == []
    old = verified(log_files(ENTRIES, NOW - DAY - 1), quorum=1)
    assert (codes(old), old.forged) == (["silent"], 0)
    future = verified(log_files(ENTRIES, NOW + 121), quorum=1)
    assert (codes(future), future.witnessed) == (["silent"], None)
    # A clock that is ahead a little says no more than that it was seen now.
    soon = verified(log_files([*ENTRIES[:6], of_west(1, time=NOW + 120).encode()], NOW + 120), quorum=1)
    assert (codes(soon), soon.witnessed, soon.clusters[1].newest) == ([], NOW, NOW)


def test_the_keys_of_one_witness_count_once() -> None:
    second = private_key(79)
    key = verifier_key(OUTSIDE_NAME, SignatureType.COSIGNATURE, second)
    files = log_files(ENTRIES, NOW)
    note = cosign_note(files["checkpoint"].decode(), OUTSIDE_NAME, second, NOW)
    trust = ClusterLogTrust(LOG_KEY, (OUTSIDE_KEY, key), 2, DAY)
    assert codes(verify_cluster_log(note, files.get, trust, book_of(), NOW)) == ["unwitnessed"]


def test_a_cluster_that_went_silent_is_named() -> None:
    late = verified(log_files(ENTRIES), now=BEGAN + 3 + DAY)
    assert [found.said for found in late.findings] == ["cluster west: no checkpoint since 2023-11-14T22:13:20Z"]
    assert (codes(late), late.forged) == (["silent"], 0)
    never = verified(log_files(ENTRIES[:6]))
    assert [found.said for found in never.findings] == ["cluster west: no checkpoint"]


def test_a_checkpoint_from_the_future_is_no_sign_of_life() -> None:
    entries = [*ENTRIES[:6], of_west(1, time=NOW + 121).encode()]
    (found,) = verified(log_files(entries)).findings
    assert found.said == "cluster west: no checkpoint; cosignatures from the future, which do not count: 1"
    assert codes(verified(log_files([*ENTRIES[:6], of_west(1, time=NOW + 120).encode()]))) == []


def test_an_entry_is_of_the_cluster_whose_key_verifies_it_whatever_it_calls_itself() -> None:
    book = book_of()
    # The chain of the other cluster, with all its names, cosigned by the first one's witness.
    entries = [*ENTRIES[:6], of_west(5, by=EAST).encode()]
    report = verified(log_files(entries), book=book)
    east, west = report.clusters
    assert (codes(report), report.refused, report.others) == (["silent"], 0, 0)
    assert (len(east.chains), west.chains, west.newest, west.silent) == (7, set(), None, True)
    assert book.clusters_of(process_log(9).id) == {"east"}


def test_a_chain_that_two_clusters_cosigned_is_in_both_and_contradicted() -> None:
    book = book_of()
    stolen = process_log(2).records(1).checkpoint(now=NOW, by=WEST)
    report = verified(log_files([*ENTRIES, stolen.encode()]), book=book)
    east, west = report.clusters
    assert east.chains & west.chains == {process_log(2).id}
    assert book.clusters_of(process_log(2).id) == {"east", "west"}
    both = cosign_note(of_east(2), WEST_KEY.name, WEST, NOW)
    report = verified(log_files([both.encode()]), book=(once := book_of()))
    assert [len(one.chains) for one in report.clusters] == [1, 1]
    assert once.clusters_of(process_log(2).id) == {"east", "west"}


def test_no_other_cluster_keeps_a_silent_one_alive() -> None:
    late = BEGAN + 2 * DAY
    entries = [*ENTRIES[:6], of_west(1, time=late).encode(), of_west(2, 2, time=late).encode()]
    (found,) = verified(log_files(entries), now=late).findings
    assert found.said == "cluster east: no checkpoint since 2023-11-14T22:13:27Z"


def test_entries_of_clusters_whose_key_is_not_given_are_only_counted() -> None:
    book = book_of({EAST_KEY: "east"})
    report = verified(log_files([*ENTRIES, b"\xff", b"no note", b""]), book=book)
    assert (codes(report), report.others, report.refused) == ([], 3, 3)
    assert (len(report.clusters), book.strangers) == (1, {})


SPOILED: Final = {
    "a signature of another key": lambda note: note.replace(
        note.splitlines()[-1], f"\N{EM DASH} {EAST_KEY.name} {encode_base64(EAST_KEY.id + bytes(72))}"
    ),
    "a digit in the size": lambda note: note.replace("\n1\n", "\n11\n"),
    "a word in the text": lambda note: note.replace("\n1\n", "\n1\njunk\n"),
    "no text": lambda note: note.split("\n\n")[1],
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_an_entry_that_names_a_key_which_cosigned_nothing_in_it_is_a_finding(spoil: Callable[[str], str]) -> None:
    note = process_log(30).checkpoint(by=EAST, now=BEGAN)
    assert codes(verified(log_files([*ENTRIES, note.encode()]))) == []
    report = verified(log_files([*ENTRIES, spoil(note).encode()]))
    assert (codes(report), report.refused, len(report.clusters[0].chains)) == (["unreadable"], 1, 6)
    assert [one.unreadable for one in report.clusters] == [1, 0]


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_no_other_checkpoint_beside_it_hides_that_an_entry_was_spoiled(spoil: Callable[[str], str]) -> None:
    spoiled = spoil(process_log(30).checkpoint(by=EAST, now=BEGAN))
    report = verified(log_files([*ENTRIES, f"{of_west(1)}\n{spoiled}".encode()]))
    assert (codes(report), report.refused, len(report.clusters[1].chains)) == (["unreadable"], 1, 2)
    assert [one.unreadable for one in report.clusters] == [1, 0]


def test_keys_that_were_not_given_are_named() -> None:
    report = verified(log_files(ENTRIES), clusters={EAST_KEY: "east"})
    assert (report.others, report.labels) == (3, (WEST_KEY.label,))
    junk = [f"{of_west(1)}\N{EM DASH} junk{number} {encode_base64(bytes(76))}\n".encode() for number in range(40)]
    report = verified(log_files([*ENTRIES, *junk]), clusters={EAST_KEY: "east"})
    assert (report.others, len(report.labels)) == (43, 8)


def test_a_cluster_is_as_old_as_what_as_many_witnesses_cosigned_as_are_required() -> None:
    second = verifier_key("example.org/second", SignatureType.COSIGNATURE, OUTSIDE)
    clusters = {EAST_KEY: "east", second: "east"}
    entry = cosign_note(of_east(2), second.name, OUTSIDE, NOW - DAY - 1)
    files = log_files([of_east(3).encode(), entry.encode()])
    assert codes(verified(files, book=WitnessBook(tuple(clusters), 1, clusters))) == []
    late = verified(files, book=WitnessBook(tuple(clusters), 2, clusters))
    assert (codes(late), late.clusters[0].newest) == (["silent"], NOW - DAY - 1)


def test_of_a_cluster_that_too_few_witnesses_cosigned_it_is_counted_how_many_did() -> None:
    second = verifier_key("example.org/second", SignatureType.COSIGNATURE, OUTSIDE)
    clusters = {EAST_KEY: "east", second: "east"}
    report = verified(log_files([of_east(3).encode()]), book=WitnessBook(tuple(clusters), 2, clusters))
    assert [one.said for one in report.findings] == [
        "cluster east: 1 of the 2 required witnesses cosigned a checkpoint"
    ]
    assert report.clusters[0].witnesses == 1


def test_a_junk_line_of_a_witness_beside_the_good_one_says_the_same_before_it_and_behind_it() -> None:
    files = log_files(ENTRIES, NOW)
    for name, key_id, size in ((OUTSIDE_NAME, OUTSIDE_KEY.id, 72), (ORIGIN, LOG_KEY.id, 64)):
        junk = f"\N{EM DASH} {name} {encode_base64(key_id + bytes(size))}\n"
        note = files["checkpoint"].decode()
        for spoiled in (note + junk, note.replace("\n\n", f"\n\n{junk}")):
            report = verified(files | {"checkpoint": spoiled.encode()}, quorum=1)
            assert (codes(report), report.witnessed) == (["unsigned"], None), spoiled


def test_keys_of_one_name_and_one_id_are_told_apart_by_the_keys_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    # What costs somebody a day of computing: a key with the id of another one, which has four bytes.
    monkeypatch.setattr(VerifierKey, "id", property(lambda key: b"same"))
    entries = [of_east(2).encode(), of_west(3).encode()]
    for clusters in (CLUSTERS, dict(reversed(CLUSTERS.items()))):
        east, west = verified(log_files(entries), clusters=clusters).clusters
        assert (east.chains, west.chains) == ({process_log(2).id}, {process_log(9).id})


def test_what_counts_in_a_log_that_is_not_whole_counts_by_its_own_cosignature() -> None:
    book = book_of()
    entries = [*ENTRIES, b"the last"]
    files = log_files(entries) | {"tile/entries/000.p/10": bundle_of(ENTRIES)}
    assert codes(verified(files, book=book)) == ["incomplete"]
    assert book.witnessed_chains == frozenset()
    report = verified(log_files(entries) | {"tile/entries/000.p/10": bundle_of([*ENTRIES, b"changed"])}, book=book)
    assert (codes(report), len(book.witnessed_chains)) == (["altered"], 8)
