"""What the matrix of an endpoint says: subjects down, actions across, and in each cell what comes through there.

Standing: over `rights.matrix`, which computes it; the template only lays out. Holds: pure; a cell says in words all
that tells calls apart, and what is not shown or not compared is counted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bailiwick_console.markup.addressnames import name_of
from bailiwick_console.markup.listpages import ShownPart, page_of
from bailiwick_engine import keys
from bailiwick_regions.atoms import describe_labels
from bailiwick_regions.rights.answers import AccessRow
from bailiwick_regions.rights.matrix import MOST_OF_A_CELL, AccessMatrix, Cell, MatrixSubject
from bailiwick_regions.rights.outcomes import AccessLevel, AccessWay

ROWS: Final = 25
COLUMNS: Final = 10
MOST_OF_A_PAGE: Final = 40_000
"""So many decisions the cells of one page may take together."""

NOTHING: Final = "\N{EN DASH}"
UNCOMPARED: Final = "not compared"
_SHOWN_GATES: Final = 2
_DIMENSIONS: Final[Mapping[str, str]] = {"intent": "purpose", "workload": "workload"}
_KNOWN: Final = frozenset(("action", "resource", *_DIMENSIONS))


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """A cell: what it says, how it looks, and on what more it hangs, in words."""

    words: str
    look: str
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A row. `note`: why the subject can do nothing at all; `cells` beside the name that their action has here."""

    name: str
    label: str
    note: str
    cells: tuple[tuple[str, MatrixCell], ...]


@dataclass(frozen=True, slots=True)
class MatrixQuestion:
    """Which part is looked at, as a browser asked for it: letters of subjects and actions, and the numbers of pages."""

    subject: str = ""
    action: str = ""
    rows: str = "1"
    columns: str = "1"


@dataclass(frozen=True, slots=True)
class MatrixPage:
    """A part of the matrix. `uncompared`: so many of its cells take more than is looked at on one page."""

    columns: ShownPart[tuple[str, str]]
    rows: ShownPart[MatrixRow]
    uncompared: int


class PageCells:
    """The cells of one page, of one matrix or several, which share `MOST_OF_A_PAGE`."""

    def __init__(self) -> None:
        self._left = MOST_OF_A_PAGE

    def find(self, matrix: AccessMatrix, subject: MatrixSubject, action: str) -> Cell:
        """Return a cell; None: it takes more than is left for it."""
        most = min(self._left, MOST_OF_A_CELL)
        found = matrix.cell(subject, action, most)
        self._left -= matrix.taken(most) if subject.named is not None else 0
        return found


def compose(matrix: AccessMatrix, asked: MatrixQuestion) -> MatrixPage:
    """Return the part that is asked for. Subjects that no rule names stand last on each page."""
    labels = {action: describe_labels((label,)) for action, label in matrix.actions.items()}
    actions = [action for action, label in labels.items() if asked.action in label]
    columns = page_of(actions, asked.columns, COLUMNS)
    listed = [key for key in matrix.keys if asked.subject in keys.label(key)]
    chosen = page_of(listed, asked.rows, ROWS)
    cells_of_page = PageCells()
    rows: list[MatrixRow] = []
    uncompared = 0
    for subject in (*map(matrix.subject, chosen.entries), matrix.others):
        cells: list[tuple[str, MatrixCell]] = []
        for action in columns.entries:
            found = cells_of_page.find(matrix, subject, action)
            uncompared += found is None
            cells.append((name_of(action), cell(found)))
        rows.append(MatrixRow(name_of(subject.id), subject.label, note(subject), tuple(cells)))
    return MatrixPage(
        ShownPart(
            tuple((name_of(one), labels[one]) for one in columns.entries), columns.number, columns.pages, columns.total
        ),
        ShownPart(tuple(rows), chosen.number, chosen.pages, chosen.total),
        uncompared,
    )


def cell(found: Cell) -> MatrixCell:
    """Return what a cell says of these rows."""
    if found is None:
        return MatrixCell(UNCOMPARED, "unclear", ())
    ways = [(row, row.way) for row in found if row.way is not None]
    if not ways:
        return MatrixCell(NOTHING, "denied", ())
    levels = {way.level for _, way in ways}
    words = ["Allow"] if AccessLevel.ALLOW in levels else []
    words += [f"Ask ({_steps(way for _, way in ways)})"] if AccessLevel.APPROVAL in levels else []
    look = "allowed" if levels == {AccessLevel.ALLOW} else "asked" if AccessLevel.ALLOW not in levels else "both"
    return MatrixCell(" · ".join(words), look, tuple(_marks(ways)))


def find(matrix: AccessMatrix, subject: str, action: str) -> tuple[MatrixSubject, str] | None:
    """Return a subject and an action by the names that they have on the page; None where there is none any more."""
    wanted = next((one for one in matrix.actions if name_of(one) == action), None)
    found = next((matrix.subject(key) for key in matrix.keys if name_of(key) == subject), None)
    if found is None:
        listed = (matrix.others, *matrix.combinations()[0])
        found = next((one for one in listed if name_of(one.id) == subject), None)
    return None if wanted is None or found is None else (found, wanted)


def note(subject: MatrixSubject) -> str:
    """Return why a subject can do nothing at all; nothing where there is no such reason."""
    return "" if subject.named is not None else "the endpoint accepts no subjects of this issuer"


def _steps(ways: Iterable[AccessWay]) -> str:
    gates = dict.fromkeys(" and ".join(step.name for step in way.gate.steps) for way in ways if way.gate is not None)
    shown = list(gates)[:_SHOWN_GATES]
    return " or ".join(shown) + (f" or {len(gates) - len(shown)} more" if len(gates) > len(shown) else "")


def circumstances(ways: Sequence[tuple[AccessRow, AccessWay]]) -> Iterator[str]:
    """Yield on what of the circumstances these ways hang, beside subject, action and resource."""
    if any(way.given for _, way in ways):
        yield "conditions"
    names = {name for row, _ in ways for name in row.where}
    for name, word in _DIMENSIONS.items():
        if name in names:
            yield word
    if names - _KNOWN:
        yield "properties"


def _marks(ways: Sequence[tuple[AccessRow, AccessWay]]) -> Iterator[str]:
    yield from circumstances(ways)
    if any(not _everything(row) for row, _ in ways):
        yield "some ids"
    if any(way.until is not None for _, way in ways):
        yield "expires"


def _everything(row: AccessRow) -> bool:
    return all(one.partition("/")[2] == "*" for one in describe_labels(row.where["resource"]).split(", "))
