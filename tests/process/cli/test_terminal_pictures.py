"""Pictures of a terminal in the documentation: of what the commands print today, and readable by everybody.

`SCREENSHOTS=1 pytest tests/process/cli/test_terminal_pictures.py` takes them anew.
"""

import os
import shlex
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

import pytest

from pictures.terminal import COLUMNS, TypedCommand, UnpicturedStyleError, picture
from pictures.terminals import TERMINALS
from support import commandline
from support.pages import DOCS

IMAGES: Final = DOCS / "images"
ROOT: Final = DOCS.parent
POLICY: Final = ROOT / "examples" / "crm" / "policy.yaml"
WIDE: Final = {"FORCE_COLOR": "1", "COLUMNS": f"{COLUMNS}", "TERM": "xterm"}
# A change that nobody should want, as the page on all tools makes it.
CHANGE: Final = ("customers.list, customers.get", "customers.list, customers.purge")


def _printed(typed: str) -> TypedCommand:
    command, _, given = typed.partition(" < ")
    changed = POLICY.read_text(encoding="utf-8").replace(*CHANGE) if given else ""
    # In the folder of the checkout, where the picture says that it was typed.
    ran = subprocess.run(
        [*commandline.PROGRAM, *shlex.split(command)[2:]],
        env=commandline.environment(None, WIDE),
        input=changed,
        cwd=ROOT,
        # In the order in which a terminal shows them.
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=commandline.patience(),
        check=False,
    )
    assert ran.returncode in {0, 1}, ran
    return TypedCommand(typed, ran.stdout)


@pytest.mark.parametrize("name", TERMINALS)
def test_each_shows_what_is_printed_today(name: str) -> None:
    shown = TERMINALS[name]
    made = picture(shown.title, shown.told, [*map(_printed, shown.commands)])
    if os.environ.get("SCREENSHOTS"):
        (IMAGES / name).write_text(made, encoding="utf-8")
    assert (IMAGES / name).read_text(encoding="utf-8") == made


@pytest.mark.parametrize("name", TERMINALS)
def test_each_says_what_it_shows_and_loads_nothing(name: str) -> None:
    text = (IMAGES / name).read_text(encoding="utf-8")
    root = ET.fromstring(text)  # noqa: S314 - our own
    told = root.find("{http://www.w3.org/2000/svg}desc")
    assert told is not None
    assert len(told.text or "") > 100
    assert "prefers-color-scheme: dark" in text
    bare = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not any(word in bare for word in ("http", "<script", "href", "url(", "@import"))


def test_a_long_line_goes_on_in_the_next_and_nothing_is_lost() -> None:
    made = picture("t", "d", [TypedCommand("x", "a" * COLUMNS + "\x1b[1;31mb & c\x1b[0m")])
    words = ["".join(one.itertext()) for one in ET.fromstring(made).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - ours
    assert words == ["$ x", "a" * COLUMNS, "b & c"]
    assert 'class="bold red"' in made


def test_a_colour_without_a_name_makes_no_picture() -> None:
    with pytest.raises(UnpicturedStyleError):
        picture("t", "d", [TypedCommand("x", "\x1b[35mpurple\x1b[0m")])


@pytest.mark.parametrize("name", TERMINALS)
def test_each_is_on_a_page(name: str) -> None:
    assert [page for page in Path(DOCS).rglob("*.md") if f"images/{name}" in page.read_text(encoding="utf-8")]
