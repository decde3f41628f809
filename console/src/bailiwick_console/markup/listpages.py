"""Pages of long lists: which part of a list is shown, and of how much.

Holds: pure; a number that is none, or beyond the list, means the nearest page that there is; a page says how many there
are in all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Entry = TypeVar("Entry")

_DIGITS = 9


@dataclass(frozen=True, slots=True)
class ShownPart(Generic[Entry]):
    """One page of a list. `number` begins at 1; `total` is of the whole list."""

    entries: tuple[Entry, ...]
    number: int
    pages: int
    total: int


def number_of(wanted: str) -> int:
    """Return the number of a page, as a browser sent it; the first where it is none."""
    return int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) <= _DIGITS else 1


def page_of(listed: Sequence[Entry], wanted: str, size: int) -> ShownPart[Entry]:
    """Return a page. `wanted`: its number, as a browser sent it."""
    pages = max(1, -(-len(listed) // size))
    number = min(max(number_of(wanted), 1), pages)
    return ShownPart(tuple(listed[(number - 1) * size : number * size]), number, pages, len(listed))
