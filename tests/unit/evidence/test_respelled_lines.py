"""A line that another reader of JSON takes for one of a chain, and that no process writes so, is never passed over.

The auditor counts what a killed process, or a full disk, cut off. What it counts as that is the beginning of an object
and no object itself, so that no reader finds a decision in it.
"""

import json
from collections.abc import Callable
from typing import Final

import pytest

from bailiwick_evidence.audit.findings import FindingCode
from support.evidence.logs import ProcessLog, audited, places

LINES: Final = 12
PLACE: Final = 5
ALTERED: Final = [FindingCode.ALTERED.value]
FORKED: Final = [f"{FindingCode.FORKED} at {PLACE}"]


def log() -> ProcessLog:
    return ProcessLog().records(LINES - 2).close()


def forged() -> bytes:
    """Return a line of the log with another verdict, as the process would have written it."""
    line = log().lines[PLACE]
    assert b'"decision":true' in line
    return line.replace(b'"decision":true', b'"decision":false')


def header_end(line: bytes) -> int:
    return line.index(b"},") + 1


SPELLINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "a space behind the place": lambda line: line[: header_end(line)] + b" " + line[header_end(line) :],
    "a space in the place": lambda line: line.replace(b'"seq":', b'"seq": ', 1),
    "a number with a fraction": lambda line: line.replace(b'"seq":%d,' % PLACE, b'"seq":%d.0,' % PLACE, 1),
    "a number with an exponent": lambda line: line.replace(b'"seq":%d,' % PLACE, b'"seq":%de0,' % PLACE, 1),
    "a further member of the place": lambda line: (
        line[: header_end(line) - 1] + b',"x":1' + line[header_end(line) - 1 :]
    ),
    "an escaped letter": lambda line: line.replace(b'"seq"', b'"s\\u0065q"', 1),
    "a space at the end": lambda line: line[:-1] + b" \n",
    "a return at the end": lambda line: line[:-1] + b"\r\n",
    "another member first": lambda line: b'{"x":1,' + line[1:],
    "a mark of the byte order": lambda line: b"\xef\xbb\xbf" + b'{"x":1,' + line[1:],
    "another member first, and text behind it": lambda line: b'{"x":1,' + line[1:-1] + b" and more\n",
    "spaces everywhere": lambda line: json.dumps(json.loads(line)).encode() + b"\n",
    "too long for a chain": lambda line: line[:-2] + b',"x":"' + b"x" * 70_000 + b'"}\n',
    "far too long for a chain": lambda line: line[:-2] + b',"x":"' + b"x" * 300_000 + b'"}\n',
    "nothing but the place": lambda line: line[: header_end(line)] + b"}\n",
}
# What strict readers refuse, and others do not.
LENIENT: Final[dict[str, Callable[[bytes], bytes]]] = {
    "another object behind it": lambda line: line[:-1] + b"{}\n",
    "no number": lambda line: line[:-2] + b',"x":NaN}\n',
    "no end": lambda line: line[:-2] + b',"x":-Infinity}\n',
    "a trailing comma": lambda line: line[:-2] + b",}\n",
    "no text": lambda line: line[:-2] + b',"x":"\xff"}\n',
    "a character that must be escaped": lambda line: line[:-2] + b',"x":"\x01"}\n',
}


def found(lines: list[bytes], step: int = 10_000) -> list[str]:
    """Return what is found of a chain whose witness saw all of it."""
    _, (report,) = audited([b"".join(lines)], [log().checkpoint()], step=step)
    assert report.bad is not report.intact
    return places(report)


def with_line(line: bytes, at: int) -> list[bytes]:
    lines = log().lines
    lines.insert(at, line)
    return lines


@pytest.mark.parametrize("at", [0, PLACE, PLACE + 1, LINES])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_line_that_names_a_chain_in_another_spelling_makes_it_altered(spelling: str, at: int) -> None:
    lines = with_line(SPELLINGS[spelling](forged()), at)
    assert found(lines) == ALTERED
    assert found(lines, step=7) == ALTERED


@pytest.mark.parametrize("at", [0, PLACE, PLACE + 1, LINES])
def test_a_line_behind_a_space_is_read_as_it_is(at: int) -> None:
    assert found(with_line(b" " + forged(), at)) in (ALTERED, FORKED)


@pytest.mark.parametrize("braces", [b"", b"{"], ids=["as many", "one more"])
@pytest.mark.parametrize("at", [0, PLACE, PLACE + 1, LINES])
@pytest.mark.parametrize("spelling", LENIENT)
def test_a_line_that_only_lenient_readers_read_is_no_beginning_of_another(
    spelling: str, at: int, braces: bytes
) -> None:
    # Braces in a text: by their number alone, a line looks whole or torn.
    line = forged()[:-2] + b',"text":"%b"}\n' % braces
    assert found(with_line(LENIENT[spelling](line), at)) in (ALTERED, FORKED)


def test_a_true_line_in_another_spelling_is_altered_too() -> None:
    lines = log().lines
    lines[PLACE] = SPELLINGS["a space at the end"](lines[PLACE])
    assert found(lines) == [f"gap at {PLACE}", *ALTERED]


def test_the_last_line_of_a_file_may_not_be_spelled_otherwise_either() -> None:
    line = SPELLINGS["a space behind the place"](forged())
    assert found(with_line(line[:-1], LINES)) == ALTERED
    assert found([*log().lines, SPELLINGS["a space at the end"](forged())[:-1]]) == ALTERED


def test_what_two_killed_processes_began_in_one_line_is_torn() -> None:
    first, second, third = ProcessLog(2).records(3), ProcessLog(3), ProcessLog(4).records(3).close()
    begun = first.lines[-1][:150] + second.lines[0][:60] + third.lines[0]
    text = b"".join([*first.lines[:-1], begun, *third.lines[1:]])
    audit, reports = audited([text], [first.checkpoint(3), third.checkpoint()])
    assert ([places(report) for report in reports], audit.torn) == ([["unclosed"], []], 2)


def test_a_line_of_another_program_that_has_a_log_of_its_own_is_in_no_chain() -> None:
    others = [b'{"log":"a container wrote this","stream":"stdout"}\n', b'{"log":{"id":"AAAAAAAAAAAAAAAAAAAAAA"}}\n']
    audit, (report,) = audited([b"".join([*others, *log().lines, *others])], [log().checkpoint()])
    assert (places(report), audit.foreign) == ([], 4)
