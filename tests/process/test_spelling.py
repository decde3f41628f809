"""Spelling and prose, checked as `make lint` checks them: a mistake that is planted fails, in a page and in code."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def spelled(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run codespell in a folder, with the settings of this repository."""
    shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
    command = [sys.executable, "-m", "codespell_lib"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["docs/page.md", "README.md", "cli/src/module.py", "charts/values.yaml"])
def test_a_wrong_word_fails(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("# The enfor" + "cment of a polcy\n")
    done = spelled(tmp_path)
    assert done.returncode != 0
    assert name in done.stdout


def test_our_own_words_are_right(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("decern, `NotIn` and `InForce`\n")
    assert spelled(tmp_path).returncode == 0


def test_a_page_with_an_unwanted_word_fails_and_history_does_not(tmp_path: Path) -> None:
    (tmp_path / "hack").mkdir()
    for name in ("verify_prose.py", "verify_text.py"):
        shutil.copyfile(ROOT / "hack" / name, tmp_path / "hack" / name)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    command = [sys.executable, str(tmp_path / "hack" / "verify_prose.py")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hack")}
    for name in ("page.md", "CHANGELOG.md", "docs/adr/0001-first.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("It works.\n" if name == "page.md" else "Whoever reads it, mends it.\n")
    assert subprocess.run(command, check=False, env=environment).returncode == 0
    (tmp_path / "page.md").write_text("Whoever reads it, mends it.\n")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("page.md:1: 'Whoever'")
    assert {line.partition(":")[0] for line in done.stderr.splitlines()} == {"page.md"}
