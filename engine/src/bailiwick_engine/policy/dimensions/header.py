"""The header: what a rule is called, whose it is, and what it does to the calls that it covers.

Holds: of all that, only the effect is part of a decision; in Audit mode a rule decides nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.policy.dimensions.dimension import (
    Aspect,
    Dimension,
    RuleSource,
    any_call,
    no_attributes,
    no_clauses,
    no_limit,
    no_problems,
    no_reader,
)
from bailiwick_engine.policy.effect import Effect, PolicyRef


@dataclass(frozen=True, eq=False, kw_only=True)
class HeaderPart:
    """`scope`: what the policy's expressions see. `sensitive` are attributes that stand in no record in the clear."""

    __slots__ = ()

    policy: PolicyRef
    policy_digest: str
    name: str
    effect: Effect
    scope: Scope
    audit: bool = False
    sensitive: frozenset[str] = frozenset()

    @property
    def place(self) -> tuple[str, str]:
        """Policy and rule name: the order in which equals are reported, so that the same inputs give the same words."""
        return (self.policy.name, self.name)


def _compile(source: RuleSource) -> Mapping[str, Any]:
    return {
        "policy": source.ref,
        "policy_digest": source.policy_digest,
        "name": source.rule.name,
        "effect": Effect(source.rule.effect),
        "scope": source.scope,
        "audit": source.spec.mode == "Audit",
        "sensitive": source.sensitive,
    }


HEADER: Final = Dimension(
    name="header",
    part=HeaderPart,
    written=frozenset({"name", "effect"}),
    aspect=Aspect.CALL,
    compile=_compile,
    problems=no_problems,
    limit=no_limit,
    limits_with=(),
    clauses=no_clauses,
    meaning=lambda rule, _: rule.effect,
    atoms=any_call,
    reads=no_attributes,
    record_reader=no_reader,
    # To find the rule, and to say what came of it.
    weight=lambda _: 4,
    uncounted={
        ("EndpointPolicySpec", "mode"): "It is judged at each use: in Audit mode the rule is no gate.",
        ("EndpointPolicySpec", "replaces"): "Only a candidate has it, and a candidate is part of no answer.",
        ("EndpointPolicySpec", "sensitive"): "It says what records hold, and nothing of what is allowed.",
        ("Rule", "name"): "A grant names its rules, and their steps have it in their names: it counts there.",
    },
)
