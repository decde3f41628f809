"""Every block of commands of a page is typed by a test, or says above it why none does: `<!-- not run: why -->`.

A test claims a block by the words that it begins with, as `support.pages.script` finds it, in a module that names the
page. A page in WHOLE is typed by one test from its first block to its last, and a tutorial by `support.tutorials`.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

from support.pages import DOCS
from support.tutorials import typed

ROOT: Final = DOCS.parent
BLOCK: Final = re.compile(
    r"^(?: *<!-- not run: (?P<reason>[^\n]+) -->\n)?(?P<indent> *)```(?:sh|console|bash|shell)\n"
    r"(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
SHORTEST_CLAIM: Final = 5
# The test that types every block of a page, and how many these are. Before you change a number, look whether the test
# types the block that is new.
WHOLE: Final = {
    "docs/how-to/approvals.md": ("tests/cluster/test_approvals_page.py", 5),
    "docs/how-to/ask-policies.md": ("tests/process/cli/test_asking.py", 10),
    "docs/how-to/audit.md": ("tests/process/evidence/test_audit_page.py", 17),
    "docs/how-to/coverage.md": ("tests/cluster/coverage/test_coverage_page.py", 7),
    "docs/how-to/diff-policies.md": ("tests/process/cli/test_diffing.py", 7),
    "docs/how-to/gate-changes.md": ("tests/process/cli/test_gates.py", 3),
    "docs/how-to/limit-calls-by-history.md": ("tests/process/cli/test_limits_page.py", 3),
    "docs/how-to/log-of-all-clusters.md": ("tests/process/evidence/test_cluster_log_page.py", 4),
    "docs/how-to/many-clusters.md": ("tests/cluster/fleet/test_many_clusters_page.py", 6),
    "docs/how-to/notifications.md": ("tests/cluster/cli/test_notifying.py", 4),
    "docs/how-to/recipes.md": ("tests/process/cli/test_recipes_page.py", 1),
    "docs/how-to/replay-policies.md": ("tests/process/cli/test_replaying.py", 6),
    "docs/how-to/shadow-policies.md": ("tests/process/webhook/test_shadow_page.py", 5),
    "docs/how-to/suggest-narrower-policies.md": ("tests/process/cli/test_suggesting.py", 6),
    "docs/how-to/test-policies.md": ("tests/process/cli/test_testing_page.py", 5),
    "docs/how-to/unused-rules.md": ("tests/process/cli/test_unused.py", 4),
    "docs/reference/certificates.md": ("tests/cluster/operator/certificates/test_certificates_lost.py", 2),
}
# The tests that type what `support.tutorials.typed` finds on a page.
TUTORIALS: Final = {
    "docs/tutorials/approve-and-be-approved.md": ("tests/e2e/test_approval_tutorial.py",),
    "docs/tutorials/kind.md": ("tests/cluster/test_kind_page.py",),
    "docs/tutorials/protect-an-api.md": ("tests/contract/sdk/test_api_tutorial.py",),
    "docs/tutorials/protect-an-api-in-a-cluster.md": (
        "tests/e2e/test_api_tutorial.py",
        "tests/node/test_api_tutorial.py",
    ),
    "docs/tutorials/protect-an-mcp-server.md": ("tests/contract/sdk/test_mcp_tutorial.py",),
    "docs/tutorials/prove-what-happened.md": ("tests/process/evidence/test_march_tutorial.py",),
}


def pages() -> Iterator[str]:
    yield "README.md"
    for path in sorted(DOCS.rglob("*.md")):
        if path.parent.name != "adr":
            yield path.relative_to(ROOT).as_posix()


@cache
def words_of_tests() -> dict[Path, frozenset[str]]:
    """Return the strings of each module of tests, those of f-strings apart."""
    return {
        path: frozenset(
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path != Path(__file__)
    }


def commands(text: str) -> list[str]:
    """Return the blocks of commands of a page that give no reason why no test types them."""
    return [dedent(match["text"]) for match in BLOCK.finditer(text) if match["reason"] is None]


def unclaimed(page: str, text: str) -> Iterator[str]:
    """Yield the first line of each block that no test claims and that says no reason."""
    names = {page.removeprefix("docs/"), page.removeprefix("docs/reference/"), f"../{page}"}
    claims = {
        word for words in words_of_tests().values() if names & words for word in words if len(word) >= SHORTEST_CLAIM
    }
    yield from (block.splitlines()[0] for block in commands(text) if not block.startswith(tuple(claims)))


def left_out(text: str) -> list[str]:
    """Return the commands of a tutorial that `support.tutorials.typed` does not type."""
    lines = {line for part in typed(text) for line in part.splitlines()}
    wanted: list[str] = []
    for block in commands(text):
        prompted = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
        wanted += prompted or block.splitlines()
    return [line for line in wanted if line not in lines]


@pytest.mark.parametrize("page", sorted({*pages()} - WHOLE.keys() - TUTORIALS.keys()))
def test_a_block_of_commands_is_typed_by_a_test_or_says_why_not(page: str) -> None:
    assert list(unclaimed(page, (ROOT / page).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("page", WHOLE)
def test_a_page_that_is_typed_whole_has_the_blocks_that_its_test_types(page: str) -> None:
    test, many = WHOLE[page]
    assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")
    assert len(commands((ROOT / page).read_text(encoding="utf-8"))) == many


@pytest.mark.parametrize("page", TUTORIALS)
def test_a_tutorial_is_typed_to_its_end(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [test for test in TUTORIALS[page] if Path(page).name not in (ROOT / test).read_text(encoding="utf-8")] == []
    assert commands(text)
    assert left_out(text) == []
    assert commands(text.partition("\n## What you can do next")[2]) == []


@pytest.mark.parametrize("block", ["1. Do it:\n\n   ```sh\n   echo it\n   ```\n", "```console\necho it\n```\n"])
def test_a_block_that_the_reader_of_tutorials_passes_over_is_found(block: str) -> None:
    assert left_out(f"```sh\necho first\n```\n\n{block}") == ["echo it"]


def test_a_block_that_nobody_types_is_found() -> None:
    text = "```sh\nkubectl get nothing\n```\n\n<!-- not run: needs a cloud account -->\n```sh\ncloud login\n```\n"
    assert list(unclaimed("docs/page.md", text)) == ["kubectl get nothing"]


def test_a_block_that_a_test_names_is_claimed() -> None:
    page = "docs/operations/runbook.md"
    assert list(unclaimed(page, "1. Do it:\n\n   ```sh\n   kubectl replace -f crds/guards\n   ```\n")) == []
