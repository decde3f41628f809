"""Printing: tables, folded lines and objects.

Holds: data goes to stdout, and talk to stderr (`display`); no colour without a terminal, nor with NO_COLOR.
"""

import itertools
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, Final

import yaml
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bailiwick_api.kinds.meta import APPROVAL_GRANTS, GROUP
from bailiwick_cli.options import Output
from bailiwick_engine.approval.display import visible
from bailiwick_governance.display import Line

_GAP: Final = 3
_GOES_ON: Final = "    "
_ON_LETTERS: Final = frozenset({"Mn", "Me"})
# By the width that Unicode gives a letter (UAX 11). One of either width is wide where the terminal is set so.
_WIDTHS: Final = {**dict.fromkeys(("F", "W", "A"), 2), **dict.fromkeys(("H", "Na", "N"), 1)}


def screen(file: IO[str]) -> os.terminal_size | None:
    """Return the size of the terminal that a file is; None where it is none."""
    if not file.isatty():
        return None
    try:
        found = os.get_terminal_size(file.fileno())
    except OSError:
        found = os.terminal_size((0, 0))
    # A terminal that does not say has 80 columns, as terminals have.
    return found if found.columns > 0 else os.terminal_size((80, found.lines))


def fold(line: Line, columns: int, gutter: str) -> Iterator[Line]:
    """Yield a line as lines of at most so many columns, of which each but the first begins with the gutter.

    They are no wider on any terminal, so no part of a long text stands where a label stands. A line ends before a space
    and never with one: a space that begins the next line is seen behind the gutter, and one at the end would not be.
    """
    narrow = " " * (columns // 4)
    gutter = narrow if len(gutter) > columns // 2 else gutter
    if line[0][0].isspace() and len(line[0][0]) > columns // 2:
        line = [(narrow, ""), *line[1:]]
    units = [(unit, style) for text, style in line for unit in _units(text)]
    room = columns
    begin: Line = ()
    start = 0
    while start < len(units):
        end = _end(units, start, room)
        yield [*begin, *units[start:end]]
        start = end
        room, begin = columns - len(gutter), [(gutter, "dim")]


def _units(text: str) -> Iterator[str]:
    """Yield letters, each with the marks on it that are drawn in its own place."""
    unit = ""
    for character in text:
        if unit and unicodedata.category(character) not in _ON_LETTERS:
            yield unit
            unit = ""
        unit += character
    if unit:
        yield unit


def _most_columns(unit: str) -> int:
    """Return in how many columns a terminal may draw a letter with its marks, whichever terminal it is.

    They differ: about marks and vowels that join what stands before them, tones of skin, and letters of either width.
    """
    if unit.isascii():
        return len(unit)
    letter, marks = unit[0], unit[1:]
    return max(cell_len(letter), _WIDTHS[unicodedata.east_asian_width(letter)]) + len(marks)


def _end(units: Sequence[tuple[str, str]], start: int, room: int) -> int:
    """Return up to which unit a line from `start` goes.

    To the last, or up to the last space of the line's second half, or as far as there is room for; one unit at least.
    """
    used = itertools.accumulate(_most_columns(units[at][0]) for at in range(start, len(units)))
    # Looked for from here on and no further: a text of a thousand lines would be measured a thousand times.
    beyond = next((at for at, width in enumerate(used, start) if width > room), None)
    if beyond is None:
        return len(units)
    if beyond == start:
        return start + 1
    return next((at for at in range(beyond, (start + beyond) // 2, -1) if units[at][0] == " "), beyond)


def write(lines: Iterable[Line], file: IO[str] | None = None) -> None:
    """Print lines to stdout, or to another file; they are never wrapped."""
    out = sys.stdout if file is None else file
    console = Console(file=out, markup=False, emoji=False, highlight=False, soft_wrap=True)
    for line in lines:
        console.print(Text.assemble(*line, end=""))
    out.flush()


def write_folded(lines: Iterable[Line]) -> None:
    """Print lines to stdout, on a terminal folded to its width, so that what others wrote begins no line there."""
    room = screen(sys.stdout)
    write(lines if room is None else (part for line in lines for part in fold(line, room.columns, _GOES_ON)))


class Table:
    """Lines in columns, as kubectl prints them, and on a terminal folded to its width.

    The widths of columns only grow, so that rows can come one by one.
    """

    def __init__(self, headers: Sequence[str], *, show_headers: bool = True) -> None:
        self._headers = headers
        self._widths = [len(header) for header in headers]
        self._head = show_headers

    def add(self, rows: Sequence[Line]) -> None:
        """Print rows of cells; the first time under the headers."""
        lines: list[Line] = [[(header, "bold") for header in self._headers], *rows] if self._head else list(rows)
        self._head = False
        for row in rows:
            self._widths = [max(width, cell_len(cell)) for width, (cell, _) in zip(self._widths, row, strict=True)]
        write_folded(self._lay_out(line) for line in lines)

    def _lay_out(self, row: Line) -> Line:
        *first, last = row
        padded = [
            (cell + " " * (width - cell_len(cell) + _GAP), style)
            for (cell, style), width in zip(first, self._widths, strict=False)
        ]
        return [*padded, last]


def document(raw: Mapping[str, Any], output: Output) -> str:
    """Return one object as JSON or YAML, in ASCII, so that no character can play tricks."""
    if output is Output.JSON:
        return json.dumps(raw, indent=2) + "\n"
    return yaml.safe_dump(raw, sort_keys=False, allow_unicode=False)


def object_list(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return objects as a List of Kubernetes's."""
    return {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": list(objects)}


def reference(name: str) -> str:
    """Return a grant's name as `-o name` prints it."""
    return f"{APPROVAL_GRANTS.removesuffix('s')}.{GROUP}/{visible(name)}"
