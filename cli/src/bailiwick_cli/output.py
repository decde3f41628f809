"""Printing: tables, objects, and texts that somebody else wrote.

Holds: data goes to stdout and talk to stderr; every text of others is escaped before it is printed, and none is ever
read as markup; no colour without a terminal, nor with NO_COLOR.
"""

import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, Final

import yaml
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bailiwick_api.kinds.meta import APPROVAL_GRANTS, GROUP
from bailiwick_cli.options import Output
from bailiwick_engine.approval.display import visible

Line = Sequence[tuple[str, str]]
"""Pieces of a line: text, already escaped, and style."""

_GAP: Final = 3
_SPACES: Final = re.compile(r"^ +| +$|(?<= ) +")
_PHASES: Final = {"Pending": "yellow", "Active": "green", "Denied": "red", "Revoked": "red"}


def of_phase(phase: str) -> tuple[str, str]:
    """Return a phase with its colour."""
    return (visible(phase), _PHASES.get(phase, "dim"))


def rendered(text: str) -> str:
    r"""Return a text that the decision point has escaped already: backslashes stay, what is invisible shows."""
    return "\\".join(visible(part) for part in text.split("\\"))


def legible(text: str) -> str:
    r"""Return a text of others as somebody has to see it who decides by it.

    That is `visible`, with each space that cannot be counted as \u0020: at either end, and after another one. So is a
    mark at the beginning, which would join what stands before it. A text that is empty stands as `""`.
    """
    return _counted(visible(text))


def legible_rendered(text: str) -> str:
    """Return the same of a text that the decision point has escaped already."""
    return _counted(rendered(text))


def _counted(text: str) -> str:
    if text and unicodedata.category(text[0]).startswith("M"):
        text = json.dumps(text[0])[1:-1] + text[1:]
    return _SPACES.sub(lambda found: "\\u0020" * len(found[0]), text) or '""'


def write(lines: Iterable[Line], file: IO[str] | None = None) -> None:
    """Print lines to stdout, or to another file; they are never wrapped."""
    out = sys.stdout if file is None else file
    console = Console(file=out, markup=False, emoji=False, highlight=False, soft_wrap=True)
    for line in lines:
        console.print(Text.assemble(*line, end=""))
    out.flush()


def talk(text: str) -> None:
    """Print a line of talk. What is in it of others is escaped here, if it was not before; line breaks are ours."""
    sys.stderr.write("\n".join(rendered(line) for line in text.split("\n")) + "\n")
    sys.stderr.flush()


class Table:
    """Lines in columns, as kubectl prints them. The widths only grow, so that rows can come one by one."""

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
        write(self._laid_out(line) for line in lines)

    def _laid_out(self, row: Line) -> Line:
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


def listed(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return objects as a List of Kubernetes's."""
    return {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": list(objects)}


def reference(name: str) -> str:
    """Return a grant's name as `-o name` prints it."""
    return f"{APPROVAL_GRANTS.removesuffix('s')}.{GROUP}/{visible(name)}"
