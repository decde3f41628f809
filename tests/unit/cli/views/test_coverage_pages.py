"""Coverage as Markdown and HTML: no text of others is markup there, and a script of a shell reads no fix of it."""

from html.parser import HTMLParser
from typing import Final

import yaml

from bailiwick_cli.views import coveragepage, coverageview
from bailiwick_cli.views.coverageview import ClusterCoverage
from bailiwick_coverage.facts import ClusterFacts, ObjectRef
from bailiwick_coverage.findings import CoverageCode, CoverageFinding, CoverageFix
from bailiwick_coverage.report import CoverageReport

HOSTILE: Final = '"><script>alert(1)</script> | `x` \n# kind: Pod\u202e'


def report() -> list[ClusterCoverage]:
    ref = ObjectRef("Service", "crm", HOSTILE)
    fix = CoverageFix(({"kind": "ConfigMap", "data": {"key": HOSTILE}},), HOSTILE)
    one = CoverageFinding(CoverageCode.UNPROTECTED, ref, HOSTILE, fix, HOSTILE)
    facts = ClusterFacts(asked=("crm",), namespaces={})
    return [ClusterCoverage(HOSTILE, CoverageReport(facts, (one,), (), ()))]


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def test_a_page_has_no_element_of_a_text_of_others() -> None:
    tags = Tags()
    tags.feed(coveragepage.page(report()))
    assert "script" not in tags.seen
    assert {"svg", "table", "details"} <= tags.seen


def test_a_fix_is_one_document_whatever_its_comments_say() -> None:
    documents = list(yaml.safe_load_all(coverageview.fixes(report())))
    assert documents == [{"kind": "ConfigMap", "data": {"key": HOSTILE}}]


def test_markdown_has_no_html_of_others_in_its_tables() -> None:
    lines = coverageview.markdown(report()).split("```yaml")[0]
    assert "<script" not in lines
