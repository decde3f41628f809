"""Dimension: one of the criteria by which a rule selects calls, and everything that the engine needs of it.

Standing: over `clause` and `atom`; each module beside it has one. Holds: a dimension without one of its parts cannot be
created; code that needs a property of a rule goes through every dimension of `table`, and keeps no list of fields. The
warnings of `compile.checks` and `compile.approvable` are the exception: they look at intents by name.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, Generic, NamedTuple, TypeVar

from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec, Rule
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.call import Call
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.members import Path
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.dimensions.atom import CallAtom
from bailiwick_engine.policy.dimensions.clause import CallView, Clause
from bailiwick_engine.policy.effect import PolicyRef
from bailiwick_engine.problem import Problem
from bailiwick_engine.reasons import Reason

PartT = TypeVar("PartT")

Limit = Callable[[Any, Call, float], Reason | None]
"""Given a rule, a call and the moment, the reason why the rule does not hold; None where it does."""
RecordReader = Callable[[Mapping[str, Any]], object]
"""Given a record, what rules distinguish in it."""


class Aspect(IntEnum):
    """What a dimension describes, in the order in which the comparison of policies distinguishes calls."""

    CALL = 0
    PARTY = 1
    MOMENT = 2


class RuleSource(NamedTuple):
    """What a rule is compiled from.

    `keys` and `workloads` are those of the subjects that it names, `conditions` its own, compiled before. `suspended`:
    its policy is, or is being deleted. `rule_digest` returns what grants know the rule by.
    """

    ref: PolicyRef
    spec: EndpointPolicySpec
    rule: Rule
    policy_digest: str
    scope: Scope
    keys: frozenset[Key]
    workloads: Mapping[Key, tuple[Any, ...]]
    conditions: tuple[Any, ...]
    sensitive: frozenset[str]
    suspended: bool
    rule_digest: Callable[[], str]


class Meanings(NamedTuple):
    """What a condition and a gate mean to who compares rules: equal only where no decision can tell them apart."""

    condition: Callable[[Any], Hashable]
    gate: Callable[[Gate], Hashable]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dimension(Generic[PartT]):
    """One dimension.

    `part` declares its fields of a compiled rule, `written` names its fields of `Rule` in the kind. `region_key`: under
    what a region has the label of its atom; empty: its name.

    `compile` returns those fields. `problems`: what is wrong with a rule, at this path, that the schema cannot say.

    `limit` returns a check that can disable an Allow or RequireApproval rule for a call, or None. A disabled Allow
    allows nothing; a disabled gate stays shut. `limits_with` are all reasons that a limit gives.

    `clauses`: what a rule asks of a call, and whether it held. `is_costly`: they take so long that they are asked for
    last, and of few rules.

    `meaning`: everything on which a decision can depend, for the comparison of rules. `atoms`: the values that stand
    for all others, for rules on one action and resource, for parties with these keys, from a time on; `any_call` if
    calls are distinguished by other means: by the parties in rules, by their place, or by worlds of conditions.

    `reads`: the attributes of a call that a rule reads and that are not members of every record. `record_reader`: what
    else of a record rules distinguish, besides its parties and its action, given all attributes that they read.

    `weight`: how much there is to look at, in parts that take some tenths of a microsecond each.

    The digest by which grants know a rule covers every field of every kind. `uncounted` lists the exceptions, by class
    and name, each with the reason; `counted_otherwise` lists fields that another value represents.
    """

    name: str
    part: type[PartT]
    written: frozenset[str]
    aspect: Aspect
    compile: Callable[[RuleSource], Mapping[str, Any]]
    problems: Callable[[Rule, str], Iterable[Problem]]
    limit: Callable[[PartT], Limit | None]
    limits_with: tuple[Reason, ...]
    clauses: Callable[[PartT, CallView], Iterable[Clause]]
    meaning: Callable[[PartT, Meanings], Hashable]
    atoms: Callable[[Sequence[PartT], AbstractSet[Key], float], Sequence[CallAtom]]
    reads: Callable[[PartT], frozenset[Path]]
    record_reader: Callable[[Sequence[PartT], AbstractSet[Path]], RecordReader | None]
    weight: Callable[[PartT], int]
    uncounted: Mapping[tuple[str, str], str] = field(default_factory=dict)
    counted_otherwise: Mapping[tuple[str, str], str] = field(default_factory=dict)
    is_costly: bool = False
    region_key: str = ""


def no_problems(_rule: Rule, _path: str) -> tuple[Problem, ...]:
    """Of a dimension of which the schema says all."""
    return ()


def no_limit(_rule: object) -> None:
    """Of a dimension that covers calls or does not."""


def no_clauses(_rule: object, _view: CallView) -> tuple[Clause, ...]:
    """Of a dimension that asks nothing of a call."""
    return ()


def any_call(_rules: Sequence[object], _keys: AbstractSet[Key], _now: float) -> tuple[CallAtom, ...]:
    """Return the atoms of a dimension that does not distinguish drafts of calls."""
    return _ANY_CALL


def no_attributes(_rule: object) -> frozenset[Path]:
    """Of a dimension that reads what every record has."""
    return _NO_ATTRIBUTES


def no_reader(_rules: Sequence[object], _paths: AbstractSet[Path]) -> None:
    """Of a dimension that tells records apart by their parties, their action or the attributes that it reads."""


def weightless(_rule: object) -> int:
    """Of a dimension that costs nothing that could be measured."""
    return 0


_ANY_CALL: Final = (CallAtom(),)
_NO_ATTRIBUTES: Final[frozenset[Path]] = frozenset()
