"""Texts that somebody else wrote, made safe to show on a terminal and on a page; and lines of talk.

Holds: every text of others is escaped before it is shown, and none is ever read as markup; talk goes to stderr.
"""

import json
import re
import sys
import unicodedata
from collections.abc import Sequence
from typing import Final

from bailiwick_engine.approval.display import visible

Line = Sequence[tuple[str, str]]
"""Pieces of a line: text, already escaped, and style."""

_SPACES: Final = re.compile(r"^ +| +$|(?<= ) +")
_PHASES: Final = {"Pending": "yellow", "Active": "green", "Denied": "red", "Revoked": "red"}


def phase_piece(phase: str) -> tuple[str, str]:
    """Return a phase with its colour."""
    return (visible(phase), _PHASES.get(phase, "dim"))


def counted(count: int, noun: str, nouns: str = "") -> str:
    """Return so many of something. `nouns`: more than one of it, if that is not the noun and an s."""
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"


def show_escaped(text: str) -> str:
    r"""Return a text that the decision point has escaped already: backslashes stay, what is invisible shows."""
    return "\\".join(visible(part) for part in text.split("\\"))


def legible(text: str) -> str:
    r"""Return a text of others as somebody has to see it who decides by it.

    That is `visible`, with each space that cannot be counted as \u0020: at either end, and after another one. So is a
    mark at the beginning, which would join what stands before it. A text that is empty stands as `""`.
    """
    return _mark_spaces(visible(text))


def legible_escaped(text: str) -> str:
    """Return the same of a text that the decision point has escaped already."""
    return _mark_spaces(show_escaped(text))


def _mark_spaces(text: str) -> str:
    if text and unicodedata.category(text[0]).startswith("M"):
        text = json.dumps(text[0])[1:-1] + text[1:]
    return _SPACES.sub(lambda found: "\\u0020" * len(found[0]), text) or '""'


def quote(text: str) -> str:
    """Return `legible` as a part of a sentence of ours: in quotes where it could be taken for more than one word."""
    shown = legible(text)
    if not {" ", '"'} & set(shown):
        return shown
    escaped = shown.replace('"', '\\"')
    return f'"{escaped}"'


def talk(text: str) -> None:
    """Print a line of talk. What is in it of others is escaped here, if it was not before; line breaks are ours."""
    sys.stderr.write("\n".join(show_escaped(line) for line in text.split("\n")) + "\n")
    sys.stderr.flush()


def talk_line(text: str) -> None:
    """Print one line of talk: a line break in it is of others, and is escaped too."""
    talk(text.replace("\n", "\\u000a"))
