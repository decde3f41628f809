"""What a failed test shows of the programs that it started, with pytest as it is."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FAILING: Final = """\
from localcluster.process import spawn, stop

def test_it(tmp_path):
    one, other = (spawn(name, ["sh", "-c", f"echo {name} spoke; {then}"], tmp_path / name)
                  for name, then in (("first", "exit 3"), ("second", "sleep 60")))
    one.handle.wait()
    try:
        while "spoke" not in other.last_words():
            pass
        assert PASSES
    finally:
        stop([other.id])
"""


def report(folder: Path, *, passes: bool) -> str:
    (folder / "test_it.py").write_text(FAILING.replace("PASSES", str(passes)))
    command = [sys.executable, "-m", "pytest", "-p", "support.lastwords", "-p", "no:cacheprovider", "test_it.py"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'localcluster' / 'src'}:{ROOT / 'tests'}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if passes else 1), done.stdout
    return done.stdout


def test_a_failed_test_shows_the_last_words_of_its_programs_and_which_of_them_ended(tmp_path: Path) -> None:
    said = report(tmp_path, passes=False)
    assert "first, which ended with 3" in said
    assert "    first spoke" in said
    assert "second, which ended with -15" in said


def test_a_test_that_passes_shows_none(tmp_path: Path) -> None:
    assert "spoke" not in report(tmp_path, passes=True)
