"""The report as one page of HTML, which a browser prints to PDF: charts are SVG, and no script draws them.

Standing: over `sections` and `stackedbars`. Holds: the verdict is the first thing on the page, and at the foot of every
sheet of paper, so that no part of a report passes for another one.
"""

from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree

from bailiwick_cli.auditreport.report import AuditReport, ReportVerdict
from bailiwick_cli.auditreport.section import ReportChart, ReportSection
from bailiwick_cli.auditreport.sections import head_of, sections_of
from bailiwick_cli.auditreport.stackedbars import HEIGHT, WIDTH, draw_stacks
from bailiwick_cli.views.htmlpage import add_table, new_page, page_text

# From light to dark, so that a print without colours still tells them apart.
_FILLS: Final = ("#cfe3f5", "#2f74b5", "#f6c36b", "#8c2f14")
_EDGE: Final = "#37474f"
_INK: Final = "#1b1b1b"
_CLASSES: Final = {ReportVerdict.INTACT: "intact", ReportVerdict.CHANGED: "changed", ReportVerdict.UNKNOWN: "unknown"}
_STYLE: Final = (
    "td,th,li,p{overflow-wrap:anywhere}",
    "th{overflow-wrap:normal}.number{text-align:right;white-space:nowrap}",
    ".verdict{border:3px solid;padding:.6rem 1rem;margin:1rem 0}.verdict strong{font-size:1.4rem}",
    ".intact{border-color:#1e7d34;background:#e6f4ea}",
    ".changed{border-color:#b3261e;border-style:double;border-width:6px;background:#fce8e6}",
    ".unknown{border-color:#8a6100;border-style:dashed;background:#fff4d6}",
    "body{print-color-adjust:exact;-webkit-print-color-adjust:exact}",
    "@media print{th,td{padding:.2rem .35rem;font-size:8pt}thead{display:table-header-group}figure{margin:0}}",
)


def page(report: AuditReport) -> str:
    """Return the page."""
    head = head_of(report)
    # Words of ours alone stand in a style.
    foot = f"Audit report: {head.verdict.value.lower()}"
    sheets = (
        f'@page{{size:A4;margin:14mm 12mm 18mm;@bottom-left{{content:"{foot}";font:9pt sans-serif}}'
        '@bottom-right{content:counter(page) " / " counter(pages);font:9pt sans-serif}}'
    )
    root, body = new_page(f"{head.title}: {head.verdict.value.lower()}", (*_STYLE, sheets))
    ElementTree.SubElement(body, "h1").text = head.title
    verdict = ElementTree.SubElement(body, "div", {"class": f"verdict {_CLASSES[head.verdict]}"})
    ElementTree.SubElement(ElementTree.SubElement(verdict, "p"), "strong").text = head.verdict.value
    for sentence in head.sentences:
        ElementTree.SubElement(verdict, "p").text = sentence
    ElementTree.SubElement(body, "p").text = head.period
    for section in sections_of(report):
        _add_section(body, section)
    return page_text(root)


def _add_section(body: ElementTree.Element, section: ReportSection) -> None:
    ElementTree.SubElement(body, "h2").text = section.title
    for sentence in section.sentences:
        ElementTree.SubElement(body, "p").text = sentence
    if section.points:
        points = ElementTree.SubElement(body, "ul")
        for point in section.points:
            ElementTree.SubElement(points, "li").text = point
    if section.chart is not None:
        _add_chart(body, section.chart)
    for table in section.tables:
        add_table(body, table.headers, table.rows, table.numbers)
        if table.rest:
            ElementTree.SubElement(body, "p").text = table.rest


def _add_chart(body: ElementTree.Element, chart: ReportChart) -> None:
    figure = ElementTree.SubElement(body, "figure", {"style": "margin:0"})
    _add_legend(figure, [label for label, _ in chart.series])
    drawing = draw_stacks(chart.names, [counts for _, counts in chart.series])
    root = ElementTree.SubElement(
        figure,
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img", "width": "100%"},
    )
    ElementTree.SubElement(root, "title").text = f"{chart.title}. The table below has the numbers."
    for y in drawing.lines:
        ends = {"x1": "66", "x2": str(WIDTH), "y1": f"{y:.1f}", "y2": f"{y:.1f}"}
        ElementTree.SubElement(root, "line", {**ends, "stroke": "#b0bec5", "stroke-width": "1"})
    for bar in drawing.bars:
        place = {"x": bar.x, "y": bar.y, "width": bar.width, "height": bar.height}
        look = {"fill": _FILLS[bar.series], "stroke": _EDGE, "stroke-width": "0.75"}
        rect = ElementTree.SubElement(root, "rect", {name: f"{value:.1f}" for name, value in place.items()} | look)
        label = chart.series[bar.series][0]
        ElementTree.SubElement(rect, "title").text = f"{chart.names[bar.slot]}: {bar.count:,} {label}"
    for text in drawing.texts:
        style = {"font-size": "12", "fill": _INK, "font-family": "system-ui, sans-serif"}
        ElementTree.SubElement(root, "text", {"x": str(text.x), "y": str(text.y), **style}).text = text.text


def _add_legend(figure: ElementTree.Element, labels: Sequence[str]) -> None:
    legend = ElementTree.SubElement(figure, "ul", {"class": "legend"})
    for label, fill in zip(labels, _FILLS, strict=True):
        item = ElementTree.SubElement(legend, "li")
        box = ElementTree.SubElement(item, "span", {"style": f"background:{fill};border:1.5px solid {_EDGE}"})
        box.tail = label
