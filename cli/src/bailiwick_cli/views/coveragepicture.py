"""The picture of coverage: ways in, enforcement points and Services, as Mermaid for a review and as SVG for a page.

Standing: under `coverageview` and `coveragepage`. Holds: both are drawn from one graph; every text of others is
escaped; what there is no room for is counted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from xml.etree import ElementTree

from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_coverage.findings import CoverageCode
from bailiwick_coverage.protection import ProtectionKind
from bailiwick_coverage.report import CoverageReport, ServiceRow
from bailiwick_engine.approval.display import visible
from bailiwick_governance.views.columndrawing import ColumnEdge, ColumnNode, DrawnBox, draw_columns

MOST_SERVICES: Final = 40
_COLUMNS: Final = ("Ways in", "Enforcement points", "Services")


class PictureTone(StrEnum):
    """What the colour of a node means; its border means the same to those who see no colour."""

    PROTECTED = "protected"
    OPEN = "open"
    UNKNOWN = "unknown"
    EXEMPT = "exempt"
    PLAIN = "plain"


# Fill, border and dashes.
_STYLES: Final = {
    PictureTone.PROTECTED: ("#e6f4ea", "#1e7d34", ""),
    PictureTone.OPEN: ("#fce8e6", "#b3261e", ""),
    PictureTone.UNKNOWN: ("#fff4d6", "#8a6100", "6 3"),
    PictureTone.EXEMPT: ("#eceff1", "#546e7a", "2 3"),
    PictureTone.PLAIN: ("#ffffff", "#37474f", ""),
}


@dataclass(frozen=True, slots=True)
class PictureNode:
    """A box in one of the three columns."""

    label: str
    column: int
    tone: PictureTone


@dataclass(frozen=True, slots=True)
class PictureEdge:
    """An arrow between two boxes, by their places. `asks`: decisions are requested on this way."""

    source: int
    target: int
    asks: bool


@dataclass(frozen=True, slots=True)
class CoveragePicture:
    """The graph. `more`: Services that it leaves out."""

    nodes: tuple[PictureNode, ...]
    edges: tuple[PictureEdge, ...]
    more: int = 0


def picture_of(report: CoverageReport) -> CoveragePicture:
    """Return the graph of a report: Services with findings first."""
    tones = {row.service.ref: _tone(report, row) for row in report.services}
    order = [PictureTone.OPEN, PictureTone.UNKNOWN, PictureTone.EXEMPT, PictureTone.PROTECTED]
    rows = sorted(report.services, key=lambda row: (order.index(tones[row.service.ref]), row.service.ref))
    shown = rows[:MOST_SERVICES]
    nodes: dict[PictureNode, int] = {}
    edges: dict[PictureEdge, None] = {}

    def place(label: str, column: int, tone: PictureTone) -> int:
        return nodes.setdefault(PictureNode(label, column, tone), len(nodes))

    for row in shown:
        service = place(f"{row.service.namespace}/{row.service.name}", 2, tones[row.service.ref])
        callers = place("pods of the cluster", 0, PictureTone.PLAIN)
        points = [place(one, 1, PictureTone.PLAIN) for one in _points(row)]
        for point in points:
            edges[PictureEdge(callers, point, asks=False)] = None
            edges[PictureEdge(point, service, asks=True)] = None
        if not points or tones[row.service.ref] is PictureTone.OPEN:
            edges[PictureEdge(callers, service, asks=row.held.kind is ProtectionKind.OWN)] = None
        for route in report.facts.routes:
            if (row.service.namespace, row.service.name) in route.backends:
                way = place(str(route.ref), 0, _route_tone(report, route.ref))
                target = points[0] if points and _route_tone(report, route.ref) is PictureTone.PLAIN else service
                edges[PictureEdge(way, target, asks=False)] = None
    return CoveragePicture(tuple(nodes), tuple(edges), len(rows) - len(shown))


def _points(row: ServiceRow) -> Iterator[str]:
    if row.held.kind is ProtectionKind.PROXY:
        for username in sorted(row.held.enforcers):
            account = ServiceAccountName.parse(username)
            yield username if account is None else f"{account.namespace}/{account.name}"


def _tone(report: CoverageReport, row: ServiceRow) -> PictureTone:
    codes = {one.code for one in report.findings if one.ref == row.service.ref}
    if codes & {CoverageCode.UNPROTECTED, CoverageCode.AROUND}:
        return PictureTone.OPEN
    if CoverageCode.UNKNOWN in codes:
        return PictureTone.UNKNOWN
    if any(one.finding.ref == row.service.ref for one in report.exempt):
        return PictureTone.EXEMPT
    return PictureTone.PROTECTED if row.held.kind is not ProtectionKind.NONE else PictureTone.UNKNOWN


def _route_tone(report: CoverageReport, ref: object) -> PictureTone:
    return PictureTone.OPEN if any(one.ref == ref for one in report.findings) else PictureTone.PLAIN


def mermaid(picture: CoveragePicture) -> str:
    """Return a flowchart of Mermaid."""
    lines = ["flowchart LR"]
    lines += [f'  n{place}["{_quoted(one.label)}"]:::{one.tone.value}' for place, one in enumerate(picture.nodes)]
    lines += [f"  n{one.source} {'-->|asks|' if one.asks else '-->'} n{one.target}" for one in picture.edges]
    if picture.more:
        lines.append(f'  more["{picture.more} more Services"]')
    for tone, (fill, border, dashes) in _STYLES.items():
        dashed = f",stroke-dasharray:{dashes}" if dashes else ""
        lines.append(f"  classDef {tone.value} fill:{fill},stroke:{border},color:#1b1b1b{dashed}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # Mermaid has no backslash: what it takes for markup is written as an entity.
    special = {'"': "#quot;", "<": "#lt;", ">": "#gt;", "#": "#35;", "`": "#96;", "&": "#amp;"}
    return "".join(special.get(one, one) for one in visible(text))


def svg(picture: CoveragePicture) -> ElementTree.Element:
    """Return a drawing with a title, for a page."""
    nodes = [ColumnNode((visible(node.label),), node.column, node.tone) for node in picture.nodes]
    edges = [ColumnEdge(edge.source, edge.target, "") for edge in picture.edges]
    drawing = draw_columns(_COLUMNS, nodes, edges)
    size = f"0 0 {drawing.width} {drawing.height}"
    root = ElementTree.Element(
        "svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": size, "role": "img", "width": "100%"}
    )
    ElementTree.SubElement(root, "title").text = "Ways in, enforcement points and Services"
    definitions = ElementTree.SubElement(root, "defs")
    marker = ElementTree.SubElement(
        definitions,
        "marker",
        {"id": "arrow", "viewBox": "0 0 8 8", "refX": "8", "refY": "4", "markerWidth": "7", "markerHeight": "7"},
    )
    marker.set("orient", "auto")
    ElementTree.SubElement(marker, "path", {"d": "M0 0L8 4L0 8z", "fill": "#37474f"})
    for heading in drawing.headings:
        _text(root, heading.x, heading.y, heading.text, weight="bold")
    for edge, curve in zip(picture.edges, drawing.curves, strict=True):
        line = {"d": curve.path, "fill": "none", "stroke": "#37474f", "marker-end": "url(#arrow)"}
        ElementTree.SubElement(root, "path", line)
        # Between columns that are not beside each other, the word would stand on a box.
        if edge.asks and picture.nodes[edge.target].column - picture.nodes[edge.source].column == 1:
            _text(root, curve.end[0] - 44, curve.end[1] - 5, "asks", size="11")
    for node, box in zip(picture.nodes, drawing.boxes, strict=True):
        _draw_box(root, box, node.tone)
    return root


def _draw_box(root: ElementTree.Element, box: DrawnBox, tone: PictureTone) -> None:
    fill, border, dashes = _STYLES[tone]
    place = {"x": box.x, "y": box.y, "width": box.width, "height": box.height, "rx": 6}
    look = {"fill": fill, "stroke": border, "stroke-width": "1.5", "stroke-dasharray": dashes or "none"}
    group = ElementTree.SubElement(root, "g")
    ElementTree.SubElement(group, "title").text = f"{box.title}: {tone.value}"
    ElementTree.SubElement(group, "rect", {name: str(value) for name, value in place.items()} | look)
    for line in box.lines:
        _text(group, line.x, line.y, line.text)


def _text(parent: ElementTree.Element, x: int, y: int, text: str, *, size: str = "13", weight: str = "normal") -> None:
    style = {"font-size": size, "font-weight": weight, "fill": "#1b1b1b", "font-family": "system-ui, sans-serif"}
    ElementTree.SubElement(parent, "text", {"x": str(x), "y": str(y), **style}).text = text


def legend(tones: Sequence[PictureTone] = tuple(PictureTone)) -> Iterator[tuple[str, str, str]]:
    """Yield of each tone its word, its fill and its border."""
    for tone in tones:
        fill, border, _ = _STYLES[tone]
        yield tone.value, fill, border
