"""CONTRIBUTING.md tells where a change goes: each path of its tables is there, and each command is a target."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from support.pages import DOCS

ROOT: Final = DOCS.parent
PAGE: Final = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
CODE: Final = re.compile(r"`([^`]+)`")
PATH: Final = re.compile(r"[\w.-]*(?:/[\w.-]*)+|[\w-]+\.(?:py|toml|yaml|md)")
COMMONEST: Final = 12


def rows() -> Iterator[tuple[str, list[str]]]:
    """Yield the first cell and all cells of each row of the tables."""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) >= 3 and not cells[0].startswith(("---", "You want")):
            yield cells[0], cells


def exists(path: str, row: str) -> bool:
    """Tell whether a path is there: from the root, or below a folder that its row names in full."""
    folders = [ROOT]
    for named in CODE.findall(row):
        whole = ROOT / named
        # A row names a module in full once, and its neighbours below the same package.
        folders += [each for each in (whole, *whole.parents) if ROOT in each.parents]
    return any((folder / path).exists() for folder in folders)


def test_the_twelve_commonest_changes_come_first_each_with_a_command() -> None:
    table = PAGE.split("| You want to change |", 1)[1].split("\n\n", 1)[0]
    lines = table.splitlines()[2:]
    assert len(lines) == COMMONEST
    assert [line for line in lines if "`make " not in line.rsplit("|", 2)[1]] == []


@pytest.mark.parametrize("row", [pytest.param(cells, id=name) for name, cells in rows()])
def test_the_paths_of_a_row_are_there(row: list[str]) -> None:
    text = " | ".join(row[1:])
    paths = [code for code in CODE.findall(text) if PATH.fullmatch(code)]
    assert [path for path in paths if not exists(path, text)] == []


def test_the_commands_are_targets_and_rooms_of_unit_tests() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = [code for code in CODE.findall(PAGE) if code.startswith("make ")]
    for command in commands:
        target = command.split()[1]
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), command
        room = re.search(r"ROOM=(\w+)", command)
        assert room is None or Path(ROOT / "tests" / "unit" / room[1]).is_dir(), command
