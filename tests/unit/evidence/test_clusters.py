"""A chain is of the cluster whose key cosigned it, if the auditor says whose key each is, whatever notes call it."""

import base64
from collections.abc import Iterable, Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.audit.claims import ShownCheckpoint, WitnessBook
from bailiwick_evidence.audit.findings import ChainReport
from bailiwick_evidence.base64text import encode_base64
from bailiwick_evidence.note import SignatureType, VerifierKey, cosign_note, split, verifier_key
from support.evidence.logs import BEGAN, ProcessLog, audited_by, places, private_key
from support.evidence.tilelogs import CLUSTERS, EAST, EAST_KEY, WEST, WEST_KEY, process_log

TOLD = "contradicted"
OUTSIDE = {"east": private_key(83), "west": private_key(84)}
OUTSIDE_KEYS = {
    name: verifier_key(f"example.org/{name}", SignatureType.COSIGNATURE, key) for name, key in OUTSIDE.items()
}


def audited(
    lines: Iterable[bytes], notes: Sequence[str], clusters: dict[VerifierKey, str] | None = None, quorum: int = 1
) -> dict[str, ChainReport]:
    """Audit lines by the keys of both clusters; return the reports by their chains."""
    clusters = CLUSTERS if clusters is None else clusters
    book = WitnessBook(tuple(clusters) or (EAST_KEY, WEST_KEY), quorum, clusters)
    for note in notes:
        book.add(ShownCheckpoint(note))
    return {report.chain: report for report in audited_by(book.copy(), [b"".join(lines)])}


def test_a_chain_has_the_cluster_whose_key_cosigned_it() -> None:
    east, west = process_log(2).records(3).close(), process_log(3).records(3).close()
    found = audited([*east.lines, *west.lines], [east.checkpoint(by=EAST), west.checkpoint(by=WEST)])
    assert {name: (one.cluster, one.intact) for name, one in found.items()} == {
        east.id: ("east", True),
        west.id: ("west", True),
    }


def test_a_chain_that_the_keys_of_two_clusters_cosigned_is_contradicted() -> None:
    log = process_log(2).records(3).close()
    notes = [log.checkpoint(by=EAST), log.checkpoint(by=WEST)]
    for given in (notes, notes[::-1], [log.checkpoint(2, by=WEST), notes[0]]):
        report = audited(log.lines, given)[log.id]
        assert (places(report), report.cluster, report.bad) == ([TOLD], None, True), given
        assert report.findings[0].said == "the keys of 2 clusters cosigned it, and a chain is of one: east, west"


def test_one_note_with_the_cosignatures_of_two_clusters_is_enough() -> None:
    log = process_log(2).records(3).close()
    note = cosign_note(log.checkpoint(by=EAST), WEST_KEY.name, WEST, BEGAN)
    assert places(audited(log.lines, [note])[log.id]) == [TOLD]


def test_a_cosignature_over_no_line_is_enough() -> None:
    log = process_log(2).records(3).close()
    notes = [log.checkpoint(by=EAST), log.checkpoint(0, by=WEST)]
    assert places(audited(log.lines, notes)[log.id]) == [TOLD]


def test_a_missing_chain_of_two_clusters_is_contradicted_too() -> None:
    log, other = process_log(2).records(3).close(), process_log(3).close()
    notes = [log.checkpoint(by=EAST), log.checkpoint(by=WEST), other.checkpoint(by=WEST)]
    found = audited(other.lines, notes)
    assert places(found[log.id]) == ["missing", TOLD]
    alone = audited(other.lines, notes[::2])[log.id]
    assert (places(alone), alone.cluster) == (["missing"], "east")


def test_a_checkpoint_in_a_line_binds_as_well() -> None:
    log, ledger = process_log(2).records(3).close(), process_log(3, component="operator")
    ledger.add(kind="checkpoint", note=log.checkpoint(by=WEST))
    notes = [log.checkpoint(by=EAST), ledger.checkpoint(by=WEST)]
    assert TOLD in places(audited([*log.lines, *ledger.lines], notes)[log.id])


def test_without_names_of_clusters_any_key_counts_as_before() -> None:
    log = process_log(2).records(3).close()
    report = audited(log.lines, [log.checkpoint(by=EAST), log.checkpoint(by=WEST)], {})[log.id]
    assert (places(report), report.cluster) == ([], None)


def test_a_replaced_key_of_one_cluster_contradicts_nothing() -> None:
    log = process_log(2).records(3).close()
    notes = [log.checkpoint(by=EAST), log.checkpoint(by=WEST)]
    report = audited(log.lines, notes, {EAST_KEY: "east", WEST_KEY: "east"})[log.id]
    assert (places(report), report.cluster) == ([], "east")


def spelled(log: ProcessLog) -> str:
    """Return the hash of a log's last line, as the next process in its file writes it."""
    assert log.writer.head is not None
    return base64.urlsafe_b64encode(log.writer.head).rstrip(b"=").decode()


@pytest.mark.parametrize(("by", "found"), [(EAST, ["unclosed"]), (WEST, ["unclosed", "stale"])])
def test_no_line_of_another_cluster_says_that_a_process_ended(by: Ed25519PrivateKey, found: list[str]) -> None:
    log = process_log(2).records(3)
    before = {"id": log.id, "seq": 3, "head": spelled(log)}
    after = process_log(3, seconds=86_400, previous=before).records(1).close()
    late = process_log(4, seconds=86_400).records(1)
    notes = [log.checkpoint(by=EAST), after.checkpoint(now=BEGAN + 86_410, by=by)]
    notes.append(late.checkpoint(now=BEGAN + 86_410, by=EAST))
    assert places(audited([*log.lines, *after.lines, *late.lines], notes)[log.id]) == found


@pytest.mark.parametrize(("by", "found"), [("east", []), ("west", ["unknown"])])
def test_no_decision_point_of_another_cluster_is_a_witness_of_a_ledger(by: str, found: list[str]) -> None:
    clusters = {**CLUSTERS, OUTSIDE_KEYS["east"]: "east", OUTSIDE_KEYS["west"]: "west"}
    ledger = process_log(4, component="operator").records(20).close()
    points = [process_log(number).records(20) for number in (5, 6)]
    for point in points:
        point.add(kind="ledger", note=ledger.checkpoint(by=EAST))
        point.close()
    own = {"east": EAST, "west": WEST}[by]
    notes = [cosign_note(point.checkpoint(by=own), OUTSIDE_KEYS[by].name, OUTSIDE[by], BEGAN + 90) for point in points]
    lines = [line for one in (ledger, *points) for line in one.lines]
    reports = audited(lines, notes, clusters, quorum=2)
    assert [places(reports[one.id]) for one in (ledger, *points)] == [found, [], []]


def test_a_line_that_claims_to_be_of_another_cluster_hides_no_cosignature() -> None:
    log = process_log(2).records(5)
    junk = f"\N{EM DASH} {WEST_KEY.name} {encode_base64(WEST_KEY.id + bytes(72))}\n"
    note = log.checkpoint(by=EAST) + junk
    book = WitnessBook(tuple(CLUSTERS), clusters=CLUSTERS)
    assert book.add(ShownCheckpoint(note))
    assert (book.refused, book.clusters_of(log.id)) == (0, frozenset({"east"}))
    report = audited(log.lines[:3], [log.checkpoint(3, by=EAST), note])[log.id]
    assert (report.bad, places(report)[0]) == (True, "truncated 3-5")


@pytest.mark.parametrize("junk", [f"{EAST_KEY.name} {encode_base64(EAST_KEY.id + bytes(72))}", "junk", "!"])
def test_a_line_with_the_label_of_the_true_key_before_it_hides_no_cosignature(junk: str) -> None:
    log = process_log(2).records(5)
    text, lines = log.checkpoint(by=EAST).split("\n\n")
    note = f"{text}\n\n\N{EM DASH} {junk}\n{lines}"
    report = audited(log.lines[:3], [log.checkpoint(3, by=EAST), note])[log.id]
    assert (report.bad, places(report)[0]) == (True, "truncated 3-5")


def test_a_line_with_the_label_of_the_process_hides_not_its_signature() -> None:
    log = process_log(2).records(5).close()
    key = verifier_key(log.origin, SignatureType.ED25519, log.key)
    text, lines = log.checkpoint(by=EAST).split("\n\n")
    note = f"{text}\n\n\N{EM DASH} {key.name} {encode_base64(key.id + bytes(64))}\n{lines}"
    assert places(audited(log.lines, [note])[log.id]) == []
    alone = f"{text}\n\n{note.splitlines()[4]}\n{lines.splitlines()[-1]}\n"
    assert places(audited(log.lines, [alone])[log.id]) == ["forged"]
    note = alone
    # It takes the place of no other note.
    true = log.checkpoint(by=EAST)
    for given in ([note, true], [true, note]):
        assert places(audited(log.lines, given)[log.id]) == []


def test_of_a_note_in_many_forms_one_is_kept() -> None:
    log = process_log(2).records(5)
    true = log.checkpoint(by=EAST)
    book = WitnessBook(tuple(CLUSTERS), clusters=CLUSTERS)
    for number in range(40):
        book.add(ShownCheckpoint(true + f"\N{EM DASH} junk {encode_base64(number.to_bytes(8))}\n"))
    (claim,) = book.copy().claims_of(log.id)
    assert claim.notes == (true,)


def test_of_many_lines_in_the_name_of_a_process_a_few_are_kept_and_the_rest_accuse_nobody() -> None:
    log = process_log(2).records(5)
    text, lines = log.checkpoint(by=EAST).split("\n\n")
    own, cosigned = lines.splitlines()

    def noted(count: int, *last: str) -> tuple[WitnessBook, ChainReport]:
        """Return a book with a note for each line of junk, and one with these lines, and what it says of the chain."""
        book = WitnessBook(tuple(CLUSTERS), clusters=CLUSTERS)
        for number in range(count):
            junk = f"\N{EM DASH} {log.origin} {encode_base64(number.to_bytes(68))}"
            book.add(ShownCheckpoint("\n".join([text, "", junk, *last, cosigned, ""])))
        return book, audited_by(book.copy(), [b"".join(log.lines)])[0]

    book, report = noted(40)
    (claim,) = book.claims_of(log.id)
    assert (len(claim.notes), len(split(claim.notes[0])[1]), claim.left_out) == (1, 33, 8)
    # Whether it signed is not known: nothing is called forged that was not looked at, nor intact.
    assert (places(report)[0], report.bad) == ("unknown", True)
    assert places(noted(31)[1])[0] == "forged"
    assert places(noted(40, own)[1]) == ["unclosed"]


def test_a_cosignature_from_the_future_shows_a_cut_and_says_of_no_time_that_it_was_seen() -> None:
    log, now = process_log(2).records(5), BEGAN + 100
    ahead = log.checkpoint(now=now + 10**9, by=EAST)

    def judged(lines: Sequence[bytes], *notes: str) -> ChainReport:
        book = WitnessBook((EAST_KEY,), now=now)
        for note in notes:
            book.add(ShownCheckpoint(note))
        (report,) = audited_by(book, [b"".join(lines)])
        return report

    both = judged(log.lines, log.checkpoint(now=now, by=EAST), ahead)
    assert (both.bad, both.upto, places(both)) == (False, now, ["ahead", "unclosed"])
    assert both.findings[0].said == "a cosignature from the future does not count: 2055-07-24T00:01:40Z"
    earlier = judged(log.lines, log.checkpoint(3, now=now - 50, by=EAST), ahead)
    assert (earlier.bad, earlier.upto, earlier.witnessed) == (False, now - 50, 6)
    alone = judged(log.lines, ahead)
    assert (alone.bad, alone.upto, places(alone)) == (True, None, ["ahead", "unknown", "unclosed"])
    cut = judged(log.lines[:3], log.checkpoint(3, now=now, by=EAST), ahead)
    assert (cut.bad, places(cut)[0]) == (True, "truncated 3-5")
    gone = judged([], ahead)
    assert (gone.upto, places(gone)) == (None, ["missing", "ahead"])
    # A clock that is ahead a little says no more than that it was seen now.
    assert judged(log.lines, log.checkpoint(now=now + 120, by=EAST)).upto == now


def test_only_a_line_that_a_witness_of_the_cluster_saw_says_that_lines_are_missing() -> None:
    log = process_log(2).records(3).close()
    after = process_log(3, previous={"id": log.id, "seq": 100, "head": spelled(log)}).records(1).close()
    for by, found in ((EAST, ["truncated 5-100"]), (WEST, [])):
        notes = [log.checkpoint(by=EAST), after.checkpoint(by=by)]
        assert places(audited([*log.lines, *after.lines], notes)[log.id]) == found
    # Anyone can write a log that no witness saw.
    alone = audited([*log.lines, *after.lines], [log.checkpoint(by=EAST)])
    assert (places(alone[log.id]), places(alone[after.id])) == ([], ["brief"])


def test_no_cluster_says_that_lines_of_a_chain_without_a_witness_are_missing() -> None:
    log = process_log(2).records(3).close()
    after = process_log(3, previous={"id": log.id, "seq": 100, "head": spelled(log)}).records(1).close()
    found = audited([*log.lines, *after.lines], [after.checkpoint(by=EAST)])
    assert (places(found[log.id]), found[log.id].bad) == (["brief"], False)
    # If all keys are of one cluster, so are all chains.
    (key, cluster), *_ = CLUSTERS.items()
    found = audited([*log.lines, *after.lines], [after.checkpoint(by=EAST)], {key: cluster})
    assert "truncated 5-100" in places(found[log.id])


def test_a_checkpoint_that_runs_ahead_of_the_lines_contradicts_none_though_a_witness_is_said_to_have_refused_it() -> (
    None
):
    log = process_log(2).records(5)
    refused = log.signed(log.lines)
    book = WitnessBook((EAST_KEY,))
    book.add(ShownCheckpoint(log.checkpoint(4, by=EAST), refused=refused))
    (report,) = audited_by(book, [b"".join(log.lines[:4])])
    assert (places(report), report.bad) == (["tail", "unclosed"], False)
    (said,) = [one.said for one in report.findings if one.code.value == "tail"]
    assert said.startswith("the process signed a checkpoint over 6 lines")


def test_a_checkpoint_that_only_the_process_signed_is_not_one_that_a_witness_saw() -> None:
    log, other = process_log(2).records(5), process_log(3)
    other.add(kind="ledger", note=log.signed(log.lines))
    reports = audited([*log.lines[:4], *other.close().lines], [log.checkpoint(4, by=EAST)])
    said = [one.said for one in reports[log.id].findings if one.code.value == "truncated"]
    assert said == ["its process signed a checkpoint over 6 lines, but only 4 are here"]


@pytest.mark.parametrize(("by", "found"), [(EAST, ["unclosed", "stale"]), (WEST, ["unclosed"])])
def test_a_process_is_late_by_the_logs_of_its_own_cluster_alone(by: Ed25519PrivateKey, found: list[str]) -> None:
    log, later = process_log(2).records(3), process_log(3, seconds=86_400).records(1)
    notes = [log.checkpoint(by=EAST), later.checkpoint(now=BEGAN + 86_410, by=by)]
    assert places(audited([*log.lines, *later.lines], notes)[log.id]) == found


def test_by_a_time_in_a_line_that_has_not_come_no_process_is_late() -> None:
    log, later, now = process_log(2).records(3), process_log(3, seconds=10**9).records(1), BEGAN + 60
    book = WitnessBook((EAST_KEY,), now=now)
    for note in (log.checkpoint(by=EAST), later.checkpoint(now=now, by=EAST)):
        book.add(ShownCheckpoint(note))
    reports = audited_by(book, [b"".join([*log.lines, *later.lines])])
    assert {one.chain: places(one) for one in reports}[log.id] == ["unclosed"]
