"""docs/how-to/identity-providers.md: each entry is one that both processes read, and each reason is one."""

import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from bailiwick_api import issuers
from bailiwick_engine.compile import schemaerrors
from bailiwick_engine.reasons import Reason
from support.pages import DOCS, blocks

PAGE: Final = "how-to/identity-providers.md"
ENTRIES: Final = blocks(PAGE, "yaml")
# What a reader fills in.
OWN: Final = re.compile(r"<[a-z ]+>")


@pytest.mark.parametrize("entry", ENTRIES, ids=["keycloak", "entra", "okta", "dex"])
def test_an_entry_is_read(entry: str, tmp_path: Path) -> None:
    file = tmp_path / "issuers.yaml"
    file.write_text(OWN.sub("filled-in", entry), encoding="utf-8")
    (found,) = issuers.load(file, schemaerrors.problems)
    (written,) = yaml.safe_load(entry)["issuers"]
    assert (found.name, found.claims.name) == ("corp", written["claims"]["name"])


def test_every_reason_in_its_table_is_one() -> None:
    table = (DOCS / PAGE).read_text(encoding="utf-8").partition("| Reason |")[2]
    named = re.findall(r"^\| `([a-z_]+)`", table, re.MULTILINE)
    assert named
    assert set(named) <= {reason.value for reason in Reason}
