"""Terms: of all that conditions can say, what has to hold for one outcome, and nothing that need not.

Standing: under `outcomes`. Holds: a term holds in no world of another outcome; each world has a term that holds in it.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.truth import UNKNOWN, Truth
from bailiwick_regions.formulas import Formula

Outcomes = frozenset[Truth]
Term = Mapping[Formula, Outcomes]
"""Of some conditions, which of their outcomes will do."""

_WIDER: Final[Mapping[Truth, tuple[Outcomes, ...]]] = {
    True: (frozenset((True, UNKNOWN)),),
    False: (frozenset((False, UNKNOWN)),),
    UNKNOWN: (frozenset((True, UNKNOWN)), frozenset((False, UNKNOWN))),
}


@dataclass(frozen=True, slots=True)
class World:
    """What each condition that was asked came to, and the outcome. What was not asked does not matter there.

    `own` are the conditions of what decided: they are the last to be left out of a term.
    """

    truths: Mapping[Formula, Truth]
    outcome: Hashable
    own: frozenset[Formula]
    verdict: Verdict = field(compare=False)


def term_of(world: World, others: Iterable[World]) -> Term:
    """Return what has to hold for the outcome of a world, given all worlds of other outcomes."""
    against = list(others)
    term: dict[Formula, Outcomes] = {key: frozenset((truth,)) for key, truth in world.truths.items()}
    for key in sorted(term, key=lambda one: one in world.own):
        for trial in _wider(term, key, world.truths[key]):
            if not any(_may_hold(trial, other) for other in against):
                term = trial
                break
    return term


def _wider(term: Term, key: Formula, truth: Truth) -> Iterator[dict[Formula, Outcomes]]:
    yield {one: outcomes for one, outcomes in term.items() if one != key}
    for outcomes in _WIDER[truth]:
        yield {**term, key: outcomes}


def _may_hold(term: Term, world: World) -> bool:
    """Tell whether a term can hold in a world."""
    return all(key not in world.truths or world.truths[key] in outcomes for key, outcomes in term.items())


def holds(term: Term, world: World) -> bool:
    """Tell whether a term does hold in a world: what was not asked there may come to anything."""
    return all(key in world.truths and world.truths[key] in outcomes for key, outcomes in term.items())


def is_implied(term: Term, by: Term) -> bool:
    """Tell whether what `by` asks for is a part of what the term asks for."""
    return all(key in term and term[key] <= outcomes for key, outcomes in by.items())
