"""Index: from a party's keys and an action to the rules that may speak of them. Built with its endpoint.

Holds: what is found is what a scan of all rules would find, each rule once; building takes time and room in proportion
to what the rules list, so that no policy makes the index of its endpoint explode; how much one call may have to look at
is known before it looks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from bailiwick_engine.compiled import CompiledRule
from bailiwick_engine.keys import Key

SPREAD: Final = 1_024
"""Entries that one rule may take, subjects times actions. One that would take more is tried by name instead."""

MOST_WORK: Final = 20_000
"""Work of the rules that one decision may look at for one party, see `CompiledRule.work`: some milliseconds."""
_LADEN: Final = 200

_Rules = tuple[CompiledRule, ...]


@dataclass(frozen=True, slots=True)
class Index:
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
        exact: dict[Key, dict[str, list[CompiledRule]]] = {}
        tried: dict[Key, list[CompiledRule]] = {}
        for rule in rules:
            names = rule.actions
            whole = not names.everything and not names.prefixes
            if whole and len(rule.subjects) * len(names.exact) <= SPREAD:
                for key in rule.subjects:
                    actions = exact.setdefault(key, {})
                    for action in names.exact:
                        actions.setdefault(action, []).append(rule)
            else:
                for key in rule.subjects:
                    tried.setdefault(key, []).append(rule)
        work = {key: sum(rule.work for rule in found) for key, found in tried.items()}
        for key, actions in exact.items():
            work[key] = work.get(key, 0) + max(sum(rule.work for rule in found) for found in actions.values())
        return cls(
            {key: {action: tuple(found) for action, found in actions.items()} for key, actions in exact.items()},
            {key: tuple(found) for key, found in tried.items()},
            {key: found for key, found in work.items() if found > _LADEN},
        )

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
        found = actions.get(action, ()) if actions is not None else ()
        if (tried := self.tried.get(key)) is not None:
            found += tuple(rule for rule in tried if action in rule.actions)
        return found
