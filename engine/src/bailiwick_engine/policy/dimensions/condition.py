"""The conditions: expressions that must all be true of a call.

Holds: a condition that cannot be evaluated is neither true nor false, and never widens what is allowed.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.cost.estimate import Cost
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.cel.members import Path
from bailiwick_engine.policy.dimensions.clause import CallView, Clause, truth_clause
from bailiwick_engine.policy.dimensions.dimension import (
    Aspect,
    Dimension,
    Meanings,
    RecordReader,
    any_call,
    no_limit,
    no_problems,
)
from bailiwick_engine.policy.effect import Effect
from bailiwick_engine.truth import UNKNOWN, Truth

CONDITION_CLAUSE: Final = "condition"


@dataclass(frozen=True, slots=True)
class CompiledCondition:
    """One condition of a rule and what to say when it does not hold.

    `cost`: what it takes, with the variables that it reaches; `light`: it need not be counted for a call that is small.
    `reads`: which attributes it can read, itself or by a variable (see `reads`): found when it is compiled, since the
    first record of an endpoint would have to wait for all of them. `histories`: the names of those that it reads.
    """

    name: str
    expression: Expression
    message: str | None
    scope: Scope
    cost: Cost
    light: bool
    reads: frozenset[Path]
    histories: frozenset[str]

    @property
    def parts(self) -> tuple[str, Expression, str | None, Scope, Cost, bool, frozenset[Path], frozenset[str]]:
        """What a condition is made from, for another kind of condition that stands in for it."""
        return (
            self.name,
            self.expression,
            self.message,
            self.scope,
            self.cost,
            self.light,
            self.reads,
            self.histories,
        )

    @property
    def timed(self) -> bool:
        """Whether it reads the clock, itself or by a variable."""
        return self.scope.timed(self.expression)

    def outcome(self, inputs: Inputs) -> Truth:
        """Return what it says of these inputs."""
        return self.scope.evaluate(self.expression, inputs, self.cost, light=self.light)


@dataclass(frozen=True, eq=False, kw_only=True)
class ConditionPart:
    """The conditions of a rule, or of a ceiling."""

    __slots__ = ()

    conditions: tuple[CompiledCondition, ...] = ()


def _clauses(rule: ConditionPart, view: CallView) -> Iterable[Clause]:
    certain = view.effect is not Effect.DENY
    for one in rule.conditions:
        held = UNKNOWN if view.values is None else one.outcome(view.values)
        yield truth_clause(CONDITION_CLAUSE, held, (one.expression.text,), one.name, one.message, certain=certain)


def _meaning(rule: ConditionPart, meanings: Meanings) -> Hashable:
    return frozenset(meanings.condition(one) for one in rule.conditions)


def _reads(rule: ConditionPart) -> frozenset[Path]:
    return frozenset[Path]().union(*(one.reads for one in rule.conditions))


def _record_reader(rules: Sequence[ConditionPart], _paths: AbstractSet[Path]) -> RecordReader | None:
    if not any(one.timed for rule in rules for one in rule.conditions):
        return None

    def read(record: Mapping[str, Any]) -> object:
        return record["now"]

    return read


CONDITION: Final = Dimension(
    name="condition",
    part=ConditionPart,
    written=frozenset({"conditions"}),
    aspect=Aspect.CALL,
    compile=lambda source: {"conditions": source.conditions},
    problems=no_problems,
    limit=no_limit,
    limits_with=(),
    clauses=_clauses,
    is_costly=True,
    meaning=_meaning,
    atoms=any_call,
    reads=_reads,
    record_reader=_record_reader,
    weight=lambda rule: len(rule.conditions),
    uncounted={
        ("ConditionExpression", "name"): "It is for people.",
        ("ConditionExpression", "message"): "It is for people.",
    },
    counted_otherwise={
        ("EndpointPolicySpec", "data"): "What the rule's conditions read counts, by its name and its object.",
        ("EndpointPolicySpec", "variables"): "Those that the rule's conditions reach count.",
    },
)
