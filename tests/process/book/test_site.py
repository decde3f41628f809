"""The site, built as `make docs` builds it: whole, or not at all; and served on this machine alone."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from book.links import problems
from book.site import BookError, build, names
from support.pages import DOCS

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    build("0.9.0", site=target)
    return target


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository whose only page beside the index can be changed."""
    (tmp_path / "docs" / "images").mkdir(parents=True)
    (tmp_path / "docs" / "README.md").write_text("# All\n\n## Pages\n\n[p](p.md)\n")
    (tmp_path / "docs" / "p.md").write_text("# P\n\n## A part\n")
    return tmp_path


@pytest.mark.timeout(600)
def test_every_page_is_there_loads_nothing_from_elsewhere_and_leads_somewhere(site: Path) -> None:
    pages = [path.relative_to(DOCS.parent).with_suffix(".html") for path in DOCS.rglob("*.md")]
    assert [page for page in pages if not (site / "0.9.0" / page).is_file()] == []
    assert list(problems(site)) == []


@pytest.mark.timeout(600)
def test_words_of_the_pages_are_in_the_index_that_search_reads_from_files(site: Path) -> None:
    index = (site / "0.9.0" / "searchindex.js").read_text(encoding="utf-8")
    assert index.startswith("Search.setIndex(")
    assert "quorum" in index


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# P\n\n[gone](gone.md)\n", "gone.md"),
        ("# P\n\n[gone](#gone)\n", "gone"),
        ("# P\n\n[gone](README.md#gone)\n", "gone"),
        ('# P\n\n<img alt="x" src="https://elsewhere.example/x.png">\n', "loads https://elsewhere.example/x.png"),
    ],
)
def test_a_page_with_a_problem_ends_the_build_and_leaves_what_was_there(text: str, told: str, small: Path) -> None:
    build(root=small, site=small / "site")
    before = (small / "site" / "latest" / "docs" / "p.html").read_text()
    (small / "docs" / "p.md").write_text(text)
    with pytest.raises(BookError, match=re.escape(told)):
        build(root=small, site=small / "site")
    assert (small / "site" / "latest" / "docs" / "p.html").read_text() == before


def test_each_version_has_a_folder_and_all_are_listed_the_newest_first(small: Path) -> None:
    for version in ("latest", "0.9.0", "0.10.0", "0.10.0-rc.2"):
        build(version, root=small, site=small / "site")
    assert names(small / "site") == ["0.10.0", "0.10.0-rc.2", "0.9.0", "latest"]
    listed = json.dumps(names(small / "site"))
    assert (small / "site" / "versions.js").read_text() == f"window.bailiwickVersions = {listed};\n"
    assert "0.10.0/index.html" in (small / "site" / "index.html").read_text()
    assert list(problems(small / "site")) == []


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden"])
def test_a_version_is_a_plain_name(name: str, small: Path) -> None:
    with pytest.raises(BookError, match="no name of a version"):
        build(name, root=small, site=small / "site")


def test_it_is_served_on_loopback(site: Path) -> None:
    # Whoever runs the tests in the background of a script has children that do not hear an interrupt.
    heard = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    lines = ("import signal, sys", heard, "from pathlib import Path", "from book import __main__, site")
    program = "; ".join((*lines, f"site.SITE = Path({str(site)!r})", "sys.exit(__main__.serve(0))"))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        with urllib.request.urlopen(f"{address}0.9.0/docs/README.html") as answer:  # noqa: S310 - our own server
            assert b"Documentation" in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
