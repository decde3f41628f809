"""A graph in columns: each box and each curve has a place of its own, and a text that is too long is shortened."""

import re
from itertools import pairwise

from hypothesis import given, strategies as st

from bailiwick_governance.views.columndrawing import ColumnEdge, ColumnNode, draw_columns

HEADINGS = ("one", "two", "three")
NODES = st.lists(
    st.builds(
        ColumnNode,
        st.lists(st.text(max_size=60), min_size=1, max_size=16).map(tuple),
        st.integers(0, len(HEADINGS) - 1),
        st.just(""),
    ),
    min_size=2,
    max_size=30,
)


@given(NODES, st.data())
def test_each_box_has_room_of_its_own_and_each_curve_leads_from_box_to_box(
    nodes: list[ColumnNode], data: st.DataObject
) -> None:
    at = st.integers(0, len(nodes) - 1)
    pairs = st.tuples(at, at).filter(lambda pair: nodes[pair[0]].column < nodes[pair[1]].column)
    drawable = any(one.column < other.column for one in nodes for other in nodes)
    edges = [ColumnEdge(*pair, "") for pair in data.draw(st.lists(pairs, max_size=20))] if drawable else []
    drawing = draw_columns(HEADINGS, nodes, edges)
    assert (len(drawing.boxes), len(drawing.curves)) == (len(nodes), len(edges))
    for column in range(len(HEADINGS)):
        boxes = [box for node, box in zip(nodes, drawing.boxes, strict=True) if node.column == column]
        assert len({box.x for box in boxes}) <= 1
        assert all(one.y + one.height < other.y for one, other in pairwise(boxes))
    for node, box in zip(nodes, drawing.boxes, strict=True):
        assert 0 < box.x < box.x + box.width < drawing.width
        assert 0 < box.y < box.y + box.height < drawing.height
        assert all(box.y < line.y < box.y + box.height for line in box.lines)
        assert [len(line.text) for line in box.lines] == [min(len(text), 34) for text in node.lines]
        assert box.title == ", ".join(node.lines)
    for edge, curve in zip(edges, drawing.curves, strict=True):
        numbers = [int(one) for one in re.findall(r"-?\d+", curve.path)]
        source, target = drawing.boxes[edge.source], drawing.boxes[edge.target]
        assert (numbers[0], *numbers[-2:]) == (source.x + source.width, *curve.end)
        assert curve.end[0] == target.x


def test_curves_between_the_same_boxes_run_beside_each_other() -> None:
    nodes = [ColumnNode(("a", "b"), 0, ""), ColumnNode(("c",), 1, "")]
    drawing = draw_columns(HEADINGS[:2], nodes, [ColumnEdge(0, 1, str(number)) for number in range(4)])
    assert len({one.path for one in drawing.curves}) == 4
    box = drawing.boxes[1]
    assert all(box.y < one.end[1] < box.y + box.height for one in drawing.curves)
    assert [one.look for one in drawing.curves] == ["0", "1", "2", "3"]
