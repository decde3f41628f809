"""docs/how-to/recipes.md, typed as it stands."""

from pathlib import Path

from support.offlineshell import OfflineShell
from support.pages import DOCS, blocks


def test_what_the_page_types_succeeds(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(DOCS.parent / "examples")
    (typed,) = blocks("how-to/recipes.md", "sh")
    said = OfflineShell(tmp_path).succeed(typed)
    assert "0 errors, 0 warnings" in said
    assert " 0 failed " in said
