"""One part of the files that have long tests, and every other test: `pytest --long-part 2/3`.

Standing: a plugin, loaded by tests/conftest.py; `.ci/run` chooses the part by the commit. Holds: each file is in one
part, whatever else is collected; of tests/unit, whose coverage has floors, and of the tests that are not marked `long`
none is left out.
"""

import hashlib
import re
from pathlib import Path
from typing import Final

import pytest

_PART: Final = re.compile(r"([1-9]\d{0,2})/([1-9]\d{0,2})")
_TESTS: Final = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long-part", metavar="I/N", help="of the files with long tests, run those of part I of N only")


def pytest_configure(config: pytest.Config) -> None:
    given: str | None = config.getoption("--long-part")
    if given is not None:
        found = _PART.fullmatch(given)
        if found is None or int(found[1]) > int(found[2]):
            raise pytest.UsageError(f"--long-part {given}: write I/N with I from 1 to N, such as 2/3")


# Last: another hook marks the long tests of whole folders.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    given: str | None = config.getoption("--long-part")
    if given is None:
        return
    part, parts = (int(number) for number in given.split("/"))
    left = [item for item in items if item.get_closest_marker("long") and _part(item.path, parts) not in {part, None}]
    config.hook.pytest_deselected(items=left)
    out = set(left)
    items[:] = [item for item in items if item not in out]


def _part(file: Path, parts: int) -> int | None:
    name = file.relative_to(_TESTS).as_posix() if file.is_relative_to(_TESTS) else file.name
    if name.startswith("unit/"):
        return None
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % parts + 1
