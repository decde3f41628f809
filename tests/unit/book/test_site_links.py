"""What is found in a built page: loads from elsewhere, and links that lead nowhere."""

from pathlib import Path

import pytest

from book.links import problems

FINE = (
    '<link rel="stylesheet" href="s.css"><link rel="next" href="other.html">'
    '<link rel="canonical" href="https://e.example/"><script src="s.js?v=1"></script>'
    '<img src="data:image/svg+xml;base64,AA"><a href="https://e.example/">elsewhere</a> <a href="#here">h</a>'
    '<a href="other.html#there">t</a> <p id="here"></p> <a href="mailto:a@e.example">m</a>'
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "s.css").write_text('a { background: url("p.png"); }')
    (tmp_path / "s.js").write_text("")
    (tmp_path / "other.html").write_text('<h1 id="there">O</h1>')
    return tmp_path


def test_a_page_that_is_whole_has_no_problem(site: Path) -> None:
    (site / "page.html").write_text(FINE)
    assert list(problems(site)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<script src="//cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="https://fonts.example/css">',
        '<link rel="preconnect" href="https://fonts.example">',
        '<img src="https://badge.example/b.svg">',
        '<source srcset="https://cdn.example/p.png 2x">',
        '<img srcset="s.css 1x, https://cdn.example/p.png 2x">',
        '<p style="background: url(https://cdn.example/p.png)">p</p>',
        '<style>@import "https://fonts.example/css";</style>',
        '<iframe src="https://video.example/"></iframe>',
        '<script src="gone.js"></script>',
        '<img src="gone.png">',
        '<a href="gone.html">gone</a>',
        '<a href="#gone">gone</a>',
        '<a href="other.html#gone">gone</a>',
        '<link rel="next" href="gone.html">',
    ],
)
def test_what_is_wrong_with_a_page_is_found(wrong: str, site: Path) -> None:
    (site / "page.html").write_text(FINE + wrong)
    (found,) = problems(site)
    assert found.startswith("page.html: ")


@pytest.mark.parametrize("wrong", ["@import 'https://f.example/c';", "a { src: url(//f.example/f.woff2) }"])
def test_a_style_that_loads_from_elsewhere_is_found(wrong: str, site: Path) -> None:
    (site / "s.css").write_text(wrong)
    (found,) = problems(site)
    assert found.startswith("s.css: loads ")
