"""Of two lines with one number, an audit hands on the first and counts the other for who must pass over nothing."""

from collections.abc import Callable, Sequence
from typing import Final

import pytest

from bailiwick_evidence.audit.chainshares import WHOLE, ChainShare
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from support.evidence.logs import ProcessLog, rewritten

Lines = Sequence[bytes]

LINES: Final = ProcessLog().records(10).close().lines


def edited(line: bytes) -> bytes:
    return line.replace(b'"decision":true', b'"decision":false')


def read(lines: Lines, share: ChainShare = WHOLE) -> LogAudit:
    audit = LogAudit(WitnessBook(()), share=share)
    for _ in (*audit.feed(b"".join(lines)), *audit.end(), *audit.finish()):
        pass
    return audit


@pytest.mark.parametrize(
    ("change", "count"),
    [
        (lambda lines: lines, 0),
        (lambda lines: [*lines, *lines[3:7]], 0),
        (lambda lines: [*lines[:5], lines[5][:60] + b"\n", *lines[5:]], 0),
        (lambda lines: [*lines, edited(lines[4])], 1),
        (lambda lines: [edited(lines[4]), *lines], 1),
        (lambda lines: [edited(lines[4]), *lines, edited(lines[4])], 1),
        (lambda lines: [lines[4][: lines[4].index(b"},") + 2] + b'"kind":"history"}\n', *lines], 1),
        (lambda lines: [*lines, *rewritten([*lines[:4], edited(lines[4]), *lines[5:]])], 8),
    ],
    ids=[
        *("nothing", "lines twice", "a line that was begun and written again", "a line edited in a copy"),
        *("one that comes first", "the same one twice", "one of another kind", "another story from a line on"),
    ],
)
def test_is_counted_once_for_each_that_is_not_read(change: Callable[[Lines], Lines], count: int) -> None:
    assert read(change(LINES)).forked == count


def test_is_counted_by_the_process_that_judges_the_chain() -> None:
    others = [ProcessLog(number).records(4).lines for number in range(3, 9)]
    lines = [*LINES, *(line for one in others for line in (*one, edited(one[2])))]
    assert sum(read(lines, ChainShare(index, 3)).forked for index in range(3)) == read(lines).forked == len(others)
