"""The drawings: as the repository has them, readable, described, and never crowded."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pictures.__main__ import main
from pictures.canvas import Canvas, CrowdedError
from pictures.drawings import DRAWINGS

NAMES = sorted(DRAWINGS)


@pytest.fixture
def canvas() -> Canvas:
    return Canvas(200, 100, "A <title>", "What & who")


def test_each_is_stored_as_it_is_drawn() -> None:
    assert main(["--check"]) == 0


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_shows_and_is_readable_in_the_dark(name: str) -> None:
    root = ET.fromstring(DRAWINGS[name]().svg())  # noqa: S314 - our own
    title, told = (root.find(f"{{http://www.w3.org/2000/svg}}{tag}") for tag in ("title", "desc"))
    assert title is not None
    assert told is not None
    assert title.text
    assert len(told.text or "") > 100
    assert "prefers-color-scheme: dark" in "".join(root.itertext())


@pytest.mark.parametrize("name", NAMES)
def test_none_loads_or_runs_anything(name: str) -> None:
    text = DRAWINGS[name]().svg().replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not any(word in text for word in ("http", "<script", "href", "url(", "@import"))


def test_words_are_escaped(canvas: Canvas) -> None:
    canvas.box(10, 10, 100, 40, "plain", "a < b")
    assert "a &lt; b" in canvas.svg()
    assert "A &lt;title&gt;" in canvas.svg()


@pytest.mark.parametrize("lines", [["much too long for this box"], ["~much too long a note for it"], ["a", "b", "c"]])
def test_a_text_that_does_not_fit_its_box_is_refused(lines: list[str], canvas: Canvas) -> None:
    with pytest.raises(CrowdedError):
        canvas.box(10, 10, 100, 40, "plain", *lines)


@pytest.mark.parametrize(("x", "anchor"), [(10, "middle"), (150, "start"), (30, "end")])
def test_a_word_that_reaches_over_the_edge_is_refused(x: int, anchor: str, canvas: Canvas) -> None:
    with pytest.raises(CrowdedError):
        canvas.word(x, 50, "some words here", anchor=anchor)


def test_a_picture_that_differs_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pictures.__main__.IMAGES", tmp_path)
    assert main(["--check"]) == 1
