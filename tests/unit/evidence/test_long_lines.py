"""A line that is too long for an entry of a log is the line of the number that has its hash, for every reader."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from itertools import pairwise, permutations
from typing import Any, Final

import pytest

from bailiwick_evidence.audit import lines as reading, longlines
from bailiwick_evidence.audit.claims import ShownCheckpoint, WitnessBook
from bailiwick_evidence.audit.findings import ChainReport
from bailiwick_evidence.audit.lines import ChainLine, parse_line
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.merkle import leaf_hash
from support.evidence.logs import WITNESS_KEY, ProcessLog, hash_members, places, written
from support.work import lines_run

LONG: Final = "4" * 70_000
FAR: Final = "5" * 300_000


def log(*more: str) -> ProcessLog:
    """Return the log of a process with a record between short ones for each of these texts."""
    made = ProcessLog().records(2)
    for text in more:
        made.add(evaluation_id="long", decision=True, resource={"id": text})
        made.records(1)
    return made.close()


def read(
    files: Sequence[bytes], notes: Sequence[str] = (), step: int = 10_000
) -> tuple[LogAudit, list[ChainLine], dict[str, ChainReport]]:
    """Return the audit of files, what its readers are given, and the reports by chain."""
    book = WitnessBook((WITNESS_KEY,))
    for note in notes:
        book.add(ShownCheckpoint(note))
    audit = LogAudit(book, keeps_grants=True)
    found: list[ChainLine] = []
    for file in files:
        for start in range(0, len(file), step):
            found += audit.feed(file[start : start + step])
        found += audit.end()
    found += audit.finish()
    return audit, found, {one.chain: one for one in audit.reports()}


def long_ones(lines: Sequence[ChainLine], chain: str) -> list[int]:
    """Return the numbers of the long records that readers were given of a chain."""
    return [
        one.link.seq for one in lines if one.link.id == chain and parse_line(one.text).get("evaluation_id") == "long"
    ]


@pytest.mark.parametrize("step", [7_777, 1 << 20])
@pytest.mark.parametrize("text", [LONG, FAR], ids=["long", "far longer"])
@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_it_is_read_once_with_its_number_wherever_it_stands(order: tuple[int, ...], text: str, step: int) -> None:
    made = log(text)
    files = [b"".join(made.lines[:4]), made.long[3], b"".join(made.lines[4:])]
    audit, lines, reports = read([files[one] for one in order], [made.checkpoint()], step)
    assert (long_ones(lines, made.id), places(reports[made.id])) == ([3], [])
    assert (audit.lines, audit.foreign, audit.unchained, audit.unread_apart) == (len(made.lines) + 1, 0, 0, 0)


def test_the_last_line_of_a_file_may_lack_its_newline() -> None:
    for text in (LONG, FAR):
        made = log(text)
        files = [b"".join([*made.lines[:4], made.long[3][:-1]]), b"".join(made.lines[4:])]
        _, lines, reports = read(files, [made.checkpoint()])
        assert (long_ones(lines, made.id), places(reports[made.id])) == ([3], [])


CUTS: Final[dict[str, list[float]]] = {
    "at its beginning": [0.0],
    "behind its first bytes": [0.000_1],
    "in the middle": [0.5],
    "before its last brace": [0.999_99],
    "in three": [0.3, 0.6],
    "in many": [one / 16 for one in range(1, 16)],
}


def cut(made: ProcessLog, shares: Sequence[float]) -> list[bytes]:
    """Return the log in files, its third record cut at these shares of its length."""
    before, line, after = b"".join(made.lines[:4]), made.long[3], b"".join(made.lines[4:])
    ends = [0, *(int(share * (len(line) - 1)) for share in shares), len(line)]
    pieces = [line[begin:end] for begin, end in pairwise(ends)]
    return [before + pieces[0], *pieces[1:-1], pieces[-1] + after]


@pytest.mark.parametrize("step", [7_777, 1 << 20])
@pytest.mark.parametrize("text", [LONG, "6" * 131_000, FAR], ids=["long", "longer", "far longer"])
@pytest.mark.parametrize("name", CUTS)
def test_it_is_read_where_it_was_cut_between_files(name: str, text: str, step: int) -> None:
    """A runtime of containers writes a long line in parts, and may begin another file between two of them."""
    made = log(text)
    audit, lines, reports = read(cut(made, CUTS[name]), [made.checkpoint()], step)
    assert (long_ones(lines, made.id), places(reports[made.id])) == ([3], [])
    assert (audit.foreign, audit.torn, audit.unread_apart) == (0, 0, 0)


def test_the_pieces_of_several_may_stand_in_files_in_any_order() -> None:
    made = [ProcessLog(number).records(2) for number in (2, 3)]
    files = []
    for number, one in enumerate(made):
        one.add(evaluation_id="long", decision=True, resource={"id": f"{number}" * 200_000})
        files += cut(one.close(), [0.4 + number / 10])
    for order in permutations(files):
        _, lines, reports = read(order, [one.checkpoint() for one in made])
        for one in made:
            assert (long_ones(lines, one.id), places(reports[one.id])) == ([3], [])


def test_other_files_with_pieces_take_neither_it_nor_a_short_line_that_was_cut() -> None:
    """Whoever adds files can add pieces of any length. They are tried in vain, and not without end."""
    made = log(FAR)
    files = cut(made, [0.5])
    short = made.lines[1]
    whole, rest = files[0], files[1]
    at = whole.index(short) + len(short) // 2
    true = [whole[:at], whole[at:], rest]
    strange = [b"x" * 150_000 + b"\n" + b'{"kind":"x"}\n' + b'{"time":"' + b"y" * 150_000 for _ in range(20)]
    audit, lines, reports = read([*strange, *true, *strange], [made.checkpoint()])
    assert (long_ones(lines, made.id), places(reports[made.id])) == ([3], [])
    assert audit.foreign > 0


def test_pieces_that_no_chain_has_the_hash_of_are_no_line() -> None:
    made = log(FAR)
    files = [b"".join(made.lines[:3]), *cut(made, [0.5])]
    forged = [files[1].replace(b"5" * 1_000, b"7" * 1_000, 1), files[2]]
    audit, lines, reports = read(forged, [made.checkpoint()])
    assert (long_ones(lines, made.id), places(reports[made.id])) == ([], ["altered at 3"])
    assert audit.unread_apart >= 1


def test_more_pieces_than_there_is_room_for_leave_a_line_altered_and_take_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "_MOST_LONG", 200_000)
    made = log(FAR)
    _, lines, reports = read(cut(made, [0.5]), [made.checkpoint()])
    assert (long_ones(lines, made.id), places(reports[made.id])) == ([], ["altered at 3"])


def test_copies_are_read_once() -> None:
    made = log(LONG, FAR)
    text = b"".join(made.stream)
    audit, lines, reports = read([text, text], [made.checkpoint()])
    assert (long_ones(lines, made.id), places(reports[made.id]), audit.foreign) == ([3, 5], [], 0)


def test_two_numbers_may_have_the_same_line() -> None:
    made = ProcessLog()
    for _ in range(2):
        made.at(5).add(evaluation_id="long", decision=True, resource={"id": LONG})
    made.close()
    _, lines, reports = read([b"".join(made.stream)], [made.checkpoint()])
    assert (long_ones(lines, made.id), places(reports[made.id])) == ([1, 2], [])


def test_what_a_chain_has_only_the_hash_of_is_altered_if_the_line_is_not_here_or_no_line_of_a_process() -> None:
    made = log(LONG)
    for instead in (b"", b"[" * 70_000 + b"\n", made.long[3][:-2] + b",}\n", made.long[3].replace(b"4", b"5", 1)):
        audit, lines, reports = read([b"".join([*made.lines[:4], instead, *made.lines[4:]])], [made.checkpoint()])
        assert (long_ones(lines, made.id), places(reports[made.id])) == ([], ["altered at 3"])
        assert audit.unread_apart >= 1


@pytest.mark.parametrize("signed", [False, True], ids=["before it was signed", "though it was signed"])
def test_a_process_may_be_killed_while_it_writes_the_line(*, signed: bool) -> None:
    made = ProcessLog().records(2)
    note = made.checkpoint()
    made.add(evaluation_id="long", decision=True, resource={"id": LONG})
    head = urlsafe_b64encode(leaf_hash(made.lines[3][:-1])).rstrip(b"=").decode()
    after = ProcessLog(3, previous={"id": made.id, "seq": 3, "head": head}).records(1).close()
    begun = b"".join(made.stream)[:-30_000]
    # What follows in the file names the last whole line of the chain.
    files = [begun + b"".join(after.lines)]
    _, _, reports = read(files, [made.checkpoint() if signed else note, after.checkpoint()])
    assert reports[made.id].bad is signed
    assert ("altered at 3" in places(reports[made.id])) is signed
    assert places(reports[after.id]) == []


def test_a_short_line_has_no_place_by_its_hash() -> None:
    made, short = ProcessLog(), written({"kind": "evaluation", "evaluation_id": "long", "decision": True})
    made.add(kind="hash", **hash_members(short))
    made.close()
    _, lines, reports = read([b"".join([*made.lines[:2], short, *made.lines[2:]])], [made.checkpoint()])
    assert (long_ones(lines, made.id), places(reports[made.id])) == ([], ["altered at 1"])


def test_a_long_line_that_names_a_chain_is_one_that_no_process_writes() -> None:
    made, forged = ProcessLog(), b'{"log":{"id":"%s","seq":1},"kind":"evaluation","x":"%s"}\n'
    line = forged % (made.id.encode(), LONG.encode())
    made.add(kind="hash", **hash_members(line))
    made.close()
    _, _, reports = read([b"".join([*made.lines[:2], line, *made.lines[2:]])], [made.checkpoint()])
    assert reports[made.id].bad


def test_what_there_is_no_room_to_read_is_said_and_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    made = log(LONG)
    whole = [b"".join(made.stream)]
    monkeypatch.setattr(longlines, "MOST_TEXT", 200_000)
    monkeypatch.setattr(longlines, "_MOST_TEXTS", 200_000)
    others = b"".join(written({"kind": "x", "n": number, "x": FAR[:100_000]}) for number in range(3))
    turned = [made.long[3] + others, b"".join(made.lines)]
    too_long = log("6" * 200_000)
    for files, note, expected in (
        (whole, made.checkpoint(), []),
        (turned, made.checkpoint(), ["unknown at 3"]),
        ([b"".join(too_long.stream)], too_long.checkpoint(), ["unknown at 3"]),
    ):
        audit, lines, reports = read(files, [note])
        assert places(reports[made.id]) == expected
        assert reports[made.id].bad is bool(expected)
        assert (long_ones(lines, made.id), audit.unread_apart) == (([], 1) if expected else ([3], 0))


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
def test_a_stranger_who_names_the_same_hash_hides_nothing_and_accuses_nobody(*, after: bool) -> None:
    made, stranger = log(LONG), ProcessLog(9)
    for _ in range(100):
        stranger.add(kind="hash", **hash_members(made.long[3]))
    files = [b"".join(stranger.lines), b"".join(made.stream)]
    _, lines, reports = read(files[::-1] if after else files, [made.checkpoint()])
    assert (long_ones(lines, made.id), places(reports[made.id])) == ([3], [])


def test_the_ledger_says_what_its_long_lines_say() -> None:
    ledger = ProcessLog(4, component="operator")
    ledger.add(kind="grant", namespace="crm", name="agr-1", phase="Consumed", note=LONG)
    ledger.add(kind="policy", digest="sha256:0", policy="crm/p", text=FAR)
    ledger.add(kind="close", lost=7, note=LONG)
    audit, _, reports = read([b"".join(ledger.stream)], [ledger.checkpoint()])
    assert (list(audit.grants), list(audit.policies)) == (["crm/agr-1"], ["sha256:0"])
    # A line about the chain itself is never long.
    assert not reports[ledger.id].closed


@pytest.mark.parametrize("behind", [False, True], ids=["hashes first", "line first"])
def test_twice_as_many_hashes_of_one_line_are_no_more_than_twice_the_work(*, behind: bool) -> None:
    line = written({"kind": "evaluation", "evaluation_id": "long", "x": LONG})

    def work(count: int) -> int:
        made = ProcessLog(9)
        for _ in range(count):
            made.add(kind="hash", **hash_members(line))
        files = [b"".join(made.lines), line * 3]
        return lines_run(lambda: given.append(read(files[::-1] if behind else files)[1]))

    given: list[list[ChainLine]] = []
    few, many = work(100), work(200)
    assert many < 2.6 * few
    # A copy is read for a few numbers: else a short file would have one line read any number of times.
    assert max(len(long_ones(lines, ProcessLog(9).id)) for lines in given) <= 3 * 8


def test_texts_that_wait_for_their_hashes_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(longlines, "_MOST_TEXTS", 500_000)
    book = longlines.LongLines()
    for number in range(40):
        text = longlines.LongText()
        text.add(json.dumps({"n": number, "x": LONG}).encode())
        book.take(text.line())
        held: dict[str, Any] = book._texts
        assert sum(map(len, held.values())) <= 500_000
    assert book.outside == 40
