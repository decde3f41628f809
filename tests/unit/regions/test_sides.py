"""What makes two rules alike: every field of a compiled rule and of its gate is told apart, or is an exception.

A field that is new has no other value here, which turns these tests red.
"""

import dataclasses
from dataclasses import replace
from typing import Any, Final

import pytest

from bailiwick_api.kinds.approvalgrant import GrantStep
from bailiwick_api.kinds.approvalrequirement import Limits, ReasonRequirement
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import CompiledRule, Effect, PolicyRef, WorkloadRequirement
from bailiwick_regions.sides import rule_meaning
from support.objects import gated_rule
from unit.engine.cases import sound, stored

RULE: Final = sound(
    stored(
        "p",
        gated_rule(intents=["audit"], conditions=[{"name": "c", "expression": "context.n == 1"}]),
        gated_rule("other", conditions=[{"name": "c", "expression": "context.n == 2"}]),
    )
).rules
FIRST, OTHER = RULE
EXCEPTIONS: Final[dict[str, str]] = {
    "policy": "It is whose rule it is: two policies may say the same.",
    "policy_digest": "It is of the whole policy.",
    "name": "It is for people.",
    "scope": "It is in each condition, with what the condition reaches.",
    "audit": "Only enforced rules are compared.",
    "sensitive": "It says what records hold.",
}
CHANGES: Final[dict[str, Any]] = {
    "policy": PolicyRef("crm", "q", "q-uid", 2),
    "policy_digest": "sha256:other",
    "name": "renamed",
    "effect": Effect.DENY,
    "subjects": frozenset(),
    "workloads": {next(iter(FIRST.subjects)): (WorkloadRequirement(None, (("app", "a"),)),)},
    "actions": NameSet.of(["*"]),
    "resources": (),
    "intents": None,
    "conditions": OTHER.conditions,
    "scope": sound(stored("q", gated_rule(), variables=[{"name": "v", "expression": "1"}])).rules[0].scope,
    "expires": 1.0,
    "suspended": True,
    "audit": True,
    "gate": None,
    "sensitive": frozenset({"context.iban"}),
}


# What follows from other fields cannot be set.
@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(CompiledRule) if field.init])
def test_a_field_of_a_rule_tells_two_rules_apart_or_is_an_exception(field: str) -> None:
    other = replace(FIRST, **{field: CHANGES[field]})
    assert (rule_meaning(other, {}) == rule_meaning(FIRST, {})) is (field in EXCEPTIONS)


GATE_CHANGES: Final[dict[str, Any]] = {
    "rules": (),
    "scope": True,
    "steps": (GrantStep(name="p.export.owner", policy="p", kind="System", count=2),),
    "pending_seconds": 31,
    "window_seconds": 11,
    "max_uses": 7,
    "reasons": (ReasonRequirement(),),
    "required_context": frozenset({"args"}),
    "show": ("/context/a",),
    "unseen": True,
    "by_token": True,
    "on_deny": True,
    "scope_properties": frozenset({"env"}),
    "limits": Limits(requests_per_hour=1),
    "reads": frozenset({("context", "a")}),
    "intents": False,
}


GATE_EXCEPTIONS: Final[dict[str, str]] = {
    "rules": "It is whose gate it is.",
    "reads": "It follows from the conditions of the rule, which tell rules apart.",
    "intents": "It follows from the intents of the rule, which tell rules apart.",
}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Gate)])
def test_a_field_of_a_gate_tells_two_gates_apart_or_is_an_exception(field: str) -> None:
    assert FIRST.gate is not None
    other = replace(FIRST, gate=replace(FIRST.gate, **{field: GATE_CHANGES[field]}))
    assert (rule_meaning(other, {}) == rule_meaning(FIRST, {})) is (field in GATE_EXCEPTIONS)
