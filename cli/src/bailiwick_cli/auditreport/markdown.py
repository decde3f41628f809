"""The report as Markdown, for a review or a ticket.

Standing: over `sections`. Holds: no text of others is markup; the verdict stands first. The tables have the numbers
that the page draws.
"""

from collections.abc import Iterator

from bailiwick_cli.auditreport.report import AuditReport
from bailiwick_cli.auditreport.section import ReportSection
from bailiwick_cli.auditreport.sections import head_of, sections_of
from bailiwick_governance.markdown import plain, table


def markdown(report: AuditReport) -> str:
    """Return the report."""
    head = head_of(report)
    lines = [f"# {plain(head.title)}", "", f"**{head.verdict.value}.** {plain(' '.join(head.sentences))}", ""]
    lines += [plain(head.period), ""]
    for section in sections_of(report):
        lines += _lines(section)
    return "\n".join(lines).rstrip() + "\n"


def _lines(section: ReportSection) -> Iterator[str]:
    yield from (f"## {section.title}", "")
    for sentence in section.sentences:
        yield from (plain(sentence), "")
    if section.points:
        yield from (f"- {plain(point)}" for point in section.points)
        yield ""
    for one in section.tables:
        yield from table(one.headers, one.rows)
        yield from ("", *((plain(one.rest), "") if one.rest else ()))
