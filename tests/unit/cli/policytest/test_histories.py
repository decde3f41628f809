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


class TestSequences:
    """Calls that are made while time passes."""

    FIVE: Final = limiting("history.exports.count <= 5")

    def results(self, folder: Path, made: Object, tested: Object = FIVE) -> tuple[int, list[str]]:
        code, found = calls(folder, made, tested)
        return code, [call["reason"] for call in found]

    def test_a_place_is_free_when_a_call_is_out_of_the_window(self, tmp_path: Path) -> None:
        steps = [
            {**EXPORT, "times": 5, "is": "Allow"},
            {"is": "Deny", "reason": "condition_false"},
            {"after": "59m", "is": "Deny"},
            {"after": "3m", "times": 5, "is": "Allow"},
            {"is": "Deny"},
        ]
        code, reasons = self.results(tmp_path, suite({"sequence": steps}))
        assert (code, len(reasons)) == (0, 13)

    def test_each_call_of_a_step_must_come_to_the_same(self, tmp_path: Path) -> None:
        made = suite({"sequence": [{**EXPORT, "times": 7, "is": "Allow"}]})
        written(tmp_path, {"policy.yaml": self.FIVE, "crm_test.yaml": made})
        ran = run_tests(tmp_path / "crm_test.yaml")
        assert ran.code == 1
        assert "call 6 of 7: expected Allow, got Deny (condition_false" in ran.out
        assert "call 7 of 7" in ran.out
        assert "call 5 of 7" not in ran.out

    def test_what_was_counted_before_drops_out_too(self, tmp_path: Path) -> None:
        before = {"exports": {"count": 5, "age": 1800}}
        steps = [{**EXPORT, "is": "Deny"}, {"after": "32m", "is": "Allow"}]
        assert self.results(tmp_path, suite({"with": {"history": before}, "sequence": steps}))[0] == 0

    def test_ages_grow_with_time(self, tmp_path: Path) -> None:
        text = "!has(history.exports.age) || history.exports.age >= 60"
        steps = [{**EXPORT, "is": "Allow"}, {"after": "59s", "is": "Deny"}, {"after": "1s", "is": "Allow"}]
        assert self.results(tmp_path, suite({"sequence": steps}), limiting(text))[0] == 0

    def test_a_calendar_begins_a_new_period(self, tmp_path: Path) -> None:
        daily = {**HISTORY, "calendar": {"unit": "Day", "timeZone": "Europe/Berlin"}}
        del daily["window"]
        steps = [{**EXPORT, "is": "Allow"}, {"after": "29m", "is": "Deny"}, {"after": "1m", "is": "Allow"}]
        made = suite({"sequence": steps}) | {"now": "2026-03-01T22:30:00Z"}
        assert self.results(tmp_path, made, limiting("history.exports.count <= 1", daily))[0] == 0

    def test_the_context_of_a_step_stands_in_place_of_that_of_the_test(self, tmp_path: Path) -> None:
        steps = [
            {**EXPORT, "context": {"amount": 600}, "is": "Allow"},
            {"is": "Allow"},
            {"context": {"amount": 1}, "is": "Deny"},
        ]
        made = suite({"context": {"amount": 400}, "sequence": steps})
        assert self.results(tmp_path, made, limiting("history.exports.sum <= 1000", SUMMED))[0] == 0

    def test_a_step_names_only_what_differs_from_the_step_before(self, tmp_path: Path) -> None:
        """Another resource is no other agent, so it has the same count."""
        steps = [{**EXPORT, "is": "Allow"}, {"action": "customers.read", "is": "Deny"}]
        code, _ = self.results(tmp_path, suite({"sequence": steps}), limiting("history.exports.count <= 1"))
        assert code == 0

    @pytest.mark.parametrize(
        ("case", "said"),
        [
            ({"sequence": [{"is": "Allow"}]}, "sequence[0]: subject is required, because no step before names one"),
            ({"sequence": [{**EXPORT, "after": "soon", "is": "Allow"}]}, "sequence[0].after"),
            ({"sequence": [{**EXPORT, "times": 0, "is": "Allow"}]}, "sequence[0].times"),
            ({"sequence": [{**EXPORT, "repeat": True, "is": "Allow"}]}, "sequence[0].repeat"),
            ({"sequence": [{**EXPORT, "rule": "lmit", "is": "Allow"}]}, "there is no rule lmit; did you mean limit?"),
            (
                {"sequence": [{**EXPORT, "context": {"intent": "x", "evidence": 1}, "is": "Allow"}]},
                "is not part of a call",
            ),
            (
                {"sequence": [{**EXPORT, "is": "Allow"}], "expect": [{**EXPORT, "is": "Allow"}]},
                "names its calls itself",
            ),
        ],
    )
    def test_what_cannot_be_a_sequence_is_refused_with_its_place(self, tmp_path: Path, case: Object, said: str) -> None:
        written(tmp_path, {"policy.yaml": self.FIVE, "crm_test.yaml": suite(case)})
        ran = run_tests(tmp_path / "crm_test.yaml")
        assert ran.code == 2
        assert said in ran.err, ran.err
