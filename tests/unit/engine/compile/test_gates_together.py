"""Rules of one policy that gate the same calls: more than one grant can hold is told when the policy is written."""

import time
from typing import Any

import pytest

from bailiwick_engine.compile import approvable
from bailiwick_engine.compile.policies import parse_spec
from support.objects import Object, gated_rule, subject
from unit.engine.cases import carrier, compilation, snapshot, stored, verdict_of

pytestmark = pytest.mark.invariant(23)


def gate(name: str, reviews: int = 15, **fields: object) -> Object:
    whole, rest = divmod(reviews, 5)
    counts = [5] * whole + ([rest] if rest else [])
    steps = [{"name": f"s{place}", "kind": "Human", "count": count} for place, count in enumerate(counts)]
    return gated_rule(name, **{"approval": {"steps": steps}, **fields})


def told(*rules: Object, **spec: object) -> list[str]:
    """Return what is told of gates together."""
    found = compilation(stored("crm-agent", *rules, **spec)).warnings
    return [f"{one.path}: {one.message}" for one in found if "multiple_gates" in one.message]


def test_sixty_reviews_of_four_rules_are_told_once_and_such_a_call_is_denied() -> None:
    rules = [gate(f"gate-{number}") for number in range(4)]
    (warning,) = told(*rules)
    assert warning.startswith("spec.rules[0].approval: every call of this rule also needs the approvals of gate-1")
    assert "4 rules with 60 reviews" in warning
    assert verdict_of(snapshot(carrier(), stored("p", *rules))).reason.value == "multiple_gates"


def test_five_rules_are_told_whatever_they_ask_for() -> None:
    assert "5 rules with 5 reviews" in told(*(gate(f"gate-{number}", 1) for number in range(5)))[0]


def test_a_wider_rule_is_told_at_the_narrower_one() -> None:
    wide = gate("wide", actions=["*"], resources=[{"type": "customer", "ids": ["*"]}])
    narrow = gate("narrow", resources=[{"type": "customer", "ids": ["42"]}])
    (warning,) = told(wide, narrow)
    assert warning.startswith("spec.rules[1].approval")


@pytest.mark.parametrize(
    "other",
    [
        {"actions": ["customers.delete"]},
        {"resources": [{"type": "order", "ids": ["*"]}]},
        {"subjects": ["another"]},
        {"reviews": 5},
    ],
)
def test_what_may_not_gate_the_same_call_is_not_told(other: dict[str, Any]) -> None:
    both = [subject(), subject("another", account="another")]
    assert told(gate("one", subjects=["agent"]), gate("two", **{"subjects": ["agent"], **other}), subjects=both) == []


@pytest.mark.parametrize(
    "narrower",
    [
        {"resources": [{"type": "customer", "ids": ["*"], "properties": {"tier": ["gold"]}}]},
        {"conditions": [{"name": "c", "expression": "context.args.amount > 1"}]},
        {"intents": ["audit"]},
    ],
)
def test_of_a_rule_that_gates_some_calls_of_another_only_that_one_is_told(narrower: dict[str, Any]) -> None:
    (warning,) = told(gate("all"), gate("some", **narrower))
    assert warning.startswith("spec.rules[1].approval")


def test_the_largest_policy_is_looked_at_within_milliseconds_a_rule() -> None:
    resources = [{"type": "customer", "ids": [f"{number}-{entry}" for number in range(64)]} for entry in range(16)]
    actions = [f"customers.a{number}" for number in range(64)]
    for few in (4, 16):
        rules = [gate(f"gate-{number}", 1, actions=actions, resources=resources[:few]) for number in range(64)]
        spec = parse_spec(stored("crm-agent", *rules)["spec"])
        assert not isinstance(spec, tuple)
        began = time.process_time()
        approvable.together(spec, 0)
        assert time.process_time() - began < 0.05
