"""The script that starts the plugin of kubectl from an archive of krew."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from releasemaker import plugin


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The launcher of a module that prints its arguments; its libraries are not there yet."""
    (tmp_path / "lib" / "any").mkdir(parents=True)
    (tmp_path / "lib" / "any" / "made.py").write_text("import sys\ndef main():\n    print(sys.argv)\n")
    path = tmp_path / "kubectl-made"
    path.write_text(plugin.launcher("kubectl-made", "made:main"))
    path.chmod(0o755)
    return path


def launch(script: Path, *arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath, "BAILIWICK_PYTHON": python}
    return subprocess.run([script, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_it_starts_the_program_with_the_libraries_of_its_python(script: Path, tmp_path: Path) -> None:
    (tmp_path / "lib" / f"{sys.version_info.major}.{sys.version_info.minor}").mkdir()
    (tmp_path / "link").symlink_to(script)
    done = launch(tmp_path / "link", "a b", "*")
    assert (done.stdout, done.returncode) == ("['kubectl-made', 'a b', '*']\n", 0), done.stderr


@pytest.mark.parametrize("python", [sys.executable, "no-such-python"])
def test_it_says_which_python_it_needs_where_none_fits(script: Path, python: str) -> None:
    done = launch(script, python=python)
    needs = "kubectl-made needs Python 3.11, 3.12 or 3.13. Install one, or set BAILIWICK_PYTHON to its path.\n"
    assert (done.returncode, done.stderr) == (1, needs)
