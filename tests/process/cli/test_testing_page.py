"""docs/how-to/test-policies.md, typed as it stands, by a `bailiwick` that is installed as its entry point says."""

import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

from support.pages import DOCS
from unit.test_how_to_pages import shown, windows

ROOT: Final = DOCS.parent
PAGE: Final = DOCS / "how-to" / "test-policies.md"
SCRIPT: Final = "bailiwick_cli.main:standalone"
PROGRAM: Final = """#!{python} -P
from bailiwick_cli.main import standalone
raise SystemExit(standalone())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("testing")
    program = folder / "bin" / "bailiwick"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


def test_the_program_is_installed_by_this_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"]["bailiwick"] == SCRIPT


def test_what_the_page_shows_is_a_part_of_the_file_that_it_names() -> None:
    for name, language, text in shown(PAGE):
        if language == "yaml":
            lines = text.splitlines()
            assert "\n".join(lines) in windows(ROOT / name, len(lines)), text


def test_what_the_page_types_succeeds_in_its_order(folder: Path) -> None:
    scripts = [text for _, language, text in shown(PAGE) if language == "sh"]
    assert len(scripts) == 5
    env = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "KUBECONFIG": "/nowhere"}
    said = ""
    for script in scripts:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert (ran.returncode, ran.stderr) == (0, ""), (script, ran.stdout, ran.stderr)
        said += ran.stdout
    assert "policies/crm/policy.yaml\npolicies/crm/tests/policy_test.yaml\n" in said
    assert re.search(r"1 passed, 0 failed \(3 calls\)", said)
    assert "Everything is covered." in said
    report = ElementTree.parse(folder / "report.xml").getroot()  # noqa: S314 - what we have just written
    assert {suite.get("failures") for suite in report} == {"0"}


def test_help_names_the_program_that_was_called(folder: Path) -> None:
    ran = subprocess.run([folder / "bin" / "bailiwick", "test", "-h"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("Usage: bailiwick test [OPTIONS] FILE...")
