"""Worlds: the possible outcomes of the conditions of two states of an endpoint, one combination after the other.

Standing: between `formulas` and the walk; the engine's own rules query it with `StoodCondition`. Holds: an atom has one
outcome in a world, on both sides; comparisons of one member agree with each other, as the engine itself evaluates them.
"""

import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.data import Data
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.policy.model import CompiledCondition, CompiledRule
from bailiwick_engine.truth import UNKNOWN, Truth
from bailiwick_evidence.derive.choices import Choices
from bailiwick_regions.formulas import (
    Comparison,
    Formula,
    Junction,
    Literal,
    MemberPath,
    Negation,
    OpaqueAtom,
    atoms,
    data_read,
    formula_of,
    has_literal,
    is_unknown,
)

_OUTCOMES: Final[tuple[Truth, ...]] = (True, False, UNKNOWN)
_ABSENT: Final = object()
_MEMBER: Final = "context.value"
_MIDDLE: Final = 0.5
_WHOLE: Final = ("whole",)


@dataclass(frozen=True, slots=True)
class StoodCondition(CompiledCondition):
    """A condition whose outcome the world decides. `missing`: data that it reads and that is unknown on its side.

    Any history that it reads may be unknown, and so may be the call as a whole.
    """

    formula: Formula
    missing: frozenset[str]
    worlds: "Worlds"

    def outcome(self, inputs: Inputs) -> Truth:  # noqa: ARG002 - of all inputs at once
        """Return its outcome in this world."""
        if not self.worlds.is_whole:
            return UNKNOWN
        if not all(self.worlds.has_data(name) for name in sorted(self.missing)):
            return UNKNOWN
        if self.histories and not all(self.worlds.has_numbers(name) for name in sorted(self.histories)):
            return UNKNOWN
        return self.worlds.truth(self.formula)


@dataclass(frozen=True, slots=True)
class _Sample:
    """A value of a member, and the outcome of each comparison with it."""

    value: Any
    truths: Mapping[Comparison, Truth]


class Worlds:
    """All combinations of outcomes: `begin`, evaluate, and repeat while `more`. Build it from both sides' rules."""

    def __init__(self, base: Iterable[CompiledRule], head: Iterable[CompiledRule], data: tuple[Data, Data]) -> None:
        self._choices = Choices()
        self._data = data
        self._sides: dict[object, set[int]] = {}
        self._texts: dict[object, str] = {}
        self._samples: dict[MemberPath, tuple[_Sample, ...]] = {}
        found: dict[MemberPath, set[Comparison]] = {}
        formulas: list[dict[CompiledRule, tuple[Formula, ...]]] = []
        for side, (rules, held) in enumerate(zip((base, head), data, strict=True)):
            formulas.append({rule: tuple(formula_of(one, held) for one in rule.conditions) for rule in rules})
            for atom in (atom for some in formulas[-1].values() for one in some for atom in atoms(one)):
                self._sides.setdefault(_key(atom), set()).add(side)
                self._texts[_key(atom)] = atom.text if isinstance(atom, OpaqueAtom) else ".".join(atom.path)
                if isinstance(atom, Comparison):
                    found.setdefault(atom.path, set()).add(atom)
        # Of a formula without literals, that all of its atoms are unknown says the same.
        self._may_be_cut = any(has_literal(one) for side in formulas for some in side.values() for one in some)
        self._sides[_WHOLE], self._texts[_WHOLE] = {0, 1}, "no text of the call holds a NUL character"
        for path, comparisons in found.items():
            self._samples[path] = _samples(sorted(comparisons, key=repr))
        self.base, self.head = (
            {rule: self._with_world(rule, some, side) for rule, some in formulas[side].items()} for side in range(2)
        )

    def _with_world(self, rule: CompiledRule, formulas: tuple[Formula, ...], side: int) -> CompiledRule:
        conditions = tuple(
            StoodCondition(*one.parts, formula, self._missing(one, side), self)
            for one, formula in zip(rule.conditions, formulas, strict=True)
        )
        return replace(rule, conditions=conditions)

    def _missing(self, condition: CompiledCondition, side: int) -> frozenset[str]:
        names = frozenset(name for name in data_read(condition) if is_unknown(name, self._data[side]))
        for name in names:
            self._sides.setdefault(_data_key(name), set()).add(side)
            self._texts[_data_key(name)] = f"the data object {name} can be read"
        for name in condition.histories:
            self._sides.setdefault(_history_key(name), set()).add(side)
            self._texts[_history_key(name)] = f"the history {name} can be read"
        return names

    @property
    def is_whole(self) -> bool:
        """Whether conditions see the call as it is in this world: where it holds a NUL character, each is unknown."""
        held: bool = not self._may_be_cut or self._choices.outcome_of(_WHOLE, (True, False))
        return held

    def has_data(self, name: str) -> bool:
        """Tell whether data that is unknown on a side can be read in this world."""
        held: bool = self._choices.outcome_of(_data_key(name), (True, False))
        return held

    def has_numbers(self, name: str) -> bool:
        """Tell whether a history can be read in this world."""
        held: bool = self._choices.outcome_of(_history_key(name), (True, False))
        return held

    def begin(self) -> None:
        """Begin with the first world."""
        self._choices.reset()

    def more(self) -> bool:
        """Go on to the next world that differs in an outcome that was used; False if there is none."""
        return self._choices.more()

    def truth(self, formula: Formula) -> Truth:
        """Return the outcome of a formula in this world (Kleene)."""
        match formula:
            case Literal(value):
                return value
            case Negation(part):
                held = self.truth(part)
                return (not held) if isinstance(held, bool) else UNKNOWN
            case Junction(any_of, parts):
                found: Truth = not any_of
                for part in parts:
                    held = self.truth(part)
                    if held is any_of:
                        return any_of
                    if held is UNKNOWN:
                        found = UNKNOWN
                return found
            case Comparison():
                sample: _Sample = self._choices.outcome_of(_key(formula), self._samples[formula.path])
                return sample.truths[formula]
        opaque: Truth = self._choices.outcome_of(_key(formula), _OUTCOMES)
        return opaque

    @property
    def differ(self) -> bool:
        """Whether this world depends on conditions that only the base has, and on others that only the head has.

        Then it is not proven that the world is possible: the conditions may exclude each other.
        """
        sides = [self._sides[key] for key in self._choices.outcomes]
        return {0} in sides and {1} in sides

    @property
    def descriptions(self) -> tuple[str, ...]:
        """The outcomes that were used in this world, for people."""
        return tuple(_describe(self._texts[key], outcome) for key, outcome in self._choices.outcomes.items())


def _data_key(name: str) -> Hashable:
    return ("data object", name)


def _history_key(name: str) -> Hashable:
    return ("history", name)


def _key(atom: OpaqueAtom | Comparison) -> OpaqueAtom | MemberPath:
    return atom.path if isinstance(atom, Comparison) else OpaqueAtom(atom.key, "")


def _describe(text: str, outcome: object) -> str:
    if isinstance(outcome, _Sample):
        return f"{text} missing" if outcome.value is _ABSENT else f"{text} = {json.dumps(outcome.value)}"
    said = "true" if outcome is True else "false" if outcome is False else "unknown"
    return f"({text}) {said}"


def _samples(comparisons: list[Comparison]) -> tuple[_Sample, ...]:
    """Return one value of each kind that these comparisons of one member distinguish."""
    constants = [value for one in comparisons for _, value in one.constants]
    numbers = sorted({value for value in constants if isinstance(value, int | float) and not isinstance(value, bool)})
    texts = sorted({value for value in constants if isinstance(value, str)})
    values: list[Any] = [*texts, "".join(texts) + "~", True, False, None, []]
    if numbers:
        middles = [low + (high - low) * _MIDDLE for low, high in pairwise(numbers)]
        values = [*numbers, *middles, numbers[0] - 1, numbers[-1] + 1, *values]
    found: dict[tuple[Truth, ...], _Sample] = {}
    scope = Scope.of(())
    made = {one: scope.condition(one.text(_MEMBER), "") for one in comparisons}
    for value in (*values, _ABSENT):
        context = {} if value is _ABSENT else {"value": value}
        seen = Inputs.from_values({"subject": {}, "actor": {}, "action": {}, "resource": {}, "context": context}, 0.0)
        truths = {
            one: scope.evaluate(expression, seen) if isinstance(expression, Expression) else UNKNOWN
            for one, expression in made.items()
        }
        found.setdefault(tuple(truths.values()), _Sample(value, truths))
    return tuple(found.values())
