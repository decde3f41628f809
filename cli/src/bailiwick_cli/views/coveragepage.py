"""Coverage as one page of HTML.

Standing: over `coverageview` and `htmlpage`. Holds: every text of others is escaped before it is on the page.
"""

from collections.abc import Sequence
from xml.etree import ElementTree

from bailiwick_cli.views import coveragepicture
from bailiwick_cli.views.coverageview import ClusterCoverage, fix_text, headline
from bailiwick_cli.views.htmlpage import add_table, new_page, page_text
from bailiwick_coverage.report import CoverageReport
from bailiwick_engine.approval.display import visible


def page(found: Sequence[ClusterCoverage]) -> str:
    """Return the page."""
    root, body = new_page("Coverage")
    ElementTree.SubElement(body, "h1").text = "What no decision point is asked about"
    for one in found:
        _add_cluster(body, one)
    return page_text(root)


def _add_cluster(body: ElementTree.Element, one: ClusterCoverage) -> None:
    report = one.report
    ElementTree.SubElement(body, "h2").text = visible(one.context)
    ElementTree.SubElement(ElementTree.SubElement(body, "p"), "strong").text = headline(report)
    if report.knows_services:
        _add_picture(body, report)
    add_table(
        body,
        ("Finding", "Object", "What"),
        ((each.code.value, visible(str(each.ref)), visible(each.sentence)) for each in report.findings),
    )
    add_table(
        body,
        ("Exempt", "Object", "Reason"),
        ((each.finding.code.value, visible(str(each.finding.ref)), visible(each.reason)) for each in report.exempt),
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
