"""A part of the test files, and of those that have long tests: `pytest --part 2/4 --long-part 6/12`.

Standing: a plugin, loaded by tests/conftest.py; `.ci/run` chooses both parts by the commit. Holds: each file is in one
part, whatever else is collected, and a part of twelve lies in one of four; of tests/property, which are the laws, only
long tests are left out, and of tests/unit, whose coverage has floors, none.
"""

import hashlib
import re
from pathlib import Path
from typing import Final

import pytest

_PART: Final = re.compile(r"([1-9]\d{0,2})/([1-9]\d{0,2})")
_TEST_FILE: Final = re.compile(r"test_.+\.py")
_TESTS: Final = Path(__file__).resolve().parents[1]
_OPTIONS: Final = {
    "part": "of the test files outside tests/unit and tests/property, run those of part I of N only",
    "long-part": "of the files with long tests outside tests/unit, run the long ones of part I of N only",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    for option, text in _OPTIONS.items():
        parser.addoption(f"--{option}", metavar="I/N", help=text)


def pytest_configure(config: pytest.Config) -> None:
    for option in _OPTIONS:
        given: str | None = config.getoption(f"--{option}")
        if given is not None:
            found = _PART.fullmatch(given)
            if found is None or int(found[1]) > int(found[2]):
                raise pytest.UsageError(f"--{option} {given}: write I/N with I from 1 to N, such as 2/3")


# Before it is imported: three quarters of the files cost each worker a third of its start.
def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    part: str | None = config.getoption("--part")
    if part is None or not _TEST_FILE.fullmatch(collection_path.name) or runs(_name(collection_path), None, part, None):
        return None
    config.stash[_LEFT_OUT] = True
    return True


# Last: another hook marks the long tests of whole folders.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    part: str | None = config.getoption("--part")
    long_part: str | None = config.getoption("--long-part")
    left = [item for item in items if not runs(_name(item.path), item.get_closest_marker("long"), part, long_part)]
    if not left:
        return
    config.hook.pytest_deselected(items=left)
    out = set(left)
    items[:] = [item for item in items if item not in out]
    config.stash[_LEFT_OUT] = True


_LEFT_OUT: Final = pytest.StashKey[bool]()


# Last: pytest itself says that nothing was collected.
@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    # A small set may have no file in a part, and that is no failure.
    if session.config.stash.get(_LEFT_OUT, False) and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK


def runs(name: str, long: object, part: str | None, long_part: str | None) -> bool:
    """Tell whether a test runs. `name`: of its file, from tests/ on. `long`: whether it has that mark."""
    if name.startswith("unit/"):
        return True
    whole = name.startswith("property/") or _lies_in(name, part)
    return whole and (not long or (_lies_in(name, part) and _lies_in(name, long_part)))


def _lies_in(name: str, part: str | None) -> bool:
    if part is None:
        return True
    number, parts = map(int, part.split("/"))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % parts + 1 == number


def _name(file: Path) -> str:
    return file.relative_to(_TESTS).as_posix() if file.is_relative_to(_TESTS) else file.name
