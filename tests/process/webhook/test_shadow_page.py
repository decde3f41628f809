"""docs/how-to/shadow-policies.md, typed as it stands, but for what needs a cluster."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from support.offlineshell import OfflineShell
from support.pages import DOCS, needs
from support.pdp.standalone import Process
from support.waits import until
from unit.test_how_to_pages import shown

PAGE: Final = DOCS / "how-to" / "shadow-policies.md"
START: Final = "bailiwick-webhook --policies policies --development --record-file records.jsonl\n"

pytestmark = needs("curl", "jq")


@pytest.fixture
def shell(tmp_path: Path) -> OfflineShell:
    (tmp_path / "examples").symlink_to(DOCS.parent / "examples")
    return OfflineShell(tmp_path)


@pytest.fixture
def scripts() -> list[str]:
    return [text for _, language, text in shown(PAGE) if language == "sh"]


@pytest.fixture
def point(shell: OfflineShell, scripts: list[str]) -> Iterator[Process]:
    validated = shell.succeed(scripts[0])
    assert "2 policies: 0 errors, 0 warnings" in validated
    with (shell.folder / "log").open("wb") as log:
        process = Process(shell.folder, shell.folder / "policies", log)
        yield process
        process.stop()


def test_what_the_page_types_shows_what_the_candidate_would_change(
    point: Process, shell: OfflineShell, scripts: list[str]
) -> None:
    _, start, ask, show, who = scripts
    assert start == START
    answers = shell.succeed(ask.replace("127.0.0.1:8443", f"127.0.0.1:{point.port}")).splitlines()
    assert [json.loads(one)["decision"] for one in answers] == [True, True, False, False]
    assert "crm-agent-next" not in "".join(answers)
    until(lambda: point.records.read_bytes().count(b'"kind":"shadow"') == 2, "both differences are on record", 10)
    told = [line.split("\t") for line in shell.succeed(show).splitlines()]
    ids = [json.loads(one)["context"]["evaluation_id"] for one in answers]
    assert told == [["allow", "deny", "no_rule", ids[1]], ["approval", "allow", "allowed", ids[2]]]
    # As the page shows it, but for the ids.
    (listed,) = re.findall(r"^```\n(allow.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert [line.split("\t")[:3] for line in listed.splitlines()] == [line[:3] for line in told]
    agent = "system:serviceaccount:agents:crm-agent"
    assert shell.succeed(who) == f"{agent}\tcustomers.get\t42\n{agent}\tcustomers.export\t42\n"
