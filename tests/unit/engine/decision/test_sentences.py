"""What a verdict says in one sentence."""

from bailiwick_engine.reasons import Reason
from support.objects import gated_rule, rule
from unit.engine.cases import approved, governed, read, verdict_of


def test_a_call_that_an_approval_allows_says_so() -> None:
    on = governed(gated_rule())
    verdict = verdict_of(on, grants=[read(approved(on))])
    assert (verdict.reason, verdict.sentence) == (Reason.ALLOWED, "An approval allows this call.")


def test_a_call_that_a_rule_allows_says_so() -> None:
    verdict = verdict_of(governed(rule(actions=["customers.export"])))
    assert (verdict.reason, verdict.sentence) == (Reason.ALLOWED, "A rule allows this call.")


def test_a_call_that_needs_an_approval_says_what_each_side_does() -> None:
    sentence = verdict_of(governed(gated_rule())).sentence
    assert "The enforcement point can request one at access_request.endpoint." in sentence
    assert "After it is approved, repeat this call unchanged." in sentence
