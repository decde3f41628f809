"""The approval: the gate of a RequireApproval rule.

Holds: a rule with any other effect has none. What a gate takes is compared component by component, see
`bailiwick_engine.approval.strength`.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_engine.approval.gates import Gate, gate_of
from bailiwick_engine.policy.dimensions.dimension import (
    Aspect,
    Dimension,
    Meanings,
    RuleSource,
    any_call,
    no_attributes,
    no_clauses,
    no_limit,
    no_problems,
    no_reader,
    weightless,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class ApprovalPart:
    """`gate` has the rule's own digest; grants have the one of `CompiledEndpoint.gate`."""

    __slots__ = ()

    gate: Gate | None = None


def _compile(source: RuleSource) -> Mapping[str, Any]:
    approval = source.rule.approval
    if approval is None:
        return {"gate": None}
    return {"gate": gate_of(source.ref.name, source.ref.uid, source.rule, approval, source.rule_digest())}


def _meaning(rule: ApprovalPart, meanings: Meanings) -> Hashable:
    return None if rule.gate is None else meanings.gate(rule.gate)


APPROVAL: Final = Dimension(
    name="approval",
    part=ApprovalPart,
    written=frozenset({"approval"}),
    aspect=Aspect.CALL,
    compile=_compile,
    problems=no_problems,
    limit=no_limit,
    limits_with=(),
    clauses=no_clauses,
    meaning=_meaning,
    atoms=any_call,
    reads=no_attributes,
    record_reader=no_reader,
    weight=weightless,
)
