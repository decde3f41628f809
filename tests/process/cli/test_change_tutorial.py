"""`docs/tutorials/change-a-policy.md`, steps 1 to 3: what it types at a desk, and that it shows what is printed."""

from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

from support.offlineshell import OfflineShell
from support.pages import DOCS, blocks

PAGE: Final = "tutorials/change-a-policy.md"
BEGIN, WISH, PATTERN, COMPARE, NAME = blocks(PAGE, "sh")[:5]


def shown() -> list[str]:
    """Return what the page shows of what `diff` prints."""
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    return [block for block in text.split("```\n") if block.startswith("WIDER")]


def promise() -> str:
    """Return the test that the page proposes at its end."""
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    return dedent(text.rpartition("  ```yaml\n")[2].partition("  ```\n")[0])


@pytest.fixture
def desk(tmp_path: Path) -> OfflineShell:
    return OfflineShell(tmp_path)


def test_the_steps_at_a_desk_do_what_the_page_says(desk: OfflineShell) -> None:
    setting = f"BAILIWICK={DOCS.parent}\n"
    assert "6 passed, 0 failed" in desk.succeed(setting + BEGIN)
    there = "cd crm-policies\n"
    wished = desk.type(there + WISH)
    assert (wished.code, "expected Allow, got Deny" in wished.out) == (1, True), wished
    assert "7 passed, 0 failed" in desk.succeed(there + PATTERN)
    # The promise with which the page ends is broken by the pattern.
    adding = f"cp tests/crm_test.yaml ..\ncat >> tests/crm_test.yaml <<'TEST'\n{promise()}TEST\n"
    promised = desk.type(f"{there}{adding}kubectl bailiwick test tests\n")
    assert (promised.code, "7 passed, 1 failed" in promised.out) == (1, True), promised
    desk.succeed(f"{there}mv ../crm_test.yaml tests")
    wider, exact = shown()
    compared = desk.type(there + COMPARE)
    assert (compared.code, compared.out) == (1, wider)
    named = desk.type(there + NAME, to_the_end=True)
    assert (named.code, "7 passed, 0 failed" in named.out) == (1, True), named
    assert named.out.endswith(exact), named.out
