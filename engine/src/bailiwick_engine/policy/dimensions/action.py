"""The action: the names of actions in a rule.

Holds: an empty list names nothing. The index finds rules by it; regions are distinguished by it first.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Final

from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.dimensions.clause import CallView, Clause, plain_clause, spelled_names
from bailiwick_engine.policy.dimensions.dimension import (
    Aspect,
    Dimension,
    Meanings,
    any_call,
    no_attributes,
    no_limit,
    no_problems,
    no_reader,
    weightless,
)

ACTION_CLAUSE: Final = "action"


@dataclass(frozen=True, eq=False, kw_only=True)
class ActionPart:
    """The actions of a rule, or of a ceiling."""

    __slots__ = ()

    actions: NameSet


def _clauses(rule: ActionPart, view: CallView) -> Iterable[Clause]:
    yield plain_clause(ACTION_CLAUSE, held=view.call.action.name in rule.actions, wanted=spelled_names(rule.actions))


def _meaning(rule: ActionPart, _meanings: Meanings) -> Hashable:
    return (rule.actions.exact, rule.actions.prefixes, rule.actions.everything)


ACTION: Final = Dimension(
    name="action",
    part=ActionPart,
    written=frozenset({"actions"}),
    aspect=Aspect.CALL,
    compile=lambda source: {"actions": NameSet.of(source.rule.actions)},
    problems=no_problems,
    limit=no_limit,
    limits_with=(),
    clauses=_clauses,
    meaning=_meaning,
    atoms=any_call,
    reads=no_attributes,
    record_reader=no_reader,
    weight=weightless,
)
