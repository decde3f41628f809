"""The work of an audit grows in proportion to what it is given, also where strangers wrote that."""

from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Callable
from typing import Final

import pytest

from bailiwick_evidence.audit import lines as reading
from bailiwick_evidence.audit.claims import ShownCheckpoint, WitnessBook
from bailiwick_evidence.audit.historyevents import HistoryMention, ObjectEvent
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.audit.objectfold import ObjectFold
from bailiwick_evidence.audit.spellings import spellings
from bailiwick_evidence.merkle import leaf_hash
from support.evidence.logs import WITNESS_KEY, ProcessLog, audited, places
from support.work import lines_run


def audit_of(lines: bytes, note: str | None = None) -> Callable[[], object]:
    """Return the judgement of lines that were read."""
    audit = LogAudit(WitnessBook([WITNESS_KEY]))
    if note is not None:
        audit.book.add(ShownCheckpoint(note))
    for step in (audit.feed(lines), audit.end(), audit.finish()):
        deque(step, 0)
    return audit.reports


def scattered(count: int) -> Callable[[], object]:
    """Return the judgement of lines of one chain none of which follows another."""
    return audit_of(
        b"".join(b'{"log":{"id":"%s","seq":%d,"prev":null},"a":1}\n' % (b"B" * 22, n * 2) for n in range(4 * count))
    )


def variants(count: int) -> Callable[[], object]:
    """Return the judgement of a witnessed log whose last line stands in as many versions, as do many lines."""
    log = ProcessLog().records(count)
    last = log.lines[-1].replace(b'"reason":"allowed"', b'"reason":"%d"')
    return audit_of(b"".join([*(last % n for n in range(count)), *log.lines]), log.checkpoint())


def renumbered(count: int) -> Callable[[], object]:
    """Return the judgement of a log of which every fourth line has another number, far behind the others."""
    log = ProcessLog().records(count)
    lines = [
        line.replace(b'"seq":%d,' % n, b'"seq":%d,' % (n + 10**6), 1) if n % 4 == 2 else line
        for n, line in enumerate(log.lines)
    ]
    return audit_of(b"".join(lines), log.checkpoint())


def falling(count: int) -> Callable[[], object]:
    """Return the judgement of lines far apart, the last one first, each of which says that it follows the first one."""
    log = ProcessLog()
    prev = urlsafe_b64encode(leaf_hash(log.lines[0][:-1])).rstrip(b"=")
    line = b'{"log":{"id":"%s","seq":%d,"prev":"%s"},"a":1}\n'
    far = (line % (log.id.encode(), 256 * n, prev) for n in range(count + 1, 1, -1))
    return audit_of(b"".join([log.lines[0], *far]))


def adding(count: int) -> Callable[[], object]:
    """Return the reading of as many versions of one line."""
    log = ProcessLog().records(1)
    lines = b"".join(log.lines[-1].replace(b"allowed", b"%d" % n) for n in range(count))
    return lambda: audit_of(lines)


def histories(count: int, *, names: int, gaps: bool) -> Callable[[], object]:
    """Return the fold of an object in which each line has definitions of its own."""
    events = [
        ObjectEvent(
            1 + n * (1 + gaps),
            float(n),
            ("B" * 22, n),
            mentions=tuple(HistoryMention(f"n{one}", f"{n}", 1, None, 0, True, None) for one in range(names)),
        )
        for n in range(count)
    ]
    return lambda: ObjectFold(("a/b", "o"), events).fold()


@pytest.mark.parametrize(
    "work",
    [
        scattered,
        variants,
        renumbered,
        falling,
        adding,
        lambda count: histories(count, names=1, gaps=False),
        lambda count: histories(count, names=1, gaps=True),
        lambda count: histories(10, names=count, gaps=False),
    ],
    ids=["scattered", "variants", "renumbered", "falling", "adding", "definitions", "gaps", "names"],
)
def test_twice_as_much_is_no_more_than_twice_the_work(work: Callable[[int], Callable[[], object]]) -> None:
    few, many = lines_run(work(100)), lines_run(work(200))
    assert many < 2.6 * few


def test_a_line_of_beginnings_ends_no_audit() -> None:
    log = ProcessLog().records(4)
    honest = b"".join(log.lines)
    audit, reports = audited([b'{"log":{"id":"' * 4_000 + b"\n" + honest])
    assert [places(one) for one in reports] == [places(one) for one in audited([honest])[1]]
    assert (audit.torn, audit.foreign) == (64, 1)


def test_a_run_of_backslashes_is_read_once() -> None:
    # Tried from each of them, it would take an hour.
    assert list(spellings("\\" * 1_000_000)) == ["\\" * 1_000_000]


CUT: Final = b'1"}\n{"log":{"id":"%022d","seq":1,"prev":null},"a":"'
"""The end of a line, and the beginning of one: in many files, each beginning makes a line with each end."""


def test_pieces_in_strangers_files_are_not_all_tried_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bytes] = []
    whole = reading.whole

    def counted(line: bytes) -> ChainLine | None:
        tried.append(line)
        return whole(line)

    monkeypatch.setattr(reading, "whole", counted)
    monkeypatch.setattr(reading, "_MOST_TRIED", 100 * 1_024, raising=False)
    audited([CUT % number for number in range(100)])
    assert len(tried) < 500


@pytest.mark.parametrize("bound", ["_MOST_TRIED", "_MOST_JOINED"])
def test_a_line_that_goes_on_in_the_next_file_is_read_however_many_pieces_there_are(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, bound, 0)
    log = ProcessLog().records(20)
    text, size = b"".join(log.lines), len(log.lines[1])
    files = [text[start : start + size] for start in range(0, len(text), size)]
    _, reports = audited([*files, *(CUT % number for number in range(30))], [log.checkpoint()])
    assert {one.chain: places(one) for one in reports}[log.id] == ["unclosed"]
