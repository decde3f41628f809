"""docs/how-to/recipes.md, typed as it stands."""

from pathlib import Path

from support.offlineshell import OfflineShell
from support.pages import DOCS, blocks


def test_what_the_page_types_passes_all_tests_and_warns_of_what_a_history_denies(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(DOCS.parent / "examples")
    (typed,) = blocks("how-to/recipes.md", "sh")
    ran = OfflineShell(tmp_path).type(typed, to_the_end=True)
    assert (ran.code, ran.err) == (0, "")
    (warning,) = [line for line in ran.out.splitlines() if line.startswith("warning: ")]
    assert "no-mail-outside.yaml" in warning
    assert "one that lacks a session is denied (history_uncountable)" in warning
    assert "0 errors, 1 warnings" in ran.out
    assert " 0 failed " in ran.out
