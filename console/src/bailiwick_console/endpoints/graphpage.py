"""The graph of who may ask whom: callers, the enforcement points that ask for them, and endpoints.

Standing: over `askgraph`, whose edges it draws and lists; the template only lays out. Holds: pure; the table has each
edge of the page, and what the drawing leaves out is counted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bailiwick_api.kinds.enforcers import CERTIFICATE_PREFIX
from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_console.endpoints.askgraph import AskEdge, AskKind, edges
from bailiwick_console.endpoints.matrixpage import PageCells, note
from bailiwick_console.endpoints.source import EndpointReading
from bailiwick_console.markup.addressnames import name_of
from bailiwick_console.markup.listpages import ShownPart, page_of
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.snapshot import EndpointKey
from bailiwick_governance import lookalikes
from bailiwick_governance.display import show_escaped
from bailiwick_governance.views.columndrawing import ColumnDrawing, ColumnEdge, ColumnNode, draw_columns
from bailiwick_regions.atoms import describe_labels
from bailiwick_regions.rights.matrix import OTHERS, AccessMatrix, MatrixSubject, named_keys

CALLERS: Final = 25
MOST_EDGES: Final = 40
"""So many edges of callers are drawn."""
MOST_ACTIONS: Final = 25
"""So many actions of an edge stand in the table; the matrix has the others."""
HEADINGS: Final = ("Callers", "Enforcement points", "Endpoints")
_ASKS: Final = "asks"

MatrixMaker = Callable[[EndpointReading], AccessMatrix | None]
"""Returns the matrix of an endpoint; None where it has more names than are compared."""


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """An edge of the table. `actions`: their names in addresses, and what they are called; `left`: so many more."""

    kind: str
    actions: tuple[tuple[str, str], ...]
    left: int

    @property
    def look(self) -> str:
        """How it is drawn, and how its cell of the table looks."""
        return "unclear" if self.kind == AskKind.UNCOMPARED else self.kind

    @property
    def total(self) -> int:
        """How many actions it has."""
        return len(self.actions) + self.left


@dataclass(frozen=True, slots=True)
class GraphCaller:
    """A caller at an endpoint. `name` is its name in addresses; `note`: why it can do nothing at all."""

    id: str
    name: str
    label: str
    note: str
    endpoint: EndpointKey
    points: tuple[str, ...]
    edges: tuple[GraphEdge, ...]


@dataclass(frozen=True, slots=True)
class GraphPage:
    """A part of the graph. `undrawn`: so many of its edges are in the table alone.

    `denied` and `uncompared` are endpoints without an edge: every call of them is denied, or they have more names than
    are compared.
    """

    callers: ShownPart[GraphCaller]
    drawing: ColumnDrawing | None
    undrawn: int
    denied: tuple[EndpointKey, ...]
    uncompared: tuple[EndpointKey, ...]

    @property
    def total(self) -> int:
        """How many edges the table has."""
        return sum(len(one.edges) for one in self.callers.entries)

    @property
    def has_uncompared(self) -> bool:
        """Whether there is an edge of cells that are not compared."""
        return any(edge.kind == AskKind.UNCOMPARED for one in self.callers.entries for edge in one.edges)


def compose(readings: Sequence[EndpointReading], matrix_of: MatrixMaker, wanted: str) -> GraphPage:
    """Return the part that is asked for. `wanted`: the number of the page."""
    pairs = [(found, key) for found in readings for key in _keys(found)]
    chosen = page_of(pairs, wanted, CALLERS)
    cells = PageCells()
    made: dict[EndpointKey, AccessMatrix | None] = {}
    callers = []
    for found, key in chosen.entries:
        if found.key not in made:
            made[found.key] = matrix_of(found)
        if (matrix := made[found.key]) is not None:
            callers.append(_caller(found, matrix, matrix.others if key is None else matrix.subject(key), cells))
    drawing, undrawn = _draw(callers)
    return GraphPage(
        ShownPart(tuple(callers), chosen.number, chosen.pages, chosen.total),
        drawing,
        undrawn,
        tuple(one.key for one in readings if one.compiled is None),
        tuple(key for key, matrix in made.items() if matrix is None),
    )


def _keys(found: EndpointReading) -> Iterator[Key | None]:
    """Yield the callers of an endpoint; None, the last: any other."""
    if found.compiled is not None:
        yield from named_keys(found.compiled)
        yield None


def _caller(found: EndpointReading, matrix: AccessMatrix, subject: MatrixSubject, cells: PageCells) -> GraphCaller:
    listed = tuple(_edge(matrix, one) for one in edges(matrix, subject, cells))
    points = () if matrix.settings is None else tuple(sorted(map(_point, matrix.settings.enforcers)))
    return GraphCaller(subject.id, name_of(subject.id), subject.label, note(subject), found.key, points, listed)


def _edge(matrix: AccessMatrix, edge: AskEdge) -> GraphEdge:
    shown = edge.actions[:MOST_ACTIONS]
    named = tuple((name_of(one), describe_labels((matrix.actions[one],))) for one in shown)
    return GraphEdge(edge.kind.value, named, len(edge.actions) - len(shown))


def _point(username: str) -> str:
    account = ServiceAccountName.parse(username)
    if account is not None:
        return account.short
    name = username.removeprefix(CERTIFICATE_PREFIX)
    return username if name == username else f"certificate {name}"


def _draw(callers: Sequence[GraphCaller]) -> tuple[ColumnDrawing | None, int]:
    """Return the drawing of the first edges, and how many it leaves out; None where there is no edge."""
    listed = [(caller, edge) for caller in callers for edge in caller.edges]
    drawn = listed[:MOST_EDGES]
    if not drawn:
        return None, 0
    # By what it stands for, not by what it says: any other caller is another one at each endpoint.
    counts: dict[object, dict[str, int]] = {}
    nodes: dict[object, ColumnNode] = {}
    for caller, edge in drawn:
        at = _identity(caller)
        told = counts.setdefault(at, {})
        told[edge.kind] = told.get(edge.kind, 0) + edge.total
        count = ", ".join(f"{told[kind]} {kind}" for kind in AskKind if kind in told)
        nodes[at] = ColumnNode(_lines(caller.label, count), 0, "caller")
        nodes[1, caller.endpoint] = ColumnNode(tuple(map(show_escaped, caller.points)), 1, "point")
        nodes[2, caller.endpoint] = ColumnNode(_lines(caller.endpoint[1], f"in {caller.endpoint[0]}"), 2, "endpoint")
    places = {at: number for number, at in enumerate(nodes)}
    curves = [ColumnEdge(places[_identity(one)], places[1, one.endpoint], edge.look) for one, edge in drawn]
    ends = dict.fromkeys(caller.endpoint for caller, _ in drawn)
    curves += [ColumnEdge(places[1, one], places[2, one], _ASKS) for one in ends]
    return draw_columns(HEADINGS, list(nodes.values()), curves), len(listed) - len(drawn)


def _identity(caller: GraphCaller) -> tuple[object, ...]:
    return (0, caller.id, caller.endpoint if caller.id == OTHERS else None)


def _lines(label: str, more: str) -> tuple[str, ...]:
    strange = ("unusual letters: see the table",) if lookalikes.warnings(label) else ()
    return (show_escaped(label), more, *strange)
