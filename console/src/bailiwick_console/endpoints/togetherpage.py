"""A party that is several of an endpoint's subjects at once: what it can do, where the rows do not say it together.

Standing: beside `matrixpage`, over `rights.matrix`. Holds: pure; who was not compared is counted and named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bailiwick_console.endpoints import matrixpage
from bailiwick_console.endpoints.matrixpage import COLUMNS, MatrixRow
from bailiwick_console.markup.addressnames import name_of
from bailiwick_console.markup.listpages import ShownPart, page_of
from bailiwick_regions.atoms import describe_labels
from bailiwick_regions.rights.matrix import MOST_OF_A_CELL, AccessMatrix

_MOST: Final = 60_000


@dataclass(frozen=True, slots=True)
class TogetherPage:
    """Those who may do something else.

    `same`: so many say nothing new; `uncompared`: their labels; `capped`: there are more than are looked at.
    """

    columns: ShownPart[tuple[str, str]]
    rows: tuple[MatrixRow, ...]
    same: int
    uncompared: tuple[str, ...]
    capped: bool


def compose(matrix: AccessMatrix, wanted: str) -> TogetherPage:
    """Return them. `wanted`: the number of the page of columns."""
    combinations, capped = matrix.combinations()
    columns = page_of(list(matrix.actions.items()), wanted, COLUMNS)
    told_ones = list(matrix.telling(combinations, _MOST))
    rows = [
        MatrixRow(
            name_of(subject.id),
            subject.label,
            "",
            tuple(
                (name_of(action), matrixpage.cell(matrix.cell(subject, action, MOST_OF_A_CELL)))
                for action, _ in columns.entries
            ),
        )
        for subject, other in told_ones
        if other
    ]
    return TogetherPage(
        ShownPart(_headers(columns.entries), columns.number, columns.pages, columns.total),
        tuple(rows),
        sum(other is False for _, other in told_ones),
        tuple(subject.label for subject, other in told_ones if other is None),
        capped,
    )


def _headers(actions: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name_of(action), describe_labels((label,))) for action, label in actions)
