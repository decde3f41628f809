"""docs/how-to/test-policies.md, typed as it stands, by a `bailiwick` that is installed as its entry point says."""

import re
import tomllib
from typing import Final
from xml.etree import ElementTree

import pytest

from support.offlineshell import OfflineShell
from support.pages import DOCS
from unit.test_how_to_pages import shown, windows

ROOT: Final = DOCS.parent
PAGE: Final = DOCS / "how-to" / "test-policies.md"
SCRIPT: Final = "bailiwick_cli.main:standalone"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> OfflineShell:
    folder = tmp_path_factory.mktemp("testing")
    (folder / "examples").symlink_to(ROOT / "examples")
    return OfflineShell(folder)


def test_the_program_is_installed_by_this_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"]["bailiwick"] == SCRIPT


def test_what_the_page_shows_is_a_part_of_the_file_that_it_names() -> None:
    for name, language, text in shown(PAGE):
        if language == "yaml":
            lines = text.splitlines()
            assert "\n".join(lines) in windows(ROOT / name, len(lines)), text


def test_what_the_page_types_succeeds_in_its_order(shell: OfflineShell) -> None:
    scripts = [text for _, language, text in shown(PAGE) if language == "sh"]
    assert len(scripts) == 5
    said = "".join(shell.succeed(script) for script in scripts)
    assert "policies/crm/policy.yaml\npolicies/crm/tests/policy_test.yaml\n" in said
    assert re.search(r"1 passed, 0 failed \(3 calls\)", said)
    assert "Everything is covered." in said
    report = ElementTree.parse(shell.folder / "report.xml").getroot()  # noqa: S314 - what we have just written
    assert {suite.get("failures") for suite in report} == {"0"}


def test_help_names_the_program_that_was_called(shell: OfflineShell) -> None:
    assert shell.succeed("bailiwick test -h").startswith("Usage: bailiwick test [OPTIONS] FILE...")
