"""The pages of `docs/how-to` show what the tests of enforcement run: each block is a part of the file that it names."""

import re
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

from support.pages import DOCS

ROOT: Final = DOCS.parent
ENFORCEMENT: Final = ROOT / "examples" / "enforcement"
# Not of an enforcement point. Tests type what they show: tests/process/cli, tests/process/evidence/test_audit_page.py,
# tests/process/webhook/test_shadow_page.py, tests/chart/test_console.py, tests/cluster/test_approvals_page.py,
# tests/cluster/cli/test_notifying.py, tests/process/cli/test_reviewers.py, tests/process/webhook/test_clients_page.py,
# tests/cluster/coverage/test_coverage_page.py, tests/cluster/fleet/test_many_clusters_page.py,
# tests/process/evidence/test_cluster_log_page.py.
APART_FROM_POINTS: Final = frozenset(
    {
        "approvals.md",
        "ask-policies.md",
        "audit.md",
        "clients.md",
        "console-in-the-cluster.md",
        "console.md",
        "coverage.md",
        "diff-policies.md",
        "divide-logs.md",
        "gate-changes.md",
        "guards-on-disk.md",
        "identity-providers.md",
        "limit-calls-by-history.md",
        "log-of-all-clusters.md",
        "many-clusters.md",
        "notifications.md",
        "object-stores.md",
        "recipes.md",
        "replay-policies.md",
        "shadow-policies.md",
        "ship-logs.md",
        "sign-reviews.md",
        "receive-signals.md",
        "stop-somebody.md",
        "suggest-narrower-policies.md",
        "test-policies.md",
        "unused-rules.md",
    }
)
PAGES: Final = sorted(path for path in (DOCS / "how-to").glob("*.md") if path.name not in APART_FROM_POINTS)
# A block, and the comment above it that names its file.
BLOCK: Final = re.compile(r"^(?:<!-- (\S+) -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Files that are no configuration of an enforcement point.
APART: Final = frozenset({"README.md"})


def shown(page: Path) -> list[tuple[str, str, str]]:
    """Return file, language and text of each block of a page."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def windows(path: Path, count: int) -> set[str]:
    """Return every run of so many lines of a file, without what all of its lines are indented by."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {dedent("\n".join(lines[start : start + count])) for start in range(len(lines) - count + 1)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_block_is_a_part_of_the_file_that_it_names(page: Path) -> None:
    for name, language, text in shown(page):
        if language == "python":
            # tests/process/webhook/test_authzen_client.py runs it.
            continue
        assert name, f"{page.name}: a block of {language} names no file"
        lines = text.splitlines()
        assert dedent("\n".join(lines)) in windows(ROOT / name, len(lines)), f"{page.name}: {text}"


def test_every_file_of_enforcement_has_a_page_that_leads_to_it() -> None:
    said = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    files = [
        path
        for path in ENFORCEMENT.rglob("*")
        if path.is_file() and path.name not in APART and path.parent.name != "tests"
    ]
    assert [path for path in files if f"../../{path.relative_to(ROOT)}" not in said] == []


def test_every_page_is_in_the_table_of_what_each_point_can() -> None:
    table = (DOCS / "concepts/enforcement-points.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"(../how-to/{page.name})" not in table] == []


def test_a_block_that_is_no_part_of_its_file_is_found(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a:\n  b: 1\n  c: 2\n")
    assert "b: 1\nc: 2" in windows(file, 2)
    assert "b: 1\nc: 3" not in windows(file, 2)
