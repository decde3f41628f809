"""Of a record that the engine contradicts, the member is named that differs."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_evidence.derive.derivation import DerivationClass
from bailiwick_evidence.derive.derive import derive
from bailiwick_evidence.derive.differences import differences
from support.objects import Object, gated_rule, rule
from unit.engine.cases import CALL, THE_AGENT
from unit.evidence.derive.test_derive import carrier, record, texts

AUDIT: Final[list[Any]] = [{"policy": "other", "rule": "read", "effect": "Deny"}]


def members(found: Object, *policies: Object) -> list[str]:
    """Return the members that differ in a record that is contradicted."""
    derivation = derive(found, texts(*policies))
    assert derivation.kind is DerivationClass.CONTRADICTED, derivation
    assert derivation.answer is not None
    return [one.member for one in differences(found, derivation.answer)]


@pytest.mark.parametrize(
    ("edited", "named"),
    [
        ({"decision": False}, ["decision"]),
        ({"reason": "condition_false"}, ["reason"]),
        ({"reason": "no_rule", "decision": False}, ["decision", "reason"]),
        ({"disposition_id": 26}, ["disposition_id"]),
        ({"hop": "actors[0]"}, ["hop"]),
        ({"audit": AUDIT}, ["audit"]),
    ],
    ids=str,
)
def test_an_edited_member_is_named_and_no_other(edited: Object, named: list[str]) -> None:
    stands = carrier(rule(actions=["customers.export"]))
    assert members(record(stands) | edited, stands) == named


def test_a_dry_run_that_is_called_a_decision_is_named() -> None:
    stands = carrier(rule(actions=["customers.export"]))
    found = record(stands, call=replace(CALL, caller=THE_AGENT))
    assert members(found | {"dry_run": False}, stands) == ["dry_run"]


def test_another_rule_is_named() -> None:
    stands = carrier(rule(actions=["customers.export"]))
    found = record(stands)
    found["policy"] |= {"rule": "other"}
    assert members(found, stands) == ["policy"]


def test_a_grant_that_the_gate_does_not_take_is_named() -> None:
    stands = carrier(gated_rule())
    found = record(stands)
    assert "grant" in members(found | {"decision": True, "reason": "allowed", "disposition_id": 8}, stands)
