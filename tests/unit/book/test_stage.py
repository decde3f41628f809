"""What the site is made of: pages that the index leads to, where their links lead, the order of the navigation."""

from pathlib import Path, PurePosixPath

import pytest

from book.stage import INDEX, sections, stage
from support.pages import DOCS

INDEX_TEXT = (
    "# All\n\n## Learn\n\n- [One](a/one.md), and [again](a/one.md#part)\n\n"
    "## Look up\n\n[two](a/two.md) [e](https://e.example)\n\n```\n[no](a/no.md)\n```\n"
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with two pages, an example with a README, a folder without one, and a file."""
    files = {
        "docs/README.md": INDEX_TEXT,
        "docs/a/one.md": "# One\n\n[x](../../examples/x) [f](../../examples/x/f.yaml#L2)\n\n```\n[no](link.md)\n```\n",
        "docs/a/two.md": "# Two\n\n[d](../adr)\n",
        "docs/adr/0001-first.md": "# 1. First\n",
        "docs/adr/0002-second.md": "# 2. Second\n",
        "docs/images/p.svg": "<svg/>",
        "examples/x/README.md": "# X\n",
        "examples/x/f.yaml": "a: 1\n",
        "unlinked.md": "# Nobody leads here\n",
    }
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text)
    return tmp_path


def staged(tree: Path) -> Path:
    stage(tree / "root", tree / "stage")
    return tree / "stage"


def test_a_page_that_is_linked_to_is_there_under_its_path_and_no_other(tree: Path) -> None:
    names = {"README.md", "a/one.md", "a/two.md", "adr/README.md", "adr/0001-first.md", "adr/0002-second.md"}
    wanted = {*(f"docs/{name}" for name in names), "examples/x/README.md"}
    assert {str(path.relative_to(staged(tree))) for path in staged(tree).rglob("*.md")} == wanted


def test_a_link_to_a_folder_leads_to_its_page(tree: Path) -> None:
    assert "[x](../../examples/x/README.md)" in (staged(tree) / "docs/a/one.md").read_text()


def test_a_folder_without_a_page_has_a_list_of_its_pages(tree: Path) -> None:
    text = (staged(tree) / "docs/adr/README.md").read_text()
    assert "- [1. First](0001-first.md)\n- [2. Second](0002-second.md)\n" in text


def test_a_file_that_is_linked_to_and_the_pictures_are_there(tree: Path) -> None:
    assert (staged(tree) / "examples/x/f.yaml").read_text() == "a: 1\n"
    assert (staged(tree) / "docs/images/p.svg").exists()


def test_what_a_block_shows_is_no_link(tree: Path) -> None:
    assert "[no](link.md)" in (staged(tree) / "docs/a/one.md").read_text()


def test_a_link_to_nothing_ends_it(tree: Path) -> None:
    (tree / "root/docs/a/two.md").write_text("[gone](gone.md)\n")
    with pytest.raises(FileNotFoundError):
        staged(tree)


def test_the_navigation_has_each_page_once_below_its_heading() -> None:
    assert list(sections(INDEX_TEXT)) == [
        ("Learn", [PurePosixPath("docs/a/one.md")]),
        ("Look up", [PurePosixPath("docs/a/two.md")]),
    ]


def test_every_page_of_the_documentation_is_in_the_navigation() -> None:
    text = (DOCS.parent / INDEX).read_text(encoding="utf-8")
    listed = {page for _, entries in sections(text) for page in entries}
    pages = {PurePosixPath(path.relative_to(DOCS.parent).as_posix()) for path in DOCS.rglob("*.md")}
    assert {page for page in pages - listed if page != INDEX and page.parent.name != "adr"} == set()
