"""Scalars of YAML: the meaning of a plain scalar, and the position of each of its characters. `positions` uses it.

Holds: a scalar that YAML 1.1 and 1.2 read differently has no value. To find positions inside a scalar, this module
reads it a second time, independently of the parser, and returns positions only if both readings agree. Syntax that this
reading does not know makes positions less exact, but never wrong.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
# As JSON writes it: every reader reads the same number.
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_AMBIGUOUS: Final = re.compile(
    r"(?i:y|n|yes|no|on|off|[-+]?\.inf|\.nan)"
    r"|[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)"
    r"|[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?"
)
_LONGEST_INTEGER: Final = 20
_INT64: Final = 2**63
_BLANK: Final = " \t"
_SPACE: Final = " \t\r\n"
_ESCAPED: Final = dict(
    zip('0abt\tnvfre "\\/N_LP', '\0\a\b\t\t\n\v\f\r\x1b "\\/\x85\xa0\u2028\u2029', strict=True),
)
_ESCAPED_DIGITS: Final = {"x": 2, "u": 4, "U": 8}
_MOST_INDENTED: Final = 64

Characters = list[tuple[str, int]]


class Position(NamedTuple):
    """A line and a column, both from 1; columns count characters."""

    line: int
    column: int


class Source:
    """The whole text, and the line of each index in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def place(self, index: int) -> Position:
        """Return the position of the character at this index."""
        line = bisect_right(self._starts, index)
        return Position(line, index - self._starts[line - 1] + 1)


@dataclass(frozen=True, slots=True)
class UnclearScalar:
    """Why a scalar has no value."""

    why: str


def plain(text: str) -> str | float | bool | UnclearScalar | None:
    """Return what a plain scalar means: null, a boolean, a number as JSON writes it, or a string."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if (number := _NUMBER.fullmatch(text)) is not None:
        if number[1] or number[2]:
            value: float = float(text)
            return value if math.isfinite(value) else UnclearScalar("the number is too large")
        whole = int(text) if len(text) <= _LONGEST_INTEGER else _INT64
        return (
            whole
            if -_INT64 <= whole < _INT64
            else UnclearScalar("the number is too large: put it in quotes to make it a string")
        )
    if _AMBIGUOUS.fullmatch(text):
        return UnclearScalar(f"YAML readers interpret {text[:32]} in different ways: put it in quotes")
    return text


def offsets(text: str, start: int, end: int, style: str | None, value: str) -> Sequence[int] | None:
    """Return, for each character of `value` and for its end, the index in `text`; None if that is not certain.

    `start` and `end` are those of the scalar, quotes or indicator included; `style` is None, ', ", | or >.
    """
    for read in _readings(text, start, end, style):
        if "".join(character for character, _ in read) == value:
            found = [index for _, index in read]
            return [*found, found[-1] + 1 if found else start]
    return None


def _readings(text: str, start: int, end: int, style: str | None) -> list[Characters]:
    if style is None:
        return [_flow(text, start, end, "")]
    if style in {"'", '"'}:
        return [_flow(text, start + 1, end - 1, style)]
    first = text.find("\n", start) + 1
    if not first:
        return []
    header = text[start:first].partition("#")[0]
    indents = range(1, _MOST_INDENTED) if any(map(str.isdigit, header)) else (_indent(text, first),)
    return [_block(text, first, indent, header) for indent in indents]


def _flow(text: str, start: int, end: int, quote: str) -> Characters:
    """Read a plain or quoted scalar: line breaks fold, and quotes have their escapes (YAML 1.1, 5.3 and 9)."""
    read: Characters = []
    at = start
    while at < end:
        character = text[at]
        if character in _SPACE:
            at = _read_blanks(text, at, end, read)
        elif quote == "'" and character == "'":
            read.append(("'", at))
            at += 2
        elif quote == '"' and character == "\\":
            at = _escape(text, at, end, read)
        else:
            read.append((character, at))
            at += 1
    return read


def _read_blanks(text: str, at: int, end: int, read: Characters) -> int:
    """Read blanks. Within a line they stay; one break becomes a space, and n breaks become n - 1."""
    after = at
    while after < end and text[after] in _SPACE:
        after += 1
    breaks = text.count("\n", at, after)
    if not breaks:
        read += [(text[index], index) for index in range(at, after)]
    elif breaks == 1:
        read.append((" ", at))
    else:
        read += [("\n", at)] * (breaks - 1)
    return after


def _escape(text: str, at: int, end: int, read: Characters) -> int:
    code = text[at + 1 : at + 2]
    if code in _ESCAPED_DIGITS:
        after = at + 2 + _ESCAPED_DIGITS[code]
        read.append((chr(int(text[at + 2 : after], 16)), at))
        return after
    if code and code in "\r\n":
        # An escaped break disappears; the breaks of empty lines after it stay.
        after = at + 1
        while after < end and text[after] in _SPACE:
            after += 1
        read += [("\n", at)] * (text.count("\n", at, after) - 1)
        return after
    read.append((_ESCAPED.get(code, code), at))
    return at + 2


def _indent(text: str, first: int) -> int:
    """Return the indentation of a block: that of its first line that is not empty."""
    at = first
    while True:
        spaces = at
        while text[spaces : spaces + 1] == " ":
            spaces += 1
        if text[spaces : spaces + 1] not in {"\r", "\n"}:
            return spaces - at
        at = text.find("\n", at) + 1
        if not at:
            return 0


def _block(text: str, first: int, indent: int, header: str) -> Characters:
    """Read a block scalar whose lines begin at `first` (YAML 1.1, 9.3; the order of steps is PyYAML's)."""
    read: Characters = []
    breaks, at = _empty_lines(text, first, indent)
    line_break: Characters = []
    while indent and text[at - indent : at] == " " * indent and text[at : at + 1]:
        read += breaks
        began = at
        while at < len(text) and text[at] not in "\r\n":
            read.append((text[at], at))
            at += 1
        line_break, after = _line_break(text, at)
        breaks, at = _empty_lines(text, after, indent)
        if at - after < indent or text[at - indent : at] != " " * indent or not text[at : at + 1]:
            break
        if ">" in header and text[began] not in _BLANK and text[at] not in _BLANK:
            read += [] if breaks else [(" ", after - 1)]
        else:
            read += line_break
    if "-" not in header:
        read += line_break
    if "+" in header:
        read += breaks
    return read


def _empty_lines(text: str, at: int, indent: int) -> tuple[Characters, int]:
    """Return the breaks of empty lines from `at` on, and where the line after them begins, indentation skipped."""
    breaks: Characters = []
    while True:
        begin = at
        while at - begin < indent and text[at : at + 1] == " ":
            at += 1
        found, after = _line_break(text, at)
        if not found:
            return breaks, at
        breaks += found
        at = after


def _line_break(text: str, at: int) -> tuple[Characters, int]:
    if text[at : at + 2] == "\r\n":
        return [("\n", at)], at + 2
    if text[at : at + 1] in {"\r", "\n"}:
        return [("\n", at)], at + 1
    return [], at
