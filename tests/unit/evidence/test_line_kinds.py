"""Every kind of line that is written is known to whoever reads logs, and is written down."""

import re

from bailiwick_evidence.linekinds import BESIDE_DECISIONS, DECISIONS, OF_CHAINS, OF_LEDGERS, POLICY_LIST, SEARCH, SHADOW
from bailiwick_webhook.record import members
from support.pages import DOCS


def kinds_of(page: str) -> set[str]:
    """Return the kinds that the page's table of them lists."""
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    table = text.partition("| `kind` |")[2].partition("\n\n")[0]
    found = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert len(found) == len(set(found)), "one kind has two rows"
    return set(found)


def test_the_kinds_of_a_ledger_are_those_of_its_page() -> None:
    assert kinds_of("witness.md") | {"hash"} == OF_LEDGERS | OF_CHAINS - {"ledger"}


def test_the_kinds_of_a_chain_are_those_of_its_page() -> None:
    assert kinds_of("chain.md") == OF_CHAINS


def test_the_kinds_of_records_are_those_that_are_written() -> None:
    tables = (members.DECISION, members.SEARCH, members.POLICIES, members.SHADOW)
    told = [one.what for table in tables for one in table if one.path == "kind"]
    assert set(re.findall(r"`(\w+)`", " ".join(told))) == DECISIONS | {SEARCH, POLICY_LIST, SHADOW}
    assert not BESIDE_DECISIONS & {*DECISIONS, SEARCH, POLICY_LIST}
