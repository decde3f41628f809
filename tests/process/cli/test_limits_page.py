"""docs/how-to/limit-calls-by-history.md, typed as it stands."""

from pathlib import Path
from typing import Final

import yaml

from support.offlineshell import OfflineShell
from support.pages import DOCS
from unit.engine.cases import sound
from unit.test_how_to_pages import shown

PAGE: Final = DOCS / "how-to" / "limit-calls-by-history.md"


def test_what_the_page_types_does_what_it_says(tmp_path: Path) -> None:
    shell = OfflineShell(tmp_path)
    validating, testing, comparing = (text for _, language, text in shown(PAGE) if language == "sh")
    shell.succeed(validating)
    assert "3 passed, 0 failed (14 calls)" in shell.succeed(testing)
    ran = shell.type(comparing, to_the_end=True)
    assert ran.code == 1
    assert "history exports changed: it starts at zero, and may count fewer calls" in ran.out


def test_the_rule_above_the_limit_stands_beside_the_other_one(tmp_path: Path) -> None:
    OfflineShell(tmp_path).succeed(next(text for _, language, text in shown(PAGE) if language == "sh"))
    policy = yaml.safe_load((tmp_path / "policies" / "policy.yaml").read_text(encoding="utf-8"))
    (more,) = (yaml.safe_load(text) for _, language, text in shown(PAGE) if language == "yaml")
    policy["spec"]["rules"] += more
    policy["metadata"]["uid"] = "uid"
    assert [rule.name for rule in sound(policy).rules] == ["export", "export-more"]
