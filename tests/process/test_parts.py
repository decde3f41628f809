"""`pytest --part` and `--long-part`, which leave out some files, and long tests of others."""

import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from support.parts import runs

SUPPORT: Final = Path(__file__).resolve().parents[1]
NAMES: Final = [f"cluster/test_{number}.py" for number in range(900)]
FILES: Final = [f"test_file_{number}.py" for number in range(9)]
TESTS: Final = "import pytest\n\n@pytest.mark.long\ndef test_long(): pass\n\ndef test_short(): pass\n"


def chosen(part: str | None, long_part: str | None, *, long: bool) -> set[str]:
    return {name for name in NAMES if runs(name, long, part, long_part)}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Nine files, each with a long test and a short one."""
    for file in FILES:
        (tmp_path / file).write_text(TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = long\n", encoding="utf-8")
    return tmp_path


def collected(suite: Path, *flags: str) -> tuple[int, list[str], str]:
    """Return pytest's exit code, the tests that would run, and what it complained of."""
    words = ("-p", "support.parts", "-p", "no:cacheprovider", "-p", "no:randomly", "--co", "-q")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *flags, str(suite)],
        env={"PATH": "", "PYTHONPATH": str(SUPPORT)},
        cwd=suite,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, re.findall(r"test_file_\d\.py::test_\w+", done.stdout), done.stderr


@pytest.mark.parametrize("long", [True, False])
def test_each_file_is_in_one_part_with_all_its_tests(long: bool) -> None:
    parts = [chosen(f"{part}/3", None, long=long) for part in (1, 2, 3)]
    assert sum(map(len, parts)) == len(NAMES)
    assert set().union(*parts) == set(NAMES)
    assert all(200 < len(part) < 400 for part in parts)


def test_each_long_test_is_in_one_part_and_every_other_test_in_all() -> None:
    assert all(chosen(None, f"{part}/9", long=False) == set(NAMES) for part in range(1, 10))
    parts = [chosen(None, f"{part}/9", long=True) for part in range(1, 10)]
    assert sum(map(len, parts)) == len(NAMES)
    assert set().union(*parts) == set(NAMES)


def test_a_part_of_twelve_lies_in_one_of_four() -> None:
    parts = [chosen(f"{part % 4 + 1}/4", f"{part + 1}/12", long=True) for part in range(12)]
    assert set().union(*parts) == set(NAMES)


def test_no_part_leaves_out_a_unit_test_and_none_a_law_that_is_not_long() -> None:
    for part, long in product(("1/999", "2/999"), (True, False)):
        assert runs("unit/engine/test_decide.py", long, part, part)
        assert runs("property/decisions/test_decisions.py", long, part, part) is not long


def test_pytest_runs_what_is_in_the_part(suite: Path) -> None:
    part, long_part = "1/2", "1/4"
    code, tests, _ = collected(suite, "--part", part, "--long-part", long_part)
    expected = [f"{file}::test_short" for file in FILES if runs(file, False, part, long_part)]
    expected += [f"{file}::test_long" for file in FILES if runs(file, True, part, long_part)]
    assert (code, sorted(tests)) == (0, sorted(expected))
    assert 0 < len(tests) < 2 * len(FILES)


def test_a_file_outside_the_part_is_not_imported(suite: Path) -> None:
    outside = [file for file in FILES if not runs(file, False, "1/2", None)]
    assert outside
    for file in outside:
        (suite / file).write_text("raise RuntimeError\n", encoding="utf-8")
    code, tests, _ = collected(suite, "--part", "1/2")
    assert (code, {test.partition("::")[0] for test in tests}) == (0, set(FILES) - set(outside))


def test_a_set_without_a_file_in_the_part_passes_and_a_set_without_tests_does_not(suite: Path) -> None:
    assert collected(suite, "--part", "999/999")[:2] == (0, [])
    for file in FILES:
        (suite / file).write_text("", encoding="utf-8")
    assert collected(suite, "--part", "1/1")[0] == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize(
    "words", [("--part", "0/3"), ("--long-part", "4/3"), ("--part", "a/b"), ("--long-part", "1"), ("--part", "")]
)
def test_what_is_no_part_is_refused_and_runs_nothing(suite: Path, words: tuple[str, str]) -> None:
    code, tests, complaint = collected(suite, *words)
    assert (code, tests) == (4, [])
    assert f"{words[0]} {words[1]}: write I/N with I from 1 to N" in complaint
