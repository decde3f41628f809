"""tests-as-evidence.md names tests for each row of the pages that people read, and no other page names one."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from support.pages import DOCS
from unit.test_docs import anchors

ROOT: Final = DOCS.parent
EVIDENCE: Final = "reference/tests-as-evidence.md"
PAGES: Final = (
    "concepts/compliance.md",
    "concepts/evidence.md",
    "concepts/limitations.md",
    "concepts/threat-model.md",
    "reference/availability.md",
)
HEADING: Final = re.compile(r"^(#+) (.+)$")
# A row of a table begins with its id; a border is an item of a list.
ID: Final = re.compile(r"\| ([A-Z]?\d{1,2}|NHI\d+:2025|[A-Z]{2}\.[A-Z]{2}-\d{2}) \|")
BORDER: Final = re.compile(r"(\d)\. \*")
LINE: Final = re.compile(r"\| \[([^]]+)\]\(([^)#]+)#([^)]+)\) \|(?:[^|]*\|)? ([^|]+) \|")
TEST: Final = re.compile(r"`(tests/[\w/.]+)`")
THREATS: Final = "Our own threats"
# Its first column has names that others use, and no ids.
MISTAKEN: Final = "identifiers-that-are-often-mistaken"
# What stands here as a whole, by a name and not by an id.
WHOLE: Final = {
    ("concepts/threat-model.md", "who-is-trusted-with-what", "every right"),
    ("concepts/evidence.md", "what-audit-verify-says", "every finding"),
    ("concepts/evidence.md", "what-vouches-for-a-log", "no forged log"),
    ("concepts/evidence.md", "whether-counts-follow-from-each-other", "counts"),
    ("concepts/evidence.md", "what-an-attacker-leaves", "every attack"),
    ("concepts/evidence.md", "a-witness-outside-of-the-cluster", "outside witness"),
    ("concepts/evidence.md", "one-log-of-all-clusters", "one log of all clusters"),
    ("concepts/evidence.md", "deleting-records-when-their-time-has-come", "removal"),
    ("reference/authzen.md", "authzen", "AuthZEN's scenario"),
    ("reference/kubernetes.md", "calls-of-the-api-server", "calls of the API server"),
    ("reference/admission.md", "when-the-webhook-is-unavailable", "no check of policies"),
    ("reference/witness.md", "the-witness-and-the-ledger", "the witness"),
    ("reference/spans.md", "spans", "spans"),
    ("how-to/coverage.md", "what-it-does-not-see", "coverage"),
    ("operations/install.md", "with-helm", "the chart"),
    ("operations/noisy-neighbours.md", "how-it-is-tested", "noisy neighbours"),
    ("reference/sdk.md", "names-that-mean-the-same-thing", "guards of the SDK"),
    ("concepts/comparisons.md", "cerbos", "SDK and Cerbos"),
    ("concepts/comparisons.md", "decern", "SDK and decern"),
    ("concepts/comparisons.md", "dogwood-and-agentcore-policy", "Dogwood"),
}
# The first is the readers' own; of the next two nothing is claimed; the last is the kubelet's work.
UNTESTED: Final = {
    ("concepts/threat-model.md", "where-trust-changes", "1"),
    ("concepts/compliance.md", "nist-cybersecurity-framework-20", "PR.AA-01"),
    ("concepts/compliance.md", "nist-cybersecurity-framework-20", "PR.AA-06"),
    ("reference/availability.md", "the-decision-point", "D2"),
}
# Decision records are history.
HISTORY: Final = "adr/"
COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
# Tests of policies, not of the project.
EXAMPLE: Final = re.compile(r"\bexamples/(?:[\w-]+/)*tests\b[\w./-]*")
# A folder `tests` of the reader's own has other members.
MEMBERS: Final = "|".join(re.escape(path.name) for path in (ROOT / "tests").iterdir())
NAMED: Final = re.compile(rf"\btests/(?:{MEMBERS})\b[\w./-]*|\btest_\w+")


class PageRow(NamedTuple):
    """A row of a page, an item of its list of borders, or a threat with its own heading."""

    page: str
    anchor: str
    name: str


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def rows(page: str, text: str) -> Iterator[PageRow]:
    """Yield the rows of a page. A threat that has rows of its own is not one."""
    part = below = ""
    heading = PageRow(page, "", "")
    for line in text.splitlines():
        if found := HEADING.match(line):
            if heading.name:
                yield heading
            part = found[2] if found[1] == "##" else part
            below = anchor(found[2])
            heading = PageRow(page, below, found[2] if found[1] == "###" and part == THREATS else "")
        elif below != MISTAKEN and (found := ID.match(line) or BORDER.match(line)):
            heading = PageRow(page, below, "")
            yield PageRow(page, below, found[1])
    if heading.name:
        yield heading


def told(text: str) -> Iterator[tuple[PageRow, str]]:
    """Yield each row that the page for auditors names, and what stands there as its tests."""
    folder = (DOCS / EVIDENCE).parent
    for line in text.partition("\n## The invariants\n")[0].splitlines():
        if found := LINE.match(line):
            name, link, below, tests = found.groups()
            yield PageRow((folder / link).resolve().relative_to(DOCS).as_posix(), below, name), tests


def evidence() -> list[tuple[PageRow, str]]:
    return list(told((DOCS / EVIDENCE).read_text(encoding="utf-8")))


def wanted() -> set[PageRow]:
    return {row for page in PAGES for row in rows(page, (DOCS / page).read_text(encoding="utf-8"))}


def named_tests(text: str) -> list[str]:
    """Return what a page's readers see of names of the project's tests."""
    return NAMED.findall(EXAMPLE.sub("", COMMENT.sub("", text)))


def test_no_other_page_names_a_test() -> None:
    pages = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md")}
    del pages[EVIDENCE]
    named = {page: named_tests(text) for page, text in pages.items() if not page.startswith(HISTORY)}
    assert {page: tests for page, tests in named.items() if tests} == {}


@pytest.mark.parametrize(
    "text",
    [
        "shown by `tests/unit/test_docs.py`",
        "see [it](../../tests/cluster/webhook/approvals/test_races.py)",
        "`tests/chart` and more",
        "https://example.com/blob/main/tests/conftest.py",
        "`tests/gone/test_it.py`",
        "`webhook/test_races.py`",
        "`test_it_holds`",
        "```sh\npytest tests/unit\n```",
        "<!-- not run: tests/unit types it -->\n`tests/unit`",
    ],
)
def test_a_test_is_found_wherever_a_page_names_it(text: str) -> None:
    assert len(named_tests(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "<!-- not run: tests/cluster/cli types these verbs -->",
        "<!-- not run:\ntests/unit -->",
        "`examples/crm/tests/policy_test.yaml`",
        "`examples/tests/unit`",
        "`policies/crm/tests/policy_test.yaml`",
        "kubectl bailiwick test tests/ -f -",
        "cat >> tests/crm_test.yaml",
        "the tests",
    ],
)
def test_marks_examples_and_tests_of_the_readers_are_no_such_names(text: str) -> None:
    assert named_tests(text) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_for_people_names_no_test(page: str) -> None:
    assert re.findall(r"tests/[\w/]*|\btest_\w+", (DOCS / page).read_text(encoding="utf-8")) == []


def test_each_row_has_one_line() -> None:
    counted = Counter(row for row, _ in evidence())
    assert {row for row, count in counted.items() if count > 1} == set()
    assert counted.keys() == wanted() | WHOLE


def test_the_rows_are_those_of_the_pages() -> None:
    counted = Counter((row.page.rpartition("/")[2], row.name.rstrip("0123456789")) for row in wanted())
    assert counted["threat-model.md", ""] == 8 + 18
    assert (counted["threat-model.md", "C"], counted["threat-model.md", "H"]) == (12, 12)
    assert [counted["availability.md", letter] for letter in "DAO"] == [12, 8, 9]
    assert sum(page == "compliance.md" for page, _ in counted.elements()) == 10 + 7 + 7
    # The two that have rows of their own, C and H, are no rows.
    headings = re.findall(r"^### .+$", (DOCS / "concepts/threat-model.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(headings) - 2 == sum(" " in row.name for row in wanted())


def test_each_line_names_tests_that_there_are() -> None:
    for row, tests in evidence():
        named = TEST.findall(tests)
        assert (tests == "none", bool(named)) == ((True, False) if row in UNTESTED else (False, True)), row
        assert [name for name in named if not (ROOT / name).exists()] == [], row
        assert all(Path(name).name.startswith("test_") for name in named if name.endswith(".py")), row


def test_each_line_leads_to_the_heading_of_its_row() -> None:
    assert {row for row, _ in evidence() if row.anchor not in anchors(DOCS / row.page)} == set()


PAGE: Final = """# A page

| | id of nothing |
| --- | --- |

## Where trust changes

1. *Caller.* Yours.

| id | what |
| --- | --- |
| D1 | fails |
| NHI10:2025 | reuse |
| nothing | at all |

## Our own threats

### A token is stolen

It is stolen.

### A page acts

| id | who |
| --- | --- |
| C12 | anyone |

### The clock is moved
"""


def test_rows_are_found_by_id_as_borders_and_as_threats() -> None:
    assert [(row.anchor, row.name) for row in rows("page.md", PAGE)] == [
        ("where-trust-changes", "1"),
        ("where-trust-changes", "D1"),
        ("where-trust-changes", "NHI10:2025"),
        ("a-token-is-stolen", "A token is stolen"),
        ("a-page-acts", "C12"),
        ("the-clock-is-moved", "The clock is moved"),
    ]


def test_lines_are_found_with_and_without_what_they_are_about() -> None:
    text = (
        "| Row | About | Tests |\n| --- | --- | --- |\n| [D1](availability.md#one) | a | `tests/a.py` |\n"
        "| [A b](../concepts/threat-model.md#two) | `tests/b.py`, `tests/c` |\n"
        "\n## The invariants\n\n| [1](availability.md#one) | `tests/d.py` |\n"
    )
    assert list(told(text)) == [
        (PageRow("reference/availability.md", "one", "D1"), "`tests/a.py`"),
        (PageRow("concepts/threat-model.md", "two", "A b"), "`tests/b.py`, `tests/c`"),
    ]
