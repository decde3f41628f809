"""A graph in columns, placed: boxes of lines, and curves from box to box.

Standing: under the pictures of `coverage` and of the console, which write it as elements and as a template. Holds:
pure; numbers and texts alone, no markup; each box and each curve that it is given is in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BOX_WIDTH: Final = 250
_LINE: Final = 18
_PADDING: Final = 16
_GAP_X: Final = 130
_GAP_Y: Final = 16
_MARGIN: Final = 16
_HEADING: Final = 24
_INDENT: Final = 10
_BASELINE: Final = 22
_BEND: Final = 60
_BESIDE: Final = 8
_LONGEST: Final = 34


@dataclass(frozen=True, slots=True)
class ColumnNode:
    """A box. `lines`: already escaped, the name first; `look` is whatever the drawing makes of it."""

    lines: tuple[str, ...]
    column: int
    look: str


@dataclass(frozen=True, slots=True)
class ColumnEdge:
    """A curve from the box at one place of the list to the box at another."""

    source: int
    target: int
    look: str


@dataclass(frozen=True, slots=True)
class DrawnText:
    """A line of text: its left end, on its baseline."""

    x: int
    y: int
    text: str


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A box where it is. `title`: all of its text; a line that is too long for the box is shortened."""

    x: int
    y: int
    width: int
    height: int
    title: str
    lines: tuple[DrawnText, ...]
    look: str


@dataclass(frozen=True, slots=True)
class DrawnCurve:
    """A curve. `path`: the `d` of an SVG path; `end`: where it arrives; `look` as of its edge."""

    path: str
    end: tuple[int, int]
    look: str


@dataclass(frozen=True, slots=True)
class ColumnDrawing:
    """The whole drawing: `width` and `height` are of all of it. Boxes and curves stand in the order of the lists."""

    width: int
    height: int
    headings: tuple[DrawnText, ...]
    boxes: tuple[DrawnBox, ...]
    curves: tuple[DrawnCurve, ...]


def draw_columns(headings: Sequence[str], nodes: Sequence[ColumnNode], edges: Sequence[ColumnEdge]) -> ColumnDrawing:
    """Return the drawing: in each column the boxes from the top, in the order of the list."""
    top = _MARGIN + _HEADING
    ends = [top] * len(headings)
    boxes = []
    for node in nodes:
        box = _box(node, _left(node.column), ends[node.column])
        ends[node.column] = box.y + box.height + _GAP_Y
        boxes.append(box)
    return ColumnDrawing(
        2 * _MARGIN + len(headings) * BOX_WIDTH + (len(headings) - 1) * _GAP_X,
        max(ends) + _MARGIN,
        tuple(DrawnText(_left(column), _MARGIN + 6, text) for column, text in enumerate(headings)),
        tuple(boxes),
        tuple(_curves(boxes, edges)),
    )


def _left(column: int) -> int:
    return _MARGIN + column * (BOX_WIDTH + _GAP_X)


def _box(node: ColumnNode, x: int, y: int) -> DrawnBox:
    lines = tuple(
        DrawnText(x + _INDENT, y + _BASELINE + number * _LINE, _shorten(text)) for number, text in enumerate(node.lines)
    )
    return DrawnBox(x, y, BOX_WIDTH, _PADDING + _LINE * len(lines), ", ".join(node.lines), lines, node.look)


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"


def _curves(boxes: Sequence[DrawnBox], edges: Sequence[ColumnEdge]) -> list[DrawnCurve]:
    """Return the curves. Those between the same two boxes run beside each other."""
    between: dict[tuple[int, int], list[int]] = {}
    for number, edge in enumerate(edges):
        between.setdefault((edge.source, edge.target), []).append(number)
    curves = []
    for number, edge in enumerate(edges):
        beside = between[edge.source, edge.target]
        shift = (2 * beside.index(number) - len(beside) + 1) * _BESIDE // 2
        source, target = boxes[edge.source], boxes[edge.target]
        x, y = source.x + source.width, source.y + source.height // 2 + shift
        to_x, to_y = target.x, target.y + target.height // 2 + shift
        path = f"M{x} {y}C{x + _BEND} {y} {to_x - _BEND} {to_y} {to_x} {to_y}"
        curves.append(DrawnCurve(path, (to_x, to_y), edge.look))
    return curves
