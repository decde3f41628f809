"""One page of HTML that needs nothing else: no script, no font and no style of another place, on a screen and on paper.

Standing: under the pages of coverage and of an audit. Holds: a page is built from elements, so that no text of others
is markup; whatever such a text became, nothing runs and nothing is fetched.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from xml.etree import ElementTree

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
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
    "@media print{body{margin:0;max-width:none;padding:0;font-size:10pt}}",
    "@media print{h2{break-after:avoid}tr,svg{break-inside:avoid}}",
)


def new_page(title: str, style: Sequence[str] = ()) -> tuple[ElementTree.Element, ElementTree.Element]:
    """Return a page, and where its content goes. `style`: further rules of ours, into which no text of others goes."""
    root = ElementTree.Element("html", {"lang": "en"})
    head = ElementTree.SubElement(root, "head")
    ElementTree.SubElement(head, "meta", {"charset": "utf-8"})
    ElementTree.SubElement(head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"})
    ElementTree.SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": POLICY})
    ElementTree.SubElement(head, "title").text = title
    ElementTree.SubElement(head, "style").text = "\n".join((*_STYLE, *style))
    return root, ElementTree.SubElement(ElementTree.SubElement(root, "body"), "main")


def page_text(root: ElementTree.Element) -> str:
    """Return a page as text, in ASCII, so that no setting of a terminal or of a server changes what it says."""
    written: bytes = ElementTree.tostring(root, encoding="us-ascii", method="html")
    return f"<!doctype html>\n{written.decode('ascii')}\n"


def add_table(
    body: ElementTree.Element,
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: frozenset[int] = frozenset(),
) -> None:
    """Add a table, if it has a row. `numbers`: the columns with numbers. Texts of others are escaped before."""
    listed = list(rows)
    if not listed:
        return
    table = ElementTree.SubElement(body, "table")
    head = ElementTree.SubElement(ElementTree.SubElement(table, "thead"), "tr")
    for place, text in enumerate(headers):
        ElementTree.SubElement(head, "th", {"scope": "col"} | _look(place, numbers)).text = text
    lines = ElementTree.SubElement(table, "tbody")
    for row in listed:
        line = ElementTree.SubElement(lines, "tr")
        for place, text in enumerate(row):
            ElementTree.SubElement(line, "td", _look(place, numbers)).text = text


def _look(place: int, numbers: frozenset[int]) -> dict[str, str]:
    return {"class": "number"} if place in numbers else {}
