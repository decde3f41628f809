"""docs/how-to/shadow-policies.md, typed as it stands, but for what needs a cluster."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from support.pages import DOCS
from support.pdp.standalone import Process
from support.waiting import until
from unit.test_how_to_pages import shown

PAGE: Final = DOCS / "how-to" / "shadow-policies.md"
TOOLS: Final = ("curl", "jq")
PROGRAM: Final = """#!{python} -P
from bailiwick_cli.main import standalone
raise SystemExit(standalone())
"""
START: Final = "bailiwick-webhook --policies policies --development --record-file records.jsonl\n"

pytestmark = pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="the page types curl and jq")


def typed(script: str, folder: Path) -> str:
    env = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "KUBECONFIG": "/nowhere"}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, ""), (script, ran.stdout, ran.stderr)
    return ran.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    program = tmp_path / "bin" / "bailiwick"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "examples").symlink_to(DOCS.parent / "examples")
    return tmp_path


@pytest.fixture
def scripts() -> list[str]:
    return [text for _, language, text in shown(PAGE) if language == "sh"]


@pytest.fixture
def point(folder: Path, scripts: list[str]) -> Iterator[Process]:
    validated = typed(scripts[0], folder)
    assert "2 policies: 0 errors, 0 warnings" in validated
    with (folder / "log").open("wb") as log:
        process = Process(folder, folder / "policies", log)
        yield process
        process.stop()


def test_what_the_page_types_shows_what_the_candidate_would_change(
    point: Process, folder: Path, scripts: list[str]
) -> None:
    _, start, ask, show, who = scripts
    assert start == START
    answers = typed(ask.replace("127.0.0.1:8443", f"127.0.0.1:{point.port}"), folder).splitlines()
    assert [json.loads(one)["decision"] for one in answers] == [True, True, False, False]
    assert "crm-agent-next" not in "".join(answers)
    until(lambda: point.records.read_bytes().count(b'"kind":"shadow"') == 2, "both differences are on record", 10)
    told = [line.split("\t") for line in typed(show, folder).splitlines()]
    ids = [json.loads(one)["context"]["evaluation_id"] for one in answers]
    assert told == [["allow", "deny", "no_rule", ids[1]], ["approval", "allow", "allowed", ids[2]]]
    # As the page shows it, but for the ids.
    (listed,) = re.findall(r"^```\n(allow.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert [line.split("\t")[:3] for line in listed.splitlines()] == [line[:3] for line in told]
    agent = "system:serviceaccount:agents:crm-agent"
    assert typed(who, folder) == f"{agent}\tcustomers.get\t42\n{agent}\tcustomers.export\t42\n"
