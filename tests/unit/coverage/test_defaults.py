"""The command line and the operator ask the same question, and the rights of both are of the same kinds."""

import re
from typing import Final

import yaml

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests import generate
from bailiwick_cli.verbs.coverageverbs import CoverageFlags
from bailiwick_coverage.inventory.words import default_words
from bailiwick_coverage.report import NEAR_SECONDS, UNUSED_SECONDS
from bailiwick_governance.arguments import seconds
from support.objects import Object
from support.pages import DOCS

PAGE: Final = (DOCS / "how-to" / "coverage.md").read_text(encoding="utf-8")


def test_what_the_command_asks_by_default_is_what_the_operator_asks() -> None:
    defaults = {name: field.default for name, field in CoverageFlags.__dataclass_fields__.items()}
    asked = tuple(seconds(str(defaults[name]), "") for name in ("expires_within", "unused_for"))
    assert asked == (NEAR_SECONDS, UNUSED_SECONDS)


def test_the_words_are_those_that_the_page_lists() -> None:
    listed = re.search(r"as in `customers.export` or `exportAll`: (.*?)\.", PAGE)
    assert listed is not None
    assert re.findall(r"`([a-z]+)`", listed[1]) == [*default_words()]


def kinds(rules: list[Object]) -> set[tuple[str, str]]:
    return {(group, name) for rule in rules for group in rule["apiGroups"] for name in rule["resources"]}


def test_the_operator_may_list_what_the_page_lets_people_read() -> None:
    (role,) = (one for one in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "kind: ClusterRole\n" in one)
    (documents,) = generate.optional(Installation()).values()
    people, operator = kinds(yaml.safe_load(role)["rules"]), kinds(documents[0]["rules"])
    # Its own kinds it may read in any case.
    assert operator == {one for one in people if one[0] != "bailiwick.dev"}
    assert {verb for rule in documents[0]["rules"] for verb in rule["verbs"]} == {"list"}
