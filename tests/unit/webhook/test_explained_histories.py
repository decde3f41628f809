"""What an explanation shows of histories."""

from bailiwick_engine.decision.explain import Explanation
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.http.authzen.explanation import described
from bailiwick_webhook.pipeline.decision import Decision


def shown(explanation: Explanation) -> object:
    verdict = Verdict(outcome=Outcome.DENY, reason=Reason.CONDITION_FALSE)
    return described(Decision(verdict, False, "eval_1", 0.0, "1/1", 0.0, explanation=explanation))


def test_the_numbers_that_rules_read_are_shown_and_null_is_one_that_is_not_known() -> None:
    read = (("exports", HistoryNumbers(6, 1_250, 2, 61)), ("marks", None))
    assert shown(Explanation(histories=read)) == {
        "rules": [],
        "histories": {"exports": {"count": 6, "sum": 12.5, "age": 61}, "marks": None},
    }
    assert shown(Explanation()) == {"rules": []}
