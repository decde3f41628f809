"""The edges of the graph of who may ask whom: by one subject at one endpoint, all actions of one kind of answer.

Standing: over `matrixpage`, whose cells they are. Holds: pure; a way through a cell is in exactly one edge of its
subject, and an edge has no action of which the cell does not say the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bailiwick_console.endpoints.matrixpage import PageCells, circumstances
from bailiwick_regions.rights.answers import AccessRow
from bailiwick_regions.rights.matrix import AccessMatrix, Cell, MatrixSubject
from bailiwick_regions.rights.outcomes import AccessLevel, AccessWay


class AskKind(StrEnum):
    """What the answer to a call is, for at least some calls of an action. In this order they are shown."""

    ALLOWED = "allowed"
    CONDITIONAL = "conditional"
    GATED = "gated"
    UNCOMPARED = "not compared"


@dataclass(frozen=True, slots=True)
class AskEdge:
    """What a subject may ask. `actions`: as `AccessMatrix.actions` names them, in that order, at least one."""

    kind: AskKind
    actions: tuple[str, ...]


def edges(matrix: AccessMatrix, subject: MatrixSubject, cells: PageCells) -> tuple[AskEdge, ...]:
    """Return the edges of a subject; none where every call of it is denied."""
    found: dict[AskKind, list[str]] = {}
    for action in _spoken_of(matrix, subject):
        for kind in kinds(cells.find(matrix, subject, action)):
            found.setdefault(kind, []).append(action)
    return tuple(AskEdge(kind, tuple(found[kind])) for kind in AskKind if kind in found)


def kinds(cell: Cell) -> frozenset[AskKind]:
    """Return the kinds of answers that calls of a cell get; none where all are denied."""
    if cell is None:
        return frozenset((AskKind.UNCOMPARED,))
    return frozenset(_kind(row, row.way) for row in cell if row.way is not None)


def _kind(row: AccessRow, way: AccessWay) -> AskKind:
    if way.level is AccessLevel.APPROVAL:
        return AskKind.GATED
    return AskKind.CONDITIONAL if any(circumstances([(row, way)])) else AskKind.ALLOWED


def _spoken_of(matrix: AccessMatrix, subject: MatrixSubject) -> Sequence[str]:
    """Return the actions of which a rule of this subject speaks: of all others every call is denied."""
    if subject.named is None:
        return ()
    rules = matrix.rules(subject.named.party)
    return [action for action in matrix.actions if any(action in rule.actions for rule in rules)]
