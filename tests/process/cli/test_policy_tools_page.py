"""docs/how-to/policy-tools.md, typed from the first line to the last, with what it shows."""

import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from support.decisions import crm_calls, decided, ledger_of, written
from support.offlineshell import OfflineShell
from support.pages import DOCS

PAGE: Final = DOCS / "how-to" / "policy-tools.md"
EXAMPLE: Final = DOCS.parent / "examples" / "crm" / "policy.yaml"
BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DAY: Final = 86_400.0
FINDS: Final = ("explain customers.purge", "diff", "replay", "unused", "suggest")
"""What of the page exits with 1, since there is something to look at."""


@pytest.fixture
def desk(tmp_path: Path) -> OfflineShell:
    (tmp_path / "examples").symlink_to(DOCS.parent / "examples")
    policy = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    made = crm_calls([*["customers.list"] * 31, "customers.purge"])
    written(tmp_path / "decisions.log", decided([policy], made, every=DAY))
    written(tmp_path / "ledger.log", ledger_of([policy]))
    return OfflineShell(tmp_path)


def test_every_tool_answers_as_the_page_shows(desk: OfflineShell) -> None:
    printed: list[str] = []
    answers: list[str] = []
    for language, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if not language:
            answers.append(text)
            continue
        ran = desk.type(text)
        expected = int(any(f"kubectl bailiwick {verb} " in text for verb in FINDS))
        assert ran.code == expected, (text, ran)
        printed.append(ran.out)
    assert (len(printed), len(answers)) == (9, 5)
    assert [text for text in answers if not any(out.startswith(text) for out in printed)] == []


def test_the_page_has_every_tool() -> None:
    text = PAGE.read_text(encoding="utf-8")
    verbs = ("init", "validate", "test", "who-can", "what-can", "explain", "diff", "replay", "unused", "suggest")
    assert [verb for verb in verbs if f"kubectl bailiwick {verb} " not in text] == []
