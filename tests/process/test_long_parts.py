"""`pytest --long-part`, which leaves out long tests of some files, with pytest as it is."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

SUPPORT: Final = Path(__file__).resolve().parents[1]
FILES: Final = [f"test_file_{number}.py" for number in range(9)]
TESTS: Final = "import pytest\n\n@pytest.mark.long\ndef test_long(): pass\n\ndef test_short(): pass\n"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Nine files, each with a long test and a short one."""
    for file in FILES:
        (tmp_path / file).write_text(TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = long\n", encoding="utf-8")
    return tmp_path


def collected(suite: Path, part: str) -> tuple[int, list[str], str]:
    """Return the exit code, the tests that would run, and what pytest complained of."""
    words = ("-p", "support.longparts", "-p", "no:cacheprovider", "-p", "no:randomly", "--co", "-q")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "--long-part", part, str(suite)],
        env={"PATH": "", "PYTHONPATH": str(SUPPORT)},
        cwd=suite,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, re.findall(r"test_file_\d\.py::test_\w+", done.stdout), done.stderr


def test_each_long_test_is_in_one_part_and_every_other_test_in_all(suite: Path) -> None:
    parts = [collected(suite, f"{part}/3")[1] for part in (1, 2, 3)]
    assert all({f"{file}::test_short" for file in FILES} <= set(part) for part in parts)
    long = [test for part in parts for test in part if test.endswith("::test_long")]
    assert sorted(long) == [f"{file}::test_long" for file in FILES]
    assert all(len(part) < 2 * len(FILES) for part in parts)


def test_one_part_of_one_is_everything(suite: Path) -> None:
    assert len(collected(suite, "1/1")[1]) == 2 * len(FILES)


@pytest.mark.parametrize("part", ["0/3", "4/3", "1", "1/0", "a/b", ""])
def test_what_is_no_part_is_refused_and_runs_nothing(suite: Path, part: str) -> None:
    code, tests, complaint = collected(suite, part)
    assert (code, tests) == (4, [])
    assert "write I/N with I from 1 to N" in complaint
