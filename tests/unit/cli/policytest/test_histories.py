"""A test says what was counted before its first call, and each call that is allowed counts for the next."""

from pathlib import Path
from typing import Final

import pytest

from support.objects import Object, gated_rule, policy, rule, settings
from support.suites import run_tests, written
from unit.cli.policytest.test_verdicts import EXPORT, calls, suite

HISTORY: Final[Object] = {
    "name": "exports",
    "key": ["agent"],
    "window": "1h",
    "counts": {"actions": ["customers.export"]},
}
SUMMED: Final[Object] = {**HISTORY, "amount": {"of": "context.amount", "digits": 2}}


def limiting(text: str, history: Object = HISTORY, **fields: object) -> Object:
    limit = rule("limit", actions=["customers.export"], conditions=[{"name": "c", "expression": text}], **fields)
    return policy("crm", rules=[limit], endpointSettings={**settings(), "history": [history]})


@pytest.mark.parametrize(
    ("before", "row"),
    [
        ({"count": 4}, {"is": "Allow"}),
        ({"count": 5}, {"is": "Deny", "reason": "condition_false"}),
        (None, {"is": "Deny", "reason": "history_unavailable"}),
    ],
)
def test_the_numbers_are_those_before_the_call(tmp_path: Path, before: Object | None, row: Object) -> None:
    made = suite({"with": {"history": {"exports": before}}, "expect": [{**EXPORT, **row}]})
    assert calls(tmp_path, made, limiting("history.exports.count <= 5"))[0] == 0


def test_a_history_that_cannot_be_read_counts_nothing_though_no_rule_reads_it(tmp_path: Path) -> None:
    row = {**EXPORT, "is": "Deny", "reason": "history_unavailable"}
    made = suite({"with": {"history": {"exports": None}}, "expect": [row]})
    assert calls(tmp_path, made, limiting("true"))[0] == 0


def test_without_a_word_nothing_was_counted_and_every_call_counts_for_the_next(tmp_path: Path) -> None:
    rows = [{**EXPORT, "is": "Allow"}, {"repeat": True, "is": "Allow"}, {"repeat": True, "is": "Deny"}]
    code, found = calls(tmp_path, suite({"expect": rows}), limiting("history.exports.count <= 2"))
    assert (code, [call["reason"] for call in found]) == (0, ["allowed", "allowed", "condition_false"])


def test_a_call_that_is_denied_counts_for_none(tmp_path: Path) -> None:
    rows = [{**EXPORT, "is": "Deny"}, {"repeat": True, "is": "Deny"}]
    code, _ = calls(tmp_path, suite({"expect": rows}), limiting("history.exports.count == 2"))
    assert code == 0


@pytest.mark.parametrize(
    ("given", "amount", "verdict"),
    [(997, "3.00", "Allow"), ("997.00", 3.01, "Deny"), (0, 1_000, "Allow"), (999.99, 0.02, "Deny")],
)
def test_sums_are_exact(tmp_path: Path, given: object, amount: object, verdict: str) -> None:
    before = {"exports": {"count": 1, "sum": given}}
    made = suite({"with": {"history": before}, "context": {"amount": amount}, "expect": [{**EXPORT, "is": verdict}]})
    code, _ = calls(tmp_path, made, limiting("history.exports.sum <= 1000", SUMMED))
    assert code == 0


def test_the_age_is_that_of_the_latest_call_before(tmp_path: Path) -> None:
    text = "!has(history.exports.age) || history.exports.age >= 60"
    rows = [{**EXPORT, "is": "Allow"}, {"repeat": True, "is": "Deny"}]
    assert calls(tmp_path, suite({"expect": rows}), limiting(text))[0] == 0
    for age, verdict in ((60, "Allow"), (59, "Deny")):
        before = {"exports": {"count": 1, "age": age}}
        made = suite({"with": {"history": before}, "expect": [{**EXPORT, "is": verdict}]})
        assert calls(tmp_path, made, limiting(text))[0] == 0


def test_a_call_that_cannot_be_counted_is_denied(tmp_path: Path) -> None:
    made = suite({"expect": [{**EXPORT, "is": "Deny", "reason": "history_uncountable"}]})
    assert calls(tmp_path, made, limiting("true", SUMMED))[0] == 0


def test_an_approval_of_a_counted_call_is_opened_and_used(tmp_path: Path) -> None:
    gated = policy("crm", rules=[gated_rule()], endpointSettings={**settings(), "history": [HISTORY]})
    of = {"subject": "agent", "resource": "one", "action": "customers.export"}
    grants = [{"of": of, "approvedBy": ["dave"]}]
    rows = [{**EXPORT, "is": "Allow"}, {"repeat": True, "is": "Approval"}]
    assert calls(tmp_path, suite({"with": {"grants": grants}, "expect": rows}), gated)[0] == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"exprts": {}}, "with.history.exprts: the endpoint has no history exprts; did you mean exports?"),
        ({"exports": {"count": -1}}, "with.history.exports.count"),
        ({"exports": {"sum": "1.001"}}, "with.history.exports.sum: nothing of this kind is summed: 1.001"),
        ({"exports": {"total": 1}}, "with.history.exports.total"),
    ],
)
def test_what_no_history_can_hold_is_refused_with_its_place(tmp_path: Path, given: Object, said: str) -> None:
    made = suite({"with": {"history": given}, "expect": [{**EXPORT, "is": "Allow"}]})
    written(tmp_path, {"policy.yaml": limiting("true", SUMMED), "crm_test.yaml": made})
    ran = run_tests(tmp_path / "crm_test.yaml")
    assert ran.code == 2
    assert said in ran.err


def test_a_sum_of_a_history_without_an_amount_is_refused(tmp_path: Path) -> None:
    made = suite({"with": {"history": {"exports": {"sum": 1}}}, "expect": [{**EXPORT, "is": "Allow"}]})
    written(tmp_path, {"policy.yaml": limiting("true"), "crm_test.yaml": made})
    ran = run_tests(tmp_path / "crm_test.yaml")
    assert (ran.code, "with.history.exports.sum: nothing is summed" in ran.err) == (2, True)
