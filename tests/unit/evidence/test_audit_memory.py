"""The memory of an audit does not grow with what no command asks for."""

import tracemalloc
from typing import Final

import pytest

from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from support.evidence.logs import ProcessLog
from support.signatures.logs import approved, ended

GRANT: Final = ended(approved())
COUNT: Final = 1_000


def ledger() -> tuple[bytes, int]:
    """Return the lines of a ledger about as many grants, and how long one is."""
    made = ProcessLog(4, component="operator")
    for number in range(COUNT):
        made.add(**GRANT | {"name": f"agr-{number}", "uid": f"uid-{number}"})
    return b"".join(made.lines), len(made.lines[-1])


def kept_for_each(audit: LogAudit, lines: bytes) -> float:
    """Return how many bytes an audit keeps for each line."""
    tracemalloc.start()
    try:
        for _ in audit.feed(lines):
            pass
        return tracemalloc.get_traced_memory()[0] / COUNT
    finally:
        tracemalloc.stop()


def test_how_grants_ended_is_kept_for_those_who_ask() -> None:
    lines, length = ledger()
    audit = LogAudit(WitnessBook(()), keeps_grants=True)
    assert kept_for_each(audit, lines) < length + 1_000
    assert len(audit.grants) == COUNT


def test_it_is_not_kept_for_others() -> None:
    lines, _ = ledger()
    audit = LogAudit(WitnessBook(()))
    assert kept_for_each(audit, lines) < 150
    with pytest.raises(ValueError, match="keeps no grants"):
        _ = audit.grants
