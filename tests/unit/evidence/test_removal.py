"""Lines that were removed whole: their leaves prove it, as far as a witness saw, and nothing else is excused."""

from base64 import urlsafe_b64encode
from collections.abc import Iterable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, strategies as st

from bailiwick_evidence.audit.findings import ChainReport
from bailiwick_evidence.audit.keptleaves import KeptLeafError, add_leaf_lines, leaf_lines
from bailiwick_evidence.audit.leafpages import LeafPages
from bailiwick_evidence.audit.leaves import LeafTable
from bailiwick_evidence.merkle import leaf_hash
from bailiwick_evidence.note import SignatureType, cosign_note, verifier_key
from support.evidence.logs import BEGAN, WITNESS, WITNESS_KEY, ProcessLog, audited, places, private_key


def log(number: int = 2) -> ProcessLog:
    """Return one of 12 lines."""
    return ProcessLog(number).records(10).close()


def leaves(process: ProcessLog, numbers: Iterable[int]) -> dict[str, LeafTable]:
    """Return what was kept of these lines."""
    table = LeafTable()
    for number in numbers:
        table.set(number, leaf_hash(process.lines[number][:-1]))
    return {process.id: table}


def judged(
    process: ProcessLog, here: Iterable[int], kept: dict[str, LeafTable], *sizes: int, changed: int | None = None
) -> ChainReport:
    """Audit the lines that are here, of a log that was cosigned at these sizes."""
    lines = dict(enumerate(process.lines))
    if changed is not None:
        lines[changed] = lines[changed].replace(b"true", b"false")
    text = b"".join(lines[number] for number in here)
    _, (report,) = audited([text], [process.checkpoint(size) for size in sizes or (12,)], kept=kept)
    return report


@pytest.mark.parametrize(
    ("gone", "found"),
    [
        (range(5), ["removed 0-4"]),
        ([0], ["removed at 0"]),
        ([4, 5, 9], ["removed 4-5", "removed at 9"]),
        (range(6, 12), ["removed 6-11", "unclosed"]),
        ([11], ["removed at 11", "unclosed"]),
        (range(12), ["removed 0-11"]),
    ],
    ids=["the beginning", "the first", "some", "the end", "the last", "all"],
)
def test_whatever_was_removed_is_told_and_is_no_finding(gone: Iterable[int], found: list[str]) -> None:
    process, lost = log(), set(gone)
    report = judged(process, [seq for seq in range(12) if seq not in lost], leaves(process, range(12)))
    assert places(report) == found
    assert (report.intact, report.lines, report.removed, report.witnessed) == (True, 12 - len(lost), len(lost), 12)
    # Nothing can be added once the line that closes the chain is here.
    assert report.whole == (11 not in lost)


def test_without_the_leaves_it_is_what_it_was() -> None:
    process = log()
    assert places(judged(process, range(5, 12), {})) == ["gap 0-4"]
    assert places(judged(process, (), {})) == ["missing"]
    assert places(judged(process, (), leaves(process, range(11)))) == ["missing"]


def test_a_line_of_which_no_leaf_was_kept_is_a_gap_with_all_of_the_others() -> None:
    process = log()
    assert places(judged(process, range(6, 12), leaves(process, range(5)))) == ["gap 0-5"]


def test_a_leaf_that_is_not_the_lines_own_proves_nothing() -> None:
    process = log()
    kept = leaves(process, range(12))
    kept[process.id].set(3, leaf_hash(b"another line"))
    assert places(judged(process, range(5, 12), kept)) == ["gap 0-4"]


def test_leaves_of_another_chain_prove_nothing() -> None:
    process, other = log(), log(3)
    assert places(judged(process, range(5, 12), {process.id: leaves(other, range(12))[other.id]})) == ["gap 0-4"]


def test_a_line_that_was_changed_is_found_beside() -> None:
    process = log()
    report = judged(process, range(5, 12), leaves(process, range(12)), changed=8)
    assert ("altered at 8" in places(report), "gap 0-4" in places(report), report.intact) == (True, True, False)
    # What was witnessed before is proven all the same.
    report = judged(process, range(5, 12), leaves(process, range(12)), 6, 12, changed=8)
    assert [one.place for one in report.findings if one.code == "removed" or one.bad] == ["removed 0-4", "altered at 8"]


def test_what_no_witness_saw_is_not_proven() -> None:
    process = log()
    report = judged(process, [*range(3, 9), 11], leaves(process, range(12)), 7)
    assert [one.place for one in report.findings if one.code == "removed" or one.bad] == ["removed 0-2", "gap 9-10"]


def test_what_another_chain_alone_says_proves_nothing_of_a_chain_that_a_witness_saw() -> None:
    process, other = log(), ProcessLog(3)
    other.add(kind="ledger", note=process.signed(process.lines, private_key(9)))
    here = b"".join([*process.lines[:8], *process.lines[9:], *other.lines])
    _, reports = audited([here], [process.checkpoint(7), other.checkpoint()], kept=leaves(process, range(12)))
    assert [[one.place for one in report.findings if one.bad] for report in reports] == [["gap at 8"], []]


@pytest.mark.parametrize(("witness", "found"), [(WITNESS, "removed at 3"), (private_key(9), "gap at 3")])
def test_of_the_ledger_what_is_cosigned_and_a_decision_point_holds_is_the_proof(
    witness: Ed25519PrivateKey, found: str
) -> None:
    ledger, point = ProcessLog(4, component="operator").records(5).close(), ProcessLog(3)
    point.add(kind="ledger", note=ledger.checkpoint(by=witness))
    here = b"".join([*ledger.lines[:3], *ledger.lines[4:], *point.lines])
    _, reports = audited([here], [point.checkpoint()], kept=leaves(ledger, range(7)))
    (report,) = (one for one in reports if one.chain == ledger.id)
    assert (places(report)[0], report.intact) == (found, witness is WITNESS)


def test_the_line_behind_what_was_removed_must_name_the_last_of_it() -> None:
    process, other = log(), ProcessLog(2).records(2)
    other.add(evaluation_id="another story")
    other.records(8)
    kept = leaves(process, range(5))
    _, (report,) = audited([b"".join(other.lines[5:])], [process.checkpoint(5)], kept=kept)
    assert [one.place for one in report.findings if one.bad] == ["altered at 4"]


def test_a_chain_of_which_another_one_names_a_later_line_is_not_gone_as_a_whole() -> None:
    process = log()
    other = ProcessLog(3, previous={"id": process.id, "seq": 11, "head": next_prev(process)})
    notes = [process.checkpoint(10), other.checkpoint()]
    _, reports = audited([b"".join(other.lines)], notes, kept=leaves(process, range(12)))
    assert [[one.place for one in report.findings if one.bad] for report in reports] == [["truncated 10-11"], []]


def next_prev(process: ProcessLog) -> str:
    """Return the hash of the last line, as the next one would name it."""
    head = process.writer.head
    assert head is not None
    return urlsafe_b64encode(head).rstrip(b"=").decode()


def test_leaves_of_lines_that_are_here_say_nothing() -> None:
    process = log()
    kept = leaves(process, range(5))
    kept[process.id].set(8, leaf_hash(b"another line"))
    assert places(judged(process, range(5, 12), kept)) == ["removed 0-4"]


def test_as_many_witnesses_as_are_asked_for_must_have_seen_what_was_removed() -> None:
    process, outside, name = log(), private_key(8), "example.org/witness"
    key = verifier_key(name, SignatureType.COSIGNATURE, outside)
    seen = cosign_note(process.signed(process.lines[:6]), name, outside, BEGAN + 90)
    here = b"".join(process.lines[:3] + process.lines[4:8] + process.lines[9:])
    for quorum, bad in ((1, []), (2, ["gap at 8"])):
        notes, keys = [process.checkpoint(), seen], (WITNESS_KEY, key)
        _, (report,) = audited([here], notes, keys, quorum=quorum, kept=leaves(process, range(12)))
        assert [one.place for one in report.findings if one.bad] == bad


@given(lost=st.sets(st.integers(0, 11)), kept=st.sets(st.integers(0, 11)), wrong=st.none() | st.integers(0, 11))
def test_a_chain_is_intact_exactly_if_every_line_that_is_gone_has_its_own_leaf(
    lost: set[int], kept: set[int], wrong: int | None
) -> None:
    process = log()
    table = leaves(process, kept)
    if wrong is not None:
        table[process.id].set(wrong, leaf_hash(b"another line"))
    report = judged(process, [seq for seq in range(12) if seq not in lost], table)
    assert report.intact == (lost <= kept - {wrong})
    assert report.removed == (len(lost) if report.intact else 0)


@given(st.dictionaries(st.integers(0, 3), st.sets(st.integers(0, 2_000), min_size=1, max_size=9), max_size=3))
def test_what_is_written_of_leaves_is_read_again(chains: dict[int, set[int]]) -> None:
    tables = {}
    for number, seqs in chains.items():
        table = tables[ProcessLog(number + 2).id] = LeafTable()
        for seq in seqs:
            table.set(seq, leaf_hash(b"%d" % seq))
    text, found = list(leaf_lines(tables)), dict[str, LeafTable]()
    add_leaf_lines([*text, *text], found, LeafPages())
    assert list(leaf_lines(found)) == text
    assert len(text) == sum(map(len, chains.values()))


@pytest.mark.parametrize("line", ["", "a 1 b", "{c} 1", "{c} 01 {h}", "{c} 1 {h} ", "{c} -1 {h}", "{c} 1 {h}x", "\n"])
def test_what_is_no_leaf_is_refused_with_its_line(line: str) -> None:
    good = next(leaf_lines(leaves(log(), [0])))
    chain, _, leaf = good.split()
    with pytest.raises(KeptLeafError, match="line 2: not a leaf"):
        add_leaf_lines([good, line.format(c=chain, h=leaf)], {}, LeafPages())


def test_two_leaves_of_one_line_are_refused() -> None:
    one, other = (next(leaf_lines(leaves(log(), [number]))) for number in (0, 1))
    with pytest.raises(KeptLeafError, match="line 2: an earlier line has a different leaf for line 0 of chain"):
        add_leaf_lines([one, other.replace(" 1 ", " 0 ")], {}, LeafPages())
