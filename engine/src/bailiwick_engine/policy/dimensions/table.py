"""The table: every dimension of a rule, and the parts of which a compiled rule is made.

Standing: over all else here, below `model`. Holds: a dimension stands once in `DIMENSIONS`, and its part once among
the bases of `RuleParts`; nothing else lists dimensions or their fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_api.kinds.endpointpolicy import Rule
from bailiwick_engine.cel.members import Path
from bailiwick_engine.policy.dimensions.action import ACTION, ActionPart
from bailiwick_engine.policy.dimensions.approval import APPROVAL, ApprovalPart
from bailiwick_engine.policy.dimensions.condition import CONDITION, ConditionPart
from bailiwick_engine.policy.dimensions.dimension import (
    Dimension,
    Limit,
    RuleSource,
    no_attributes,
    no_limit,
    no_problems,
    weightless,
)
from bailiwick_engine.policy.dimensions.header import HEADER, HeaderPart
from bailiwick_engine.policy.dimensions.intent import INTENT, IntentPart
from bailiwick_engine.policy.dimensions.resource import RESOURCE, ResourcePart
from bailiwick_engine.policy.dimensions.subject import SUBJECT
from bailiwick_engine.policy.dimensions.validity import VALIDITY, ValidityPart
from bailiwick_engine.policy.dimensions.workload import WORKLOAD, WorkloadPart
from bailiwick_engine.problem import Problem

DIMENSIONS: Final[tuple[Dimension[Any], ...]] = (
    HEADER,
    SUBJECT,
    WORKLOAD,
    ACTION,
    RESOURCE,
    INTENT,
    VALIDITY,
    CONDITION,
    APPROVAL,
)
"""In the order in which an explanation has their clauses. If several limits fail, the last one gives the reason."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RuleParts(
    HeaderPart, WorkloadPart, ActionPart, ResourcePart, IntentPart, ValidityPart, ConditionPart, ApprovalPart
):
    """The fields of all dimensions. Without a value, a field asks nothing of a call."""

    __slots__ = ()


def compiled_parts(source: RuleSource) -> Mapping[str, Any]:
    """Return every field of a compiled rule."""
    found: dict[str, Any] = {}
    for compile_part in _COMPILING:
        found |= compile_part(source)
    return found


def rule_problems(rule: Rule, path: str) -> list[Problem]:
    """Return what is wrong with a rule that the schema alone cannot say. `path` is the rule's."""
    return [problem for dimension in _CHECKING for problem in dimension.problems(rule, path)]


def limits_of(rule: RuleParts) -> tuple[Limit, ...]:
    """Return the limits of a rule; the first one that fails gives the reason."""
    found = [limit for dimension in _LIMITING if (limit := dimension.limit(rule)) is not None]
    if not found:
        return ()
    limits = tuple(found)
    # Those that have any have the same few.
    return _KNOWN_LIMITS.setdefault(limits, limits)


def weight_of(rule: RuleParts) -> int:
    """Return how much there is to look at, in parts that take some tenths of a microsecond each."""
    return sum([dimension.weight(rule) for dimension in _WEIGHING])


def reads_of(part: object) -> frozenset[Path]:
    """Return the attributes of a call that a rule reads, or what has some of a rule's parts: an entry of a ceiling."""
    found = frozenset[Path]()
    for dimension in _READING:
        if isinstance(part, dimension.part):
            found |= dimension.reads(part)
    return found


def reads_beside_resource(rule: RuleParts) -> frozenset[Path]:
    """Return what a rule reads beside properties of the resource."""
    return frozenset(path for dimension in _READING if dimension is not RESOURCE for path in dimension.reads(rule))


_COMPILING: Final = tuple(one.compile for one in DIMENSIONS)
# Those that have nothing of a kind are not asked for it, of some ten thousand rules.
_CHECKING: Final = tuple(one for one in DIMENSIONS if one.problems is not no_problems)
_LIMITING: Final = tuple(one for one in reversed(DIMENSIONS) if one.limit is not no_limit)
_WEIGHING: Final = tuple(one for one in DIMENSIONS if one.weight is not weightless)
_READING: Final = tuple(one for one in DIMENSIONS if one.reads is not no_attributes)
_KNOWN_LIMITS: Final[dict[tuple[Limit, ...], tuple[Limit, ...]]] = {}
