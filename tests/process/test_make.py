"""What make and Python do at the root of the tree, asked as they are."""

import operator
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

REQUIREMENT = "left-pad==1.3.0 \\\n    --hash=sha256:" + "0" * 64 + "\n    # via -r requirements/dev.in\n"


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def phony_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    lines = re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE)
    return {name for line in lines for name in line.split() if not name.startswith("$")}


def test_a_folder_named_operator_leaves_the_standard_library_alone_when_python_starts_at_the_root() -> None:
    command = [sys.executable, "-c", "import operator, sys; print(sys.path[0] == '', operator.__file__)"]
    unguarded = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    answer = subprocess.run(command, cwd=ROOT, env=unguarded, check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == f"True {operator.__file__}"


class TestMakeTargets:
    def test_are_all_phony(self) -> None:
        assert makefile_targets() == phony_targets()

    def test_are_all_in_the_help_with_what_they_need(self) -> None:
        answer = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True)
        documented = dict(re.findall(r"^  ([a-z-]+) +(.+)$", answer.stdout, re.MULTILINE))
        assert set(documented) == makefile_targets()
        assert [target for target, text in documented.items() if " Needs " not in text] == []

    def test_fit_on_a_screen_in_the_help(self) -> None:
        answer = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True)
        assert [line for line in answer.stdout.splitlines() if len(line) > 120] == []

    def test_say_which_python_is_missing(self, tmp_path: Path) -> None:
        old = tmp_path / "python3"
        old.write_text('#!/bin/sh\ncase "$2" in *print*) echo 3.9.2 ;; *) exit 1 ;; esac\n')
        old.chmod(0o755)
        (tmp_path / "requirements").mkdir()
        (tmp_path / "requirements" / "dev.txt").write_text(REQUIREMENT)
        (tmp_path / "Makefile").symlink_to(ROOT / "Makefile")
        command = ["make", "-C", str(tmp_path), "venv", f"PYTHON={old}"]
        answer = subprocess.run(command, check=False, capture_output=True, text=True)
        assert answer.returncode != 0
        assert f"needs Python 3.11 or later, found {old} 3.9.2" in answer.stderr

    def test_show_how_far_pip_is_while_it_makes_the_environment(self, tmp_path: Path) -> None:
        pip = (
            "#!/bin/sh",
            'case "$*" in *--editable*|*whole*) exit 0 ;; esac',
            "echo Collecting left-pad==1.3.0; sleep 2.2",
            "echo Installing collected packages: left-pad; mkdir -p .venv/lib/python3/site-packages/left_pad.dist-info",
            "sleep 2.2",
        )
        (tmp_path / "pip").write_text("\n".join(pip) + "\n")
        python = tmp_path / "python"
        python.write_text(
            '#!/bin/sh\ncase "$*" in\n*print*) echo 3.13.0 ;;\n'
            '*"-m venv"*) mkdir -p .venv/bin; cp pip .venv/bin/python ;;\nesac\n'
        )
        for program in (python, tmp_path / "pip"):
            program.chmod(0o755)
        (tmp_path / "requirements").mkdir()
        (tmp_path / "requirements" / "dev.txt").write_text(REQUIREMENT)
        (tmp_path / "pyproject.toml").write_text("")
        (tmp_path / "Makefile").symlink_to(ROOT / "Makefile")
        command = ["make", "-C", str(tmp_path), "venv", f"PYTHON={python}", "PROGRESS_SECONDS=1"]
        answer = subprocess.run(command, check=False, capture_output=True, text=True)
        assert answer.returncode == 0, answer.stderr
        lines = re.sub(r"\d+ s", "N s", answer.stdout).splitlines()
        assert "  N s: 1 of 1 packages downloaded" in lines
        assert "  N s: 1 of 1 packages installed" in lines
