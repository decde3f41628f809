"""The audit names what was done to a log, exactly, and calls nothing changed that an honest process leaves behind."""

import base64
import hashlib
from collections.abc import Callable
from typing import Final

import pytest

from bailiwick_evidence.audit import doubtfullines
from bailiwick_evidence.audit.chaintable import BRIEF_LINES
from bailiwick_evidence.audit.claims import ShownCheckpoint, WitnessBook
from bailiwick_evidence.audit.findings import ChainReport, FindingCode
from bailiwick_evidence.audit.logaudit import LogAudit, known_upto
from bailiwick_evidence.merkle import leaf_hash
from bailiwick_evidence.note import SignatureType, cosign_note, verifier_key
from support.evidence.logs import (
    BEGAN,
    WITNESS,
    WITNESS_KEY,
    WITNESS_NAME,
    ProcessLog,
    audited,
    hash_members,
    places,
    private_key,
    rewritten,
    written,
)

LINES = 12


def log() -> ProcessLog:
    """Return an opening line, ten records and a closing line."""
    return ProcessLog().records(LINES - 2).close()


def only(lines: list[bytes], *checkpoints: str) -> list[str]:
    """Return what is found in one file with these lines."""
    _, (report,) = audited([b"".join(lines)], checkpoints or [log().checkpoint()])
    return places(report)


def edited(line: bytes) -> bytes:
    """Return a line with another verdict."""
    changed = line.replace(b'"decision":true', b'"decision":false')
    assert changed != line
    return changed


class TestWhatIsHonest:
    def test_a_log_that_is_whole_is_intact(self) -> None:
        audit, (report,) = audited([b"".join(log().lines)], [log().checkpoint()])
        assert (report.findings, report.intact, report.whole, report.bad) == ((), True, True, False)
        assert (report.lines, report.witnessed, report.upto) == (LINES, LINES, BEGAN + LINES)
        assert (report.pod, audit.torn, audit.foreign, report.repeated) == ("pod-2", 0, 0, 0)

    @pytest.mark.parametrize("cut", [1, 50, 700, 1_000])
    @pytest.mark.parametrize("step", [1, 7, 10_000])
    def test_files_may_be_cut_anywhere_and_come_in_any_order(self, cut: int, step: int) -> None:
        text = b"".join(log().lines)
        for order in ((0, 1), (1, 0)):
            pieces = [text[:cut], text[cut:]]
            audit, (report,) = audited([pieces[index] for index in order], [log().checkpoint()], step=step)
            assert (places(report), audit.torn, audit.foreign) == ([], 0, 0)

    def test_a_file_may_be_cut_into_pieces_that_are_shorter_than_a_line(self) -> None:
        text = b"".join(log().lines)
        audit, (report,) = audited([text[at : at + 40] for at in range(0, len(text), 40)], [log().checkpoint()])
        assert (places(report), audit.torn, audit.foreign) == ([], 0, 0)

    def test_the_last_line_may_lack_its_newline(self) -> None:
        _, (report,) = audited([b"".join(log().lines)[:-1]], [log().checkpoint()])
        assert places(report) == []

    def test_lines_may_come_in_any_order(self) -> None:
        lines = log().lines
        lines.sort(key=leaf_hash)
        assert only(lines) == []

    def test_a_line_that_comes_again_is_counted_and_no_fork(self) -> None:
        lines = log().lines
        _, (report,) = audited([b"".join([*lines, *lines[3:7]])], [log().checkpoint()])
        assert (places(report), report.repeated) == ([], 4)

    @pytest.mark.parametrize("length", [1, 13, 14, 15, 30, *range(40, 240, 9)])
    def test_a_torn_line_before_it_was_written_whole_is_counted_and_no_fork(self, length: int) -> None:
        lines = log().lines
        torn = lines[5][:length]
        audit, (report,) = audited([b"".join([*lines[:5], torn, b"\n", *lines[5:]])], [log().checkpoint()])
        assert (places(report), audit.torn) == ([], 1)

    def test_a_torn_line_that_looks_whole_is_no_fork(self) -> None:
        # Cut behind a brace that stands in a text, so that as many are closed as opened.
        process = ProcessLog().records(2)
        process.add(resource={"id": "}}"}, more=1)
        process.add(last=True)
        lines = process.lines
        torn = lines[3][: lines[3].index(b"}}") + 2]
        for given in ([*lines[:3], torn + b"\n", *lines[3:]], [*lines, torn + b"\n"]):
            audit, (report,) = audited([b"".join(given)], [process.checkpoint()])
            assert (places(report), audit.torn) == (["unclosed"], 1)

    def test_the_last_lines_of_two_logs_may_both_be_cut(self) -> None:
        one, other = ProcessLog(2).records(3), ProcessLog(3).records(3)
        texts = [b"".join(process.lines) for process in (one, other)]
        cut = [part for text in texts for part in (text[:-40], text[-40:])]
        audit, reports = audited(cut, [one.checkpoint(), other.checkpoint()])
        assert [places(report) for report in reports] == [["unclosed"], ["unclosed"]]
        assert (audit.lines, audit.torn) == (8, 0)

    def test_what_a_killed_process_began_stands_before_another_ones_line(self) -> None:
        one, other = ProcessLog(2).records(3), ProcessLog(3).records(3).close()
        text = b"".join([*one.lines, b'{"log":{"id":"', *other.lines])
        audit, reports = audited([text], [one.checkpoint(), other.checkpoint()])
        assert ([places(report) for report in reports], audit.torn) == ([["unclosed"], []], 1)

    def test_lines_of_several_chains_may_share_a_stream_with_others(self) -> None:
        one, other = ProcessLog(2).records(5).close(), ProcessLog(3).records(5).close()
        mixed = [line for pair in zip(one.lines, other.lines, strict=True) for line in pair]
        between = [*mixed[:4], b"plain text\n", b'{"kind":"evaluation"}\n', b"\xff\x00\n", b"\n", *mixed[4:]]
        audit, reports = audited([b"".join(between)], [one.checkpoint(), other.checkpoint()])
        assert ([places(report) for report in reports], audit.foreign) == ([[], []], 3)

    def test_a_long_line_stands_behind_the_one_that_has_its_hash(self) -> None:
        long = written({"kind": "evaluation", "more": "x" * 300_000})
        for step in (999, 1_000_000):
            process = ProcessLog()
            process.add(kind="hash", **hash_members(long))
            lines = [*process.lines, long]
            process.records(1).close()
            text, notes = b"".join([*lines, *process.lines[2:]]), [process.checkpoint()]
            assert places(audited([text], notes, step=step)[1][0]) == []
            assert places(audited([text.replace(b"xxx", b"xxy")], notes, step=step)[1][0]) == ["altered at 1"]
            assert places(audited([text.replace(long, b"")], notes, step=step)[1][0]) == ["altered at 1"]

    def test_the_process_that_was_killed_is_unclosed_and_no_finding(self) -> None:
        process = ProcessLog().records(3)
        _, (report,) = audited([b"".join(process.lines)], [process.checkpoint()])
        assert (places(report), report.bad, report.intact, report.whole) == (["unclosed"], False, True, False)

    def test_lines_after_the_last_cosignature_are_a_tail(self) -> None:
        assert only(log().lines, log().checkpoint(9)) == ["tail 9-11"]

    def test_a_checkpoint_that_is_late_is_told(self) -> None:
        process = ProcessLog().records(300)
        _, (report,) = audited([b"".join(process.lines)], [process.checkpoint(150)])
        assert (places(report), report.bad) == (["tail 150-300", "unclosed", "stale"], False)
        assert report.findings[2].said == "no checkpoint since 2023-11-14T22:15:50Z"

    @pytest.mark.parametrize("later", [120, 121, 86_400])
    @pytest.mark.parametrize("by", ["line", "cosignature"])
    def test_of_an_idle_process_a_checkpoint_that_is_late_is_told_by_what_others_wrote_or_cosigned(
        self, later: int, by: str
    ) -> None:
        idle = ProcessLog(2).records(3)
        seen, line = BEGAN + 4, by == "line"
        other = ProcessLog(3, seconds=4 + later - 2 if line else 0).records(1).close()
        notes = [idle.checkpoint(now=seen), other.checkpoint(now=seen if line else seen + later)]
        _, reports = audited([b"".join([*idle.lines, *other.lines])], notes)
        found = {report.chain: report for report in reports}
        assert places(found[idle.id]) == (["unclosed"] if later == 120 else ["unclosed", "stale"])
        assert (found[idle.id].bad, places(found[other.id])) == (False, [])

    def test_of_a_process_that_was_followed_by_another_in_its_file_no_checkpoint_is_late(self) -> None:
        killed = ProcessLog(2).records(3)
        link = {"id": killed.id, "seq": 3, "head": _spelled(killed)}
        other = ProcessLog(3, seconds=86_400, previous=link).records(1).close()
        notes = [killed.checkpoint(), other.checkpoint(now=BEGAN + 86_410)]
        _, reports = audited([b"".join([*killed.lines, *other.lines])], notes)
        assert [places(report) for report in reports] == [["unclosed"], []]

    def test_records_that_were_lost_are_told(self) -> None:
        process = ProcessLog().records(3).close(lost=2)
        assert only(process.lines, process.checkpoint()) == ["lost"]

    def test_a_chain_that_was_over_before_a_witness_asked_is_no_finding_and_not_intact(self) -> None:
        process = ProcessLog().records(3).close()
        _, (report,) = audited([b"".join(process.lines)], [])
        assert (places(report), report.bad, report.intact) == (["brief"], False, False)
        _, (report,) = audited([b"".join(process.lines)], [], keys=())
        assert (places(report), report.bad) == (["unknown"], True)

    @pytest.mark.parametrize("back", [-86_400, -3, -0.5])
    def test_a_clock_that_was_set_back_makes_no_chain_unknown_that_was_over_soon(self, back: float) -> None:
        process = ProcessLog().records(3).at(back).records(2).close()
        _, (report,) = audited([b"".join(process.lines)], [])
        assert places(report) == ["brief"]

    @pytest.mark.parametrize("back", [0.0, 3.0, -86_400.0])
    @pytest.mark.parametrize("order", [1, -1])
    def test_a_clock_that_was_set_back_makes_no_chain_brief_that_went_on_for_longer(
        self, back: float, order: int
    ) -> None:
        process = ProcessLog().records(10).at(back).records(2).close()
        _, (report,) = audited([b"".join(process.lines[::order])], [])
        assert (places(report), report.bad) == (["unknown"], True)

    @pytest.mark.parametrize(("count", "found"), [(BRIEF_LINES, "brief"), (BRIEF_LINES + 1, "unknown")])
    def test_a_chain_of_many_lines_is_not_brief_whatever_its_times_say(self, count: int, found: str) -> None:
        process = ProcessLog()
        for _ in range(count - 2):
            process.at(1).records(1)
        process.close()
        _, (report,) = audited([b"".join(process.lines)], [])
        assert (report.lines, places(report)) == (count, [found])

    def test_a_chain_that_was_told_of_the_operators_log_is_not_brief(self) -> None:
        # By whoever asked it for a checkpoint, which is not here.
        process, ledger = ProcessLog(), ProcessLog(4, component="operator").records(2)
        process.add(kind="ledger", note=ledger.signed(ledger.lines))
        process.close()
        _, (report,) = audited([b"".join(process.lines)], [])
        assert (places(report), report.bad) == (["unknown"], True)

    @pytest.mark.parametrize("which", [0, -1])
    def test_a_chain_whose_first_or_last_line_has_no_time_is_not_brief(self, which: int) -> None:
        process = ProcessLog().records(2).close()
        process.lines[which] = process.lines[which].replace(b'"time"', b'"when"')
        _, (report,) = audited([b"".join(rewritten(process.lines))], [])
        assert places(report) == ["unknown"]


CHANGES: list[tuple[str, Callable[[list[bytes]], list[bytes]], list[str]]] = [
    ("tail cut", lambda lines: lines[:9], ["truncated 9-11", "unclosed"]),
    ("last line cut", lambda lines: lines[:11], ["truncated at 11", "unclosed"]),
    ("one line cut", lambda lines: [*lines[:4], *lines[5:]], ["gap at 4"]),
    ("lines cut", lambda lines: [*lines[:4], *lines[7:9], *lines[10:]], ["gap 4-6", "gap at 9"]),
    ("head cut", lambda lines: lines[3:], ["gap 0-2"]),
    ("opening line cut", lambda lines: lines[1:], ["gap at 0"]),
    ("line edited", lambda lines: [*lines[:4], edited(lines[4]), *lines[5:]], ["altered at 4"]),
    (
        "two lines edited",
        lambda lines: [*lines[:4], edited(lines[4]), edited(lines[5]), *lines[6:]],
        ["altered at 4", "altered at 5"],
    ),
    (
        "last line edited",
        lambda lines: [*lines[:11], lines[11].replace(b"stopped", b"killed ")],
        ["altered 0-11"],
    ),
    (
        "opening line edited",
        lambda lines: [lines[0].replace(b"pod-2", b"pod-9"), *lines[1:]],
        ["altered at 0"],
    ),
    (
        "name of the line before edited",
        lambda lines: [*lines[:4], lines[4].replace(b'"prev":"', b'"prev":"AAAA')[:-5] + lines[4][-5:], *lines[5:]],
        ["gap at 4", "altered"],
    ),
    ("all made anew", lambda lines: rewritten([*lines[:4], edited(lines[4]), *lines[5:]]), ["altered 0-11"]),
    (
        "a line left out and all made anew",
        lambda lines: rewritten([*lines[:4], *lines[5:]]),
        ["truncated at 11"],
    ),
    ("a line changed in a copy", lambda lines: [*lines, edited(lines[4])], ["forked at 4"]),
    ("a line changed in a copy that comes first", lambda lines: [edited(lines[4]), *lines], ["forked at 4"]),
    (
        "a copy with another story from a line on",
        lambda lines: [*lines, *rewritten([*lines[:4], edited(lines[4]), *lines[5:]])],
        ["forked 4-11"],
    ),
    (
        "another story that comes first",
        lambda lines: [*rewritten([*lines[:4], edited(lines[4]), *lines[5:]]), *lines],
        ["forked 4-11"],
    ),
    (
        "a number changed to a later one",
        lambda lines: [*lines[:4], lines[4].replace(b'"seq":4', b'"seq":40'), *lines[5:]],
        ["altered at 4"],
    ),
    (
        "a number changed to one beyond all memory",
        lambda lines: [*lines[:4], lines[4].replace(b'"seq":4', b'"seq":9000000000000000'), *lines[5:]],
        ["altered at 4"],
    ),
    (
        "a number changed to that of the next line",
        lambda lines: [*lines[:4], lines[4].replace(b'"seq":4', b'"seq":5'), *lines[5:]],
        ["altered at 4"],
    ),
    (
        "a number changed to that of an earlier line",
        lambda lines: [*lines[:4], lines[4].replace(b'"seq":4', b'"seq":2'), *lines[5:]],
        ["altered at 4"],
    ),
    (
        "two lines' contents exchanged",
        lambda lines: [*lines[:4], exchanged(lines[4], lines[5]), exchanged(lines[5], lines[4]), *lines[6:]],
        ["altered at 4", "altered at 5"],
    ),
    ("the name cut off", lambda lines: [*lines[:4], unnamed(lines[4]), *lines[5:]], ["altered at 4"]),
    ("the name changed", lambda lines: [*lines[:4], misnamed(lines[4]), *lines[5:]], ["altered at 4"]),
    ("spoilt beyond reading", lambda lines: [*lines[:4], lines[4][:-2] + b"\n", *lines[5:]], ["gap at 4"]),
]


def beside_others(lines: list[bytes], count: int) -> list[bytes]:
    """Return files with the last lines cut in two, each beside another end that makes a line with its beginning."""
    files = [b"".join(lines[:-count])]
    for line in lines[-count:]:
        at = line.index(b'"kind"')
        files += [line[:at], line[at:], b'"forged":1}\n']
    return files


class TestLinesOfWhosePiecesOtherLinesCanBeMade:
    @pytest.mark.parametrize("count", [1, 2, LINES - 1, LINES])
    def test_a_reader_gets_each_that_a_witness_saw(self, count: int) -> None:
        for files in (found := beside_others(log().lines, count), found[::-1]):
            audit = LogAudit(WitnessBook((WITNESS_KEY,)))
            audit.book.add(ShownCheckpoint(log().checkpoint()))
            read = [line.text for file in files for step in (audit.feed(file), audit.end()) for line in step]
            read += [line.text for line in audit.finish()]
            (report,) = audit.reports()
            assert (places(report), report.whole, audit.torn) == ([], True, 0)
            assert sorted(read) == sorted(line[:-1] for line in log().lines)

    def test_one_that_no_witness_saw_is_none_that_is_read(self) -> None:
        audit, (report,) = audited(beside_others(log().lines, 2), [log().checkpoint(LINES - 1)])
        assert (places(report)[0], audit.lines, audit.torn) == (f"tail at {LINES - 1}", LINES - 1, 1)

    def test_a_log_is_not_intact_where_too_many_would_have_to_be_tried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doubtfullines, "_TRIED", 1)
        audit, (report,) = audited(beside_others(log().lines, 2), [log().checkpoint()])
        assert (report.intact, audit.lines, audit.torn) == (False, LINES - 2, 2)
        assert places(report) == [f"truncated {LINES - 2}-{LINES - 1}"]


def exchanged(place: bytes, content: bytes) -> bytes:
    """Return the content of one line in the place of another."""
    return place.partition(b"},")[0] + b"}," + content.partition(b"},")[2]


def unnamed(line: bytes) -> bytes:
    """Return a line that names none before it."""
    head, _, rest = line.partition(b'"prev":"')
    return head + b'"prev":null' + rest[44:]


def misnamed(line: bytes) -> bytes:
    """Return a line that names another one before it."""
    head, found, rest = line.partition(b'"prev":"')
    return head + found + b"A" * 43 + rest[43:]


class TestWhatWasDone:
    @pytest.mark.parametrize(("change", "found"), [pytest.param(*rest, id=name) for name, *rest in CHANGES])
    def test_is_named_exactly(self, change: Callable[[list[bytes]], list[bytes]], found: list[str]) -> None:
        assert only(change(log().lines)) == found

    def test_is_named_more_closely_with_more_checkpoints(self) -> None:
        lines = log().lines
        anew = rewritten([*lines[:6], edited(lines[6]), *lines[7:]])
        notes = [log().checkpoint(size) for size in (2, 5, 8, 12)]
        assert only(anew, *notes) == ["altered 5-7"]
        assert only([*lines[:11], lines[11].replace(b"stopped", b"killed ")], *notes, log().checkpoint(11)) == [
            "altered at 11"
        ]

    def test_a_chain_that_is_gone_is_missing_with_pod_times_and_size(self) -> None:
        one, other = ProcessLog(2).records(20).close(), ProcessLog(3).records(5).close()
        notes = [one.checkpoint(4), one.checkpoint(), other.checkpoint()]
        _, (gone, rest) = audited([b"".join(other.lines)], notes)
        assert (gone.chain, places(gone), gone.lines, gone.witnessed) == (one.id, ["missing"], 0, 22)
        assert "from 2023-11-14T22:13:24Z to 2023-11-14T22:13:42Z" in gone.findings[0].said
        assert places(rest) == []

    def test_a_chain_that_no_witness_saw_is_unknown(self) -> None:
        process = ProcessLog().records(30).close()
        _, (report,) = audited([b"".join(process.lines)])
        assert (places(report), report.bad) == (["unknown"], True)

    def test_a_chain_that_the_next_process_saw_longer_was_cut(self) -> None:
        one = ProcessLog(2).records(5)
        link = {"id": one.id, "seq": 5, "head": _spelled(one)}
        other = ProcessLog(3, previous=link).records(2).close()
        notes = [one.checkpoint(3), other.checkpoint()]
        _, reports = audited([b"".join([*one.lines, *other.lines])], notes)
        assert [places(report) for report in reports] == [["unclosed"], []]
        _, reports = audited([b"".join([*one.lines[:4], *other.lines])], notes)
        assert [places(report) for report in reports] == [["truncated 4-5", "unclosed"], []]
        _, reports = audited([b"".join([*one.lines[:5], edited(one.lines[5]), *other.lines])], notes)
        assert [places(report) for report in reports] == [["altered at 5", "unclosed"], []]

    def test_a_restart_from_a_cut_log_closes_no_gap(self) -> None:
        # The next process names the last line that it found; the witness saw more.
        one = ProcessLog(2).records(9)
        note = one.checkpoint()
        shorter = ProcessLog(2).records(5)
        link = {"id": one.id, "seq": 5, "head": _spelled(shorter)}
        other = ProcessLog(3, previous=link).records(2).close()
        _, reports = audited([b"".join([*shorter.lines, *other.lines])], [note, other.checkpoint()])
        assert [places(report) for report in reports] == [["truncated 6-9", "unclosed"], []]

    def test_a_ledger_that_a_process_saw_longer_was_cut(self) -> None:
        ledger = ProcessLog(4, component="operator").records(20)
        process = ProcessLog(3)
        process.add(kind="ledger", note=ledger.checkpoint())
        process.add(kind="ledger", note=ledger.signed(ledger.lines, private_key(9)).replace("\n21\n", "\n29\n"))
        process.close()
        files = [b"".join(process.lines), b"".join(ledger.lines[:15])]
        _, reports = audited(files, [process.checkpoint()])
        assert [places(report) for report in reports] == [["truncated 15-20", "unclosed"], []]

    def test_a_note_that_is_not_signed_hides_no_cut_of_the_ledger(self) -> None:
        ledger = ProcessLog(4, component="operator").records(20)
        for signed in (ledger.checkpoint(), ledger.signed(ledger.lines)):
            process = ProcessLog(3)
            process.add(kind="ledger", note=ledger.checkpoint(9))
            process.add(kind="ledger", note=signed)
            # The same size and root once more, with a signature that is none.
            process.add(kind="ledger", note=ledger.signed(ledger.lines, private_key(9)))
            process.close()
            files = [b"".join(process.lines), b"".join(ledger.lines[:15])]
            _, reports = audited(files, [process.checkpoint()])
            assert [places(report)[0] for report in reports if report.findings] == ["truncated 15-20"]

    @pytest.mark.parametrize("more", [0, 3])
    def test_what_a_process_signs_itself_hides_nothing_that_a_witness_saw(self, more: int) -> None:
        # The process was taken over later: it signs another story, and another chain holds that checkpoint.
        process, other = ProcessLog(2).records(5), ProcessLog(3)
        note = process.checkpoint()
        anew = rewritten([*process.lines[:3], edited(process.lines[3]), *process.lines[4:]])
        anew = rewritten([*anew, *process.records(more).lines[6:]])
        other.add(kind="ledger", note=process.signed(anew))
        _, reports = audited([b"".join([*anew, *other.lines])], [note, other.checkpoint()])
        found = {report.chain: [one.place for one in report.findings if one.bad] for report in reports}
        assert found == {process.id: ["altered 0-5"], other.id: []}

    def test_a_ledger_that_is_not_here_is_missing_where_a_process_holds_a_checkpoint_of_it(self) -> None:
        ledger, process = ProcessLog(4, component="operator").records(20), ProcessLog(3)
        process.add(kind="ledger", note=ledger.checkpoint())
        process.close()
        _, reports = audited([b"".join(process.lines)], [process.checkpoint()])
        assert [places(report) for report in reports] == [["missing"], []]

    def test_a_forged_log_is_not_intact_since_another_names_it(self) -> None:
        forged = ProcessLog(66).records(20).close()
        link = {"id": forged.id, "seq": 21, "head": _spelled(forged)}
        for naming in (ProcessLog(67, previous=link), ProcessLog(67, previous=link).records(2).close()):
            files = [b"".join(log.lines) for log in (forged, naming)]
            _, reports = audited(files, [])
            found = {report.chain: places(report)[0] for report in reports}
            assert found == {forged.id: "unknown", naming.id: "brief"}
            # Whoever has the file may write it there before an honest process names what it found.
            _, reports = audited(files, [naming.checkpoint()])
            assert {report.chain: report.bad for report in reports} == {forged.id: True, naming.id: False}

    @pytest.mark.parametrize("seen", [1, 3], ids=["in the tail", "witnessed"])
    def test_a_forged_ledger_is_not_intact_since_a_line_tells_of_it(self, seen: int) -> None:
        forged, process = ProcessLog(66, component="operator").records(20), ProcessLog(3)
        process.add(kind="ledger", note=forged.signed(forged.lines))
        process.close()
        _, reports = audited([b"".join(one.lines) for one in (forged, process)], [process.checkpoint(seen)])
        found = {report.chain: report for report in reports}
        assert (found[forged.id].bad, found[process.id].bad) == (True, False)
        assert found[forged.id].findings[0].said == "no witness that you trust cosigned this log of the operator"


class TestCheckpoints:
    def test_that_no_trusted_witness_cosigned_are_not_believed(self) -> None:
        process = log()
        for note in (process.signed(process.lines), process.checkpoint(by=private_key(7))):
            audit, (report,) = audited([b"".join(process.lines)], [note])
            assert (places(report), audit.book.refused) == (["unknown"], 1)

    def test_that_the_process_did_not_sign_are_forged(self) -> None:
        process = log()
        anew = rewritten([*process.lines[:4], edited(process.lines[4]), *process.lines[5:]])
        note = cosign_note(process.signed(anew, private_key(9)), WITNESS_NAME, WITNESS, BEGAN + 99)
        assert only(anew, note) == ["forged"]
        assert only(anew, note, process.checkpoint()) == [
            "altered 0-11",
            "contradicted",
            "forged",
        ]

    def test_that_contradict_each_other_are_told(self) -> None:
        process = log()
        anew = rewritten([*process.lines[:4], edited(process.lines[4]), *process.lines[5:]])
        other = log()
        other.lines = anew
        assert only(process.lines, process.checkpoint(), other.checkpoint()) == ["contradicted"]

    def test_of_ledger_lines_are_read_from_the_files(self) -> None:
        process, ledger = log(), ProcessLog(4, component="operator")
        ledger.add(kind="checkpoint", chain=process.id, note=process.checkpoint())
        ledger.close()
        files = [b"".join(process.lines), b"".join(ledger.lines)]
        _, reports = audited(files)
        assert {report.chain: places(report) for report in reports} == {process.id: [], ledger.id: ["brief"]}


def test_what_is_known_is_known_up_to_the_oldest_cosignature_of_what_can_go_on() -> None:
    one, other = ProcessLog(2).records(5), ProcessLog(3).records(5).close()
    files = [b"".join(one.lines), b"".join(other.lines)]
    assert known_upto(audited(files, [one.checkpoint(now=50), other.checkpoint(now=20)])[1]) == 50
    assert known_upto(audited(files, [one.checkpoint(3, now=10), other.checkpoint(now=20)])[1]) == 10
    assert known_upto(audited(files[1:], [other.checkpoint(now=20)])[1]) == 20
    assert known_upto(audited(files)[1]) is None


def test_a_code_is_bad_or_not() -> None:
    assert {code.value for code in FindingCode} >= {"truncated", "gap", "altered", "forked", "missing", "unknown"}


def _spelled(process: ProcessLog) -> str:
    head = process.writer.head
    assert head is not None
    return base64.urlsafe_b64encode(head).rstrip(b"=").decode()


class TestAKeyOfTheWitnessThatWasReplaced:
    NEXT = private_key(9)
    NEXT_KEY = verifier_key(WITNESS_NAME, SignatureType.COSIGNATURE, NEXT)

    def logs(self) -> tuple[ProcessLog, ProcessLog, list[str]]:
        """Return a log that was over by then, one that went on, and their checkpoints by both keys."""
        over, on = ProcessLog(2).records(20).close(), ProcessLog(3).records(20).close()
        return over, on, [over.checkpoint(), on.checkpoint(9), on.checkpoint(by=self.NEXT)]

    def test_changes_nothing_for_who_has_both(self) -> None:
        over, on, notes = self.logs()
        audit, reports = audited([b"".join([*over.lines, *on.lines])], notes, (WITNESS_KEY, self.NEXT_KEY))
        assert [(places(report), report.whole) for report in reports] == [([], True), ([], True)]
        assert audit.book.strangers == {}

    def test_leaves_what_was_over_by_then_untold_without_it_and_says_whose_key_is_needed(self) -> None:
        over, on, notes = self.logs()
        audit, (first, second) = audited([b"".join([*over.lines, *on.lines])], notes, (self.NEXT_KEY,))
        assert (first.chain, places(first), first.intact) == (over.id, ["unknown"], False)
        name = WITNESS_KEY.label
        assert (
            first.findings[0].said
            == f"you did not give the key of a witness that claims to have seen the chain: {name}"
        )
        # The newest checkpoint is over all of it.
        assert (second.chain, places(second), second.whole) == (on.id, [], True)
        assert (audit.book.strangers[over.id], audit.book.refused) == (name, 2)

    def test_does_not_make_a_chain_brief_that_was_cosigned_by_it(self) -> None:
        brief = ProcessLog(2).records(2).close()
        _, (report,) = audited([b"".join(brief.lines)], [brief.checkpoint()], (self.NEXT_KEY,))
        assert places(report) == ["unknown"]

    def test_is_no_stranger_where_its_cosignature_does_not_verify(self) -> None:
        process = ProcessLog(2).records(20).close()
        spoiled = process.checkpoint().replace(f"\n{len(process.lines)}\n", f"\n{len(process.lines) - 1}\n")
        audit, (report,) = audited([b"".join(process.lines)], [spoiled])
        assert (places(report), audit.book.strangers) == (["unknown"], {})
        assert report.findings[0].said == "no witness saw the chain"


def test_a_key_is_labelled_by_name_and_id_whatever_its_own_characters_are() -> None:
    keys = [verifier_key(WITNESS_NAME, SignatureType.COSIGNATURE, private_key(number)) for number in range(1, 40)]
    assert any(str(key).count("+") > 2 for key in keys)
    assert all(str(key).startswith(f"{key.label}+") and key.label.count("+") == 1 for key in keys)


class TestAQuorumOfWitnesses:
    OUTSIDE = private_key(8)
    OUTSIDE_KEY = verifier_key("example.org/witness", SignatureType.COSIGNATURE, OUTSIDE)
    KEYS = (WITNESS_KEY, OUTSIDE_KEY)

    def outside(self, process: ProcessLog, size: int, now: int) -> str:
        """Return a checkpoint as a witness outside of the cluster cosigned it."""
        return cosign_note(process.signed(process.lines[:size]), self.OUTSIDE_KEY.name, self.OUTSIDE, BEGAN + now)

    def judged(self, process: ProcessLog, *notes: str, quorum: int = 2) -> ChainReport:
        _, (report,) = audited([b"".join(process.lines)], notes, self.KEYS, quorum=quorum)
        return report

    def test_vouches_for_what_the_one_that_saw_least_has_seen(self) -> None:
        process = ProcessLog().records(20).close()
        inside, outside = process.checkpoint(), self.outside(process, 15, 40)
        report = self.judged(process, inside, outside)
        assert (places(report), report.intact, report.bad) == (["tail 15-21"], True, False)
        assert (report.witnessed, report.upto) == (15, BEGAN + len(process.lines))
        alone = self.judged(process, inside, outside, quorum=1)
        assert (places(alone), alone.witnessed, alone.upto) == ([], 22, BEGAN + 22)

    @pytest.mark.parametrize("both", [False, True], ids=["two notes", "one note"])
    def test_vouches_up_to_when_the_one_that_looked_least_lately_has_looked(self, both: bool) -> None:
        process = ProcessLog().records(20).close()
        size = len(process.lines)
        notes = [process.checkpoint(now=BEGAN + 500), self.outside(process, size, 100), self.outside(process, size, 90)]
        if both:
            notes = [cosign_note(self.outside(process, size, 100), WITNESS_NAME, WITNESS, BEGAN + 500)]
        report = self.judged(process, *notes)
        assert (places(report), report.witnessed, report.upto, report.whole) == ([], size, BEGAN + 100, True)

    def test_is_not_one_that_has_two_keys(self) -> None:
        process = ProcessLog().records(20).close()
        next_key = verifier_key(WITNESS_NAME, SignatureType.COSIGNATURE, private_key(9))
        notes = [process.checkpoint(), process.checkpoint(by=private_key(9))]
        _, (report,) = audited([b"".join(process.lines)], notes, (WITNESS_KEY, next_key), quorum=2)
        assert (places(report), report.witnessed) == (["unknown"], None)
        assert report.findings[0].said == "1 of the 2 required witnesses saw the chain"

    def test_finds_what_any_of_them_saw(self) -> None:
        process = ProcessLog().records(20).close()
        notes = [process.checkpoint(15), self.outside(process, 22, 40)]
        cut = process.lines[:18]
        for quorum in (1, 2):
            _, (report,) = audited([b"".join(cut)], notes, self.KEYS, quorum=quorum)
            assert "truncated 18-21" in places(report)

    def test_contradicts_itself_where_two_saw_two_logs_of_one_size(self) -> None:
        process = ProcessLog().records(20).close()
        other = cosign_note(process.signed([*process.lines[:-1], b"{}\n"]), "example.org/witness", self.OUTSIDE, BEGAN)
        report = self.judged(process, process.checkpoint(), other)
        assert (places(report), report.bad) == (["contradicted"], True)

    def test_is_not_the_next_process_that_names_the_one_before(self) -> None:
        one = ProcessLog(2).records(20)
        link = {"id": one.id, "seq": 20, "head": _spelled(one)}
        other = ProcessLog(3, previous=link).records(2).close()
        notes = [cosign_note(other.checkpoint(), "example.org/witness", self.OUTSIDE, BEGAN + 90)]
        for quorum in (1, 2):
            _, reports = audited([b"".join([*one.lines, *other.lines])], notes, self.KEYS, quorum=quorum)
            expected = {one.id: ["unknown", "unclosed"], other.id: []}
            assert {report.chain: places(report) for report in reports} == expected

    def test_of_the_operators_log_are_decision_points_and_of_no_other(self) -> None:
        for component, expected in (("operator", []), ("webhook", ["unknown"])):
            log = ProcessLog(4, component=component).records(20).close()
            points = [ProcessLog(number).records(20) for number in (5, 6)]
            for point in points:
                point.add(kind="ledger", note=log.checkpoint())
                point.close()
            files = [b"".join(one.lines) for one in (log, *points)]
            notes = [cosign_note(one.checkpoint(), "example.org/witness", self.OUTSIDE, BEGAN + 90) for one in points]
            _, reports = audited(files, notes, self.KEYS, quorum=2)
            found = {report.chain: places(report) for report in reports}
            assert [found[one.id] for one in (log, *points)] == [expected, [], []]

    def test_counts_a_decision_point_only_by_a_line_that_is_witnessed_itself(self) -> None:
        log = ProcessLog(4, component="operator").records(20).close()
        points = [ProcessLog(number).records(20) for number in (5, 6)]
        for point in points:
            point.add(kind="ledger", note=log.checkpoint())
        files = [b"".join(one.lines) for one in (log, *points)]
        for sizes, expected in (((22, 22), []), ((22, 21), ["unknown"])):
            pairs = zip(points, sizes, strict=True)
            notes = [
                cosign_note(one.checkpoint(size), "example.org/witness", self.OUTSIDE, BEGAN + 90)
                for one, size in pairs
            ]
            _, reports = audited(files, notes, self.KEYS, quorum=2)
            (report,) = (one for one in reports if one.chain == log.id)
            assert places(report) == expected
            _, reports = audited(files[:2], notes[:1], self.KEYS, quorum=2)
            assert {report.chain: places(report) for report in reports}[log.id] == ["unknown"]


class TestWhatNoWitnessSaw:
    """An attacker who may write to a folder of logs adds a file, with any chain."""

    TEXT: Final = '{"endpoint":"crm-api"}'
    DIGEST: Final = f"sha256:{hashlib.sha256(TEXT.encode()).hexdigest()}"

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_a_text_without_its_digest_takes_no_policys_place(self, order: tuple[int, int]) -> None:
        files = []
        for number, text in ((2, self.TEXT), (3, "{}")):
            ledger = ProcessLog(number, component="operator")
            ledger.add(kind="policy", policy="crm/agent", digest=self.DIGEST, text=text)
            files.append(b"".join(ledger.close().lines))
        audit, _ = audited([files[number] for number in order], [])
        assert audit.policies[self.DIGEST]["text"] == self.TEXT

    def test_a_line_about_a_grant_takes_no_place_of_one_that_a_witness_saw(self) -> None:
        true, invented = ProcessLog(2, component="operator"), ProcessLog(3, component="operator")
        for ledger, phase in ((true, "Denied"), (invented, "Consumed")):
            ledger.add(kind="grant", namespace="crm", name="agr-1", phase=phase)
            ledger.close()
        files = [b"".join(ledger.lines) for ledger in (true, invented)]
        assert audited(files, [])[0].grants["crm/agr-1"]["phase"] == "Consumed"
        assert audited(files, [true.checkpoint()])[0].grants["crm/agr-1"]["phase"] == "Denied"

    @pytest.mark.parametrize("turned", [False, True], ids=["in order", "turned round"])
    def test_a_line_behind_the_last_cosignature_takes_no_place_of_one_that_a_witness_saw(self, turned: bool) -> None:
        ledger = ProcessLog(2, component="operator")
        ledger.add(kind="grant", namespace="crm", name="agr-1", phase="Denied")
        note = ledger.checkpoint()
        ledger.add(kind="grant", namespace="crm", name="agr-1", phase="Consumed")
        ledger.add(kind="grant", namespace="crm", name="agr-2", phase="Consumed")
        audit, (report,) = audited([b"".join(ledger.lines[::-1] if turned else ledger.lines)], [note])
        assert places(report) == ["tail 2-3", "unclosed"]
        assert {name: held["phase"] for name, held in audit.grants.items()} == {
            "crm/agr-1": "Denied",
            "crm/agr-2": "Consumed",
        }
        assert audit.unseen_grants.keys() == {"crm/agr-2"}

    def test_the_beginning_of_a_line_takes_no_place_of_the_line(self) -> None:
        """A string of the caller ends it so that its braces come out even, and no reader of JSON finds a record."""
        even = ProcessLog().records(1)
        even.add(evaluation_id="a}b")
        true = even.lines[-1][:-1]
        beginning = true[: true.index(b"a}b") + 2]
        assert beginning.count(b"{") == beginning.count(b"}")
        audit = LogAudit(WitnessBook((WITNESS_KEY,)))
        seen = [line.text for line in (*audit.feed(beginning + b"\n" + b"".join(even.lines)), *audit.end())]
        assert true in seen
        assert beginning not in seen
        assert audit.torn == 1

    def test_a_note_takes_no_place_of_the_one_that_a_process_signed_and_a_witness_refused(self) -> None:
        process = log()
        note, refused = process.checkpoint(), process.signed([*process.lines[:3], b'{"other":1}\n'])
        for shown in ((refused, "junk"), ("junk", refused)):
            book = WitnessBook((WITNESS_KEY,))
            for one in shown:
                book.add(ShownCheckpoint(note, refused=one))
            audit = LogAudit(book)
            assert len([*audit.feed(b"".join(process.lines)), *audit.end(), *audit.finish()]) == LINES
            (report,) = audit.reports()
            assert places(report) == ["contradicted"]

    def test_a_checkpoint_that_fits_is_no_contradiction_though_a_witness_is_said_to_have_refused_it(self) -> None:
        process = log()
        for refused in (process.checkpoint(), process.checkpoint(4), process.signed(process.lines[:7])):
            book = WitnessBook((WITNESS_KEY,))
            book.add(ShownCheckpoint(process.checkpoint(), refused=refused))
            audit = LogAudit(book)
            assert len([*audit.feed(b"".join(process.lines)), *audit.end(), *audit.finish()]) == LINES
            assert places(audit.reports()[0]) == []

    def test_a_log_that_no_witness_saw_says_of_no_other_that_its_process_was_killed(self) -> None:
        process, stranger = ProcessLog().records(5), ProcessLog(7, seconds=10**9).close()
        _, reports = audited([b"".join(one.lines) for one in (process, stranger)], [process.checkpoint()])
        assert {one.chain: places(one) for one in reports}[process.id] == ["unclosed"]

    @pytest.mark.parametrize("since", [None, BEGAN + 500])
    def test_a_chain_that_was_set_back_before_it_was_removed_is_missing(self, since: int | None) -> None:
        process, book = log(), WitnessBook((WITNESS_KEY,))
        for note in (process.checkpoint(now=BEGAN + 100), process.checkpoint(5, now=BEGAN + 600)):
            book.add(ShownCheckpoint(note))
        (report,) = LogAudit(book).reports(since)
        assert report.bad

    def test_a_line_that_fewer_witnesses_saw_than_are_required_counts_as_unseen(self) -> None:
        outside = TestAQuorumOfWitnesses()
        process = ProcessLog().records(20).close()
        notes = [process.checkpoint(15), process.checkpoint(), outside.outside(process, 12, 40)]
        audit, _ = audited([b"".join(process.lines)], notes, outside.KEYS, quorum=2)
        assert audit.witnessed_sizes() == {process.id: 12}
        assert audited([b"".join(process.lines)], notes, outside.KEYS)[0].witnessed_sizes() == {process.id: 22}

    def test_a_chain_of_which_all_lines_are_respelled_is_not_passed_over(self) -> None:
        """A reader of JSON finds in them what the audit does not read, such as a checkpoint of another chain."""
        process, other = log(), ProcessLog(5).records(3).close()
        respelled = process.lines[2].replace(b'},"time"', b'} ,"time"')
        _, reports = audited([b"".join(other.lines) + respelled], [other.checkpoint()])
        assert {report.chain: places(report) for report in reports} == {
            other.id: [],
            process.id: ["altered", "unknown", "unclosed"],
        }
        # What others write has no name of a chain.
        foreign = b'{"log":{"id":"request-17","level":"info"}}\n'
        _, reports = audited([b"".join(other.lines) + foreign], [other.checkpoint()])
        assert [report.chain for report in reports] == [other.id]
