"""Clauses: one rule held against one call, clause by clause, for an explanation.

Standing: over the dimensions, each of which says what a rule asks. Holds: every clause is answered by what matching
itself asks, but for two checks that intent and validity write out to save a call; a rule applies exactly if all its
clauses are met.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.policy.dimensions.clause import CallView, Clause
from bailiwick_engine.policy.dimensions.dimension import no_clauses
from bailiwick_engine.policy.dimensions.table import DIMENSIONS
from bailiwick_engine.policy.model import CompiledCeiling, CompiledRule, Effect

_CHEAP: Final = tuple(one for one in DIMENSIONS if not one.is_costly and one.clauses is not no_clauses)
_COSTLY: Final = tuple(one for one in DIMENSIONS if one.is_costly)
_OF_CEILING: Final = tuple(one for one in DIMENSIONS if issubclass(CompiledCeiling, one.part))


def unmet(clauses: Iterable[Clause]) -> tuple[Clause, ...]:
    """Return those that stand in the way."""
    return tuple(clause for clause in clauses if not clause.met)


def fixed_clauses(rule: CompiledRule, call: Call, party: Party, now: float) -> Iterator[Clause]:
    """Yield every clause of a rule but its conditions: they cost little and bound from below what a rule lacks."""
    view = CallView(rule.effect, call, party, now)
    for dimension in _CHEAP:
        yield from dimension.clauses(rule, view)


def of_rule(
    rule: CompiledRule, cheap: Iterable[Clause], call: Call, party: Party, now: float, values: Inputs
) -> tuple[Clause, ...]:
    """Return all clauses of a rule, given those of `fixed_clauses`."""
    view = CallView(rule.effect, call, party, now, values)
    return (*cheap, *(clause for dimension in _COSTLY for clause in dimension.clauses(rule, view)))


def of_ceiling(entry: CompiledCeiling, call: Call, party: Party, now: float, values: Inputs) -> tuple[Clause, ...]:
    """Return all clauses of a ceiling's entry, which is taken as an Allow is."""
    view = CallView(Effect.ALLOW, call, party, now, values)
    return tuple(clause for dimension in _OF_CEILING for clause in dimension.clauses(entry, view))
