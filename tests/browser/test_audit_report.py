"""The page of `audit report` in a real browser: on a screen, for everybody, and on paper, also with hostile texts."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from bailiwick_cli.auditreport.page import page as page_of
from bailiwick_cli.auditreport.report import AuditReport
from support.console.axe import violations
from support.evidence.auditreports import march_report, report_of
from support.evidence.logs import ProcessLog

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE: Final = (
    "<script>document.title='changed'</script>",
    '"><img src="http://127.0.0.1:9/x" onerror="document.title=1">',
    "</style></title><form action=http://127.0.0.1:9/><button>ok</button></form>",
    "\u202eevil\x1b[2J",
)


def damaged() -> AuditReport:
    """A log of which the last lines are gone, with hostile texts in each place."""
    log = ProcessLog(2)
    for text in HOSTILE * 40:
        called: dict[str, Any] = {"subject": {"id": text}, "action": text, "resource": {"type": text, "id": text}}
        log.add(decision=True, reason="allowed", endpoint=text, policy={"name": text, "rule": text}, **called)
        grant = {"name": text, "uid": text, "reviews": [{"reviewer": text, "step": text}]}
        log.add(decision=True, reason="allowed", endpoint=text, grant=grant, **called)
        log.add(decision=False, reason=text, endpoint=text, **called)
    return report_of([b"".join(log.lines[:-2])], [log.checkpoint()])


def opened(page: "Page", folder: Path, report: AuditReport) -> None:
    (folder / "report.html").write_text(page_of(report), encoding="utf-8")
    page.goto((folder / "report.html").as_uri())
    page.get_by_role("heading", name="Audit report", exact=False).first.wait_for()


@pytest.mark.parametrize(
    ("report", "title", "verdict"),
    [
        (march_report, "Audit report of production-east: intact", "Intact"),
        (damaged, "Audit report: not intact", "Not intact"),
    ],
)
def test_the_page_shows_the_verdict_on_a_screen_and_on_paper(
    page: "Page",
    tmp_path: Path,
    report: Callable[[], AuditReport],
    title: str,
    verdict: str,
) -> None:
    opened(page, tmp_path, report())
    assert page.title() == title
    assert page.locator("script, img, form, button, iframe, a").count() == 0
    assert page.locator("svg").count() == 2
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 900})
    page.emulate_media(media="print")
    first = page.locator(".verdict strong")
    assert (first.inner_text(), first.is_visible()) == (verdict, True)
    place = page.locator(".verdict").bounding_box()
    assert place is not None
    assert place["y"] < 300
    paper = page.pdf(prefer_css_page_size=True)
    assert paper.startswith(b"%PDF-")
    assert f"/Title ({title})".encode() in paper
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) >= 1
