"""Coverage as one page of HTML, which needs nothing else: no script, no font and no style of another place.

Standing: over `coverageview`. Holds: the page is built from elements, so that no text of others is markup.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from xml.etree import ElementTree

from bailiwick_cli.views import coveragepicture
from bailiwick_cli.views.coverageview import ClusterCoverage, fix_text, headline
from bailiwick_coverage.report import CoverageReport
from bailiwick_engine.approval.display import visible

# Of a page that fits a phone, a screen and paper.
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}",
    "body{color:#1b1b1b;background:#fff}",
    "h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}",
    "table{border-collapse:collapse;width:100%;margin:1rem 0}",
    "th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #d0d7de}",
    "pre{background:#f6f8fa;padding:.8rem;overflow:auto;font-size:13px}",
    "ul.legend{list-style:none;padding:0;display:flex;gap:1rem;flex-wrap:wrap}",
    "ul.legend span{display:inline-block;width:.9rem;height:.9rem;margin-right:.35rem;vertical-align:-.1rem}",
    "code{overflow-wrap:anywhere}",
)


def page(found: Sequence[ClusterCoverage]) -> str:
    """Return the page."""
    root = ElementTree.Element("html", {"lang": "en"})
    head = ElementTree.SubElement(root, "head")
    ElementTree.SubElement(head, "meta", {"charset": "utf-8"})
    ElementTree.SubElement(head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"})
    # Whatever a text of others became, nothing runs and nothing is fetched.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    ElementTree.SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": policy})
    ElementTree.SubElement(head, "title").text = "Coverage"
    ElementTree.SubElement(head, "style").text = "\n".join(_STYLE)
    body = ElementTree.SubElement(ElementTree.SubElement(root, "body"), "main")
    ElementTree.SubElement(body, "h1").text = "What no decision point is asked about"
    for one in found:
        _add_cluster(body, one)
    return "<!doctype html>\n" + ElementTree.tostring(root, encoding="unicode", method="html") + "\n"


def _add_cluster(body: ElementTree.Element, one: ClusterCoverage) -> None:
    report = one.report
    ElementTree.SubElement(body, "h2").text = visible(one.context)
    ElementTree.SubElement(ElementTree.SubElement(body, "p"), "strong").text = headline(report)
    if report.knows_services:
        _add_picture(body, report)
    _add_table(
        body,
        ("Finding", "Object", "What"),
        ((each.code.value, str(each.ref), each.sentence) for each in report.findings),
    )
    _add_table(
        body,
        ("Exempt", "Object", "Reason"),
        ((each.finding.code.value, str(each.finding.ref), each.reason) for each in report.exempt),
    )
    for each in report.findings:
        if each.fix is not None:
            details = ElementTree.SubElement(body, "details")
            ElementTree.SubElement(details, "summary").text = f"Fix {each.code.value}: {visible(str(each.ref))}"
            ElementTree.SubElement(details, "pre").text = fix_text(each, each.fix).removeprefix("---\n")


def _add_picture(body: ElementTree.Element, report: CoverageReport) -> None:
    picture = coveragepicture.picture_of(report)
    body.append(coveragepicture.svg(picture))
    if picture.more:
        ElementTree.SubElement(body, "p").text = f"{picture.more} more Services are not in the picture."
    legend = ElementTree.SubElement(body, "ul", {"class": "legend"})
    for word, fill, border in coveragepicture.legend():
        item = ElementTree.SubElement(legend, "li")
        box = ElementTree.SubElement(item, "span", {"style": f"background:{fill};border:1.5px solid {border}"})
        box.tail = word


def _add_table(body: ElementTree.Element, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    listed = list(rows)
    if not listed:
        return
    table = ElementTree.SubElement(body, "table")
    head = ElementTree.SubElement(ElementTree.SubElement(table, "thead"), "tr")
    for text in headers:
        ElementTree.SubElement(head, "th", {"scope": "col"}).text = text
    lines = ElementTree.SubElement(table, "tbody")
    for row in listed:
        line = ElementTree.SubElement(lines, "tr")
        for text in row:
            ElementTree.SubElement(line, "td").text = visible(text)
