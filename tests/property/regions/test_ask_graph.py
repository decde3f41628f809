"""The graph of who may ask whom, held against the matrix: each edge is a cell, and each cell is an edge.

Holds: the policies are those of `test_rights`, where each cell of the matrix is held against the engine.
"""

from collections.abc import Callable
from typing import Any, Final

from hypothesis import given, strategies as st

from bailiwick_console.endpoints import graphpage, matrixpage, overview
from bailiwick_console.endpoints.graphpage import GraphPage
from bailiwick_console.endpoints.matrixpage import MatrixCell
from bailiwick_console.endpoints.source import EndpointReading
from bailiwick_console.markup.addressnames import name_of
from bailiwick_regions.rights.matrix import AccessMatrix
from property.regions.test_diffs import policies
from property.regions.test_rights import KEY, crowds, endpoint_of, of_people
from unit.engine.cases import NOW

HANGS: Final = {"conditions", "purpose", "workload", "properties"}
"""Marks of a cell that are conditions of a call, and no part of its name."""


def read(raw: dict[str, Any]) -> EndpointReading:
    """Return an endpoint as the console has read it."""
    return EndpointReading(KEY, (), overview.EndpointState(*KEY, ()), endpoint_of(raw), (), NOW)


def matrix_of(found: EndpointReading) -> AccessMatrix:
    assert found.compiled is not None
    return AccessMatrix(found.key, found.compiled, found.now)


def pages(found: EndpointReading) -> list[GraphPage]:
    first = graphpage.compose([found], matrix_of, "1")
    rest = (graphpage.compose([found], matrix_of, str(number)) for number in range(2, first.callers.pages + 1))
    return [first, *rest]


# What a cell of each look lets the edges of its subject and action be.
FITS: Final[dict[str, Callable[[MatrixCell, set[str]], bool]]] = {
    "denied": lambda _, kinds: not kinds,
    "unclear": lambda _, kinds: kinds == {"not compared"},
    "asked": lambda _, kinds: kinds == {"gated"},
    "allowed": lambda _, kinds: bool(kinds) and kinds <= {"allowed", "conditional"},
    "both": lambda _, kinds: "gated" in kinds and {"gated"} < kinds <= {"allowed", "conditional", "gated"},
}


@given(st.one_of(crowds(), policies()).map(of_people))
def test_each_edge_of_the_graph_is_a_cell_of_the_matrix_and_each_cell_an_edge(raw: dict[str, Any]) -> None:
    found = read(raw)
    matrix = matrix_of(found)
    listed = [one for page in pages(found) for one in page.callers.entries]
    subjects = [*map(matrix.subject, matrix.keys), matrix.others]
    assert [one.name for one in listed] == [name_of(one.id) for one in subjects]
    drawn = {
        (caller.name, action): {edge.kind for edge in caller.edges if action in {name for name, _ in edge.actions}}
        for caller in listed
        for edge in caller.edges
        for action, _ in edge.actions
    }
    cells = {
        (name_of(one.id), name_of(action)): matrix.cell(one, action) for one in subjects for action in matrix.actions
    }
    assert drawn.keys() <= cells.keys()
    for at, cell in cells.items():
        shown, kinds = matrixpage.cell(cell), drawn.get(at, set())
        assert FITS[shown.look](shown, kinds), (at, shown, kinds)
        assert "conditional" not in kinds or HANGS & set(shown.marks), (at, shown)
        # Allowed without a word more is allowed whatever the conditions say.
        free = [row for row in cell or () if row.way is not None and row.way.level == "allow" and not row.way.given]
        assert free or "allowed" not in kinds, (at, shown)


@given(st.one_of(crowds(), policies()).map(of_people))
def test_what_is_drawn_is_what_the_table_has(raw: dict[str, Any]) -> None:
    for page in pages(read(raw)):
        listed = [edge for caller in page.callers.entries for edge in caller.edges]
        assert (page.drawing is None) == (not listed)
        if page.drawing is not None:
            looks = [one.look for one in page.drawing.curves]
            assert looks == [*(edge.look for edge in listed[: graphpage.MOST_EDGES]), "asks"]
            assert page.undrawn == max(len(listed) - graphpage.MOST_EDGES, 0)
