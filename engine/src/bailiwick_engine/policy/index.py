"""Index: from a party's keys and an action to the rules that may speak of them. Built with its endpoint.

Holds: what is found is what a scan of all rules would find, each rule once; building takes time and room in proportion
to what the rules list, so that no policy makes the index of its endpoint explode; how much one call may have to look at
is known before it looks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeVar

from bailiwick_engine.keys import Key
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.steps import Steps, whole

SPREAD: Final = 1_024
"""Entries that one rule may take, subjects times actions. One that would take more is tried by name instead."""

MOST_WORK: Final = 20_000
"""Work of the rules that one decision may look at for one party, see `CompiledRule.work`: some milliseconds."""
_LADEN: Final = 200
_STEP: Final = 256

_Rules = tuple[CompiledRule, ...]
_NONE_TRIED: Final[Mapping[Key, _Rules]] = {}
_NONE_LADEN: Final[Mapping[Key, int]] = {}
_Name = TypeVar("_Name", bound=str)


@dataclass(frozen=True, slots=True)
class RuleIndex:
    """Rules by subject. A rule stands under each of its subjects, in one of the two: never in both.

    `exact`: by subject and action, rules that list whole names only. `tried`: by subject, the others, whose actions
    have to be asked. Both keep the order in which the rules were given. `laden`: by subject, the work of all rules that
    a call may have to look at, where that is much.
    """

    exact: Mapping[Key, Mapping[str, _Rules]]
    tried: Mapping[Key, _Rules]
    laden: Mapping[Key, int]

    @classmethod
    def of(cls, rules: Iterable[CompiledRule]) -> Self:
        """Build the index."""
        return whole(cls.steps(rules))

    @classmethod
    def steps(cls, rules: Iterable[CompiledRule]) -> Steps[Self]:
        """Build it in steps, each of a rule or of some hundred names."""
        exact: dict[Key, dict[str, list[CompiledRule]]] = {}
        tried: dict[Key, list[CompiledRule]] = {}
        for rule in rules:
            names = rule.actions
            plain = not names.everything and not names.prefixes
            if plain and len(rule.subjects) * len(names.exact) <= SPREAD:
                for key in rule.subjects:
                    actions = exact.setdefault(key, {})
                    for action in names.exact:
                        actions.setdefault(action, []).append(rule)
            else:
                for key in rule.subjects:
                    tried.setdefault(key, []).append(rule)
            yield
        found: dict[Key, Mapping[str, _Rules]] = {}
        laden: dict[Key, int] = {}
        for key, actions in exact.items():
            found[key] = yield from frozen(actions)
            _add(laden, key, max(sum(rule.work for rule in listed) for listed in actions.values()))
            if len(found) % _STEP == 0:
                yield
        for key, listed in tried.items():
            _add(laden, key, sum(rule.work for rule in listed))
            yield
        # Most have neither, and share what is empty, so that it is in some cache whenever one is asked.
        return cls(found, (yield from frozen(tried)) if tried else _NONE_TRIED, laden or _NONE_LADEN)

    def too_much(self, keys: Iterable[Key]) -> bool:
        """Tell whether more rules speak of these keys than one decision can look at."""
        return bool(self.laden) and sum(self.laden.get(key, 0) for key in keys) > MOST_WORK

    def speaking_of(self, keys: frozenset[Key], action: str) -> Sequence[CompiledRule]:
        """Return the rules that name one of these keys and this action, each once."""
        if len(keys) == 1:
            (key,) = keys
            return self._under(key, action)
        found: dict[CompiledRule, None] = {}
        for key in keys:
            found.update(dict.fromkeys(self._under(key, action)))
        return tuple(found)

    def naming(self, keys: Iterable[Key]) -> Iterator[CompiledRule]:
        """Yield the rules that name one of these keys, whatever the action; one may come more than once."""
        for key in keys:
            for found in self.exact.get(key, {}).values():
                yield from found
            yield from self.tried.get(key, ())

    def _under(self, key: Key, action: str) -> _Rules:
        actions = self.exact.get(key)
        found = () if actions is None else actions.get(action, ())
        if self.tried and (tried := self.tried.get(key)) is not None:
            found += tuple(rule for rule in tried if action in rule.actions)
        return found


def frozen(found: Mapping[_Name, list[CompiledRule]]) -> Steps[Mapping[_Name, _Rules]]:
    """Return the same with tuples, in steps of some hundred names."""
    made: dict[_Name, _Rules] = {}
    for name, rules in found.items():
        made[name] = tuple(rules)
        if len(made) % _STEP == 0:
            yield
    return made


def _add(laden: dict[Key, int], key: Key, work: int) -> None:
    if work > _LADEN:
        laden[key] = laden.get(key, 0) + work
