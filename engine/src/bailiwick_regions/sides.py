"""Sides: one state of an endpoint for the walk, and the rules that have no equal on the other side.

Holds: two rules are equal only if no decision can differ between them; their names do not count.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from bailiwick_engine import keys
from bailiwick_engine.approval.strength import meaning
from bailiwick_engine.cel.data import Data
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.dimensions.dimension import Meanings
from bailiwick_engine.policy.dimensions.table import DIMENSIONS
from bailiwick_engine.policy.model import CompiledRule, CompiledSettings
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_regions.formulas import changed_data, data_read, formula_of


@dataclass(frozen=True, slots=True)
class WalkSide:
    """One state of an endpoint: its enforced rules, and what they read. `endpoint` None: there is none.

    `partial`: it may have other policies, with settings and gates that are not known.
    """

    endpoint: CompiledEndpoint | None
    partial: bool = False

    @property
    def rules(self) -> tuple[CompiledRule, ...]:
        """The rules that count."""
        return self.endpoint.enforced if self.endpoint is not None else ()

    @property
    def data(self) -> Data:
        """The data that they read."""
        return self.endpoint.data if self.endpoint is not None else {}

    @property
    def settings(self) -> CompiledSettings | None:
        """The endpoint's settings."""
        return self.endpoint.settings if self.endpoint is not None else None

    def naming(self, named: Iterable[Key]) -> Iterator[CompiledRule]:
        """Yield the rules that name one of these keys, each once."""
        found = self.endpoint.index.naming(named) if self.endpoint is not None else ()
        yield from dict.fromkeys(rule for rule in found if not rule.audit)


def differing(base: WalkSide, head: WalkSide) -> tuple[tuple[CompiledRule, ...], tuple[CompiledRule, ...]]:
    """Return the rules of each side that have no equal on the other, compared by their whole meaning."""
    other = changed_data(base.data, head.data)
    both = {id(rule) for rule in base.rules} & {id(rule) for rule in head.rules}
    # A rule that both sides share can have another outcome with other data.
    known = (
        {id(rule) for rule in base.rules if id(rule) in both and other.isdisjoint(_data_of(rule))} if other else both
    )
    sides = [
        [(rule, rule_meaning(rule, side.data)) for rule in side.rules if id(rule) not in known] for side in (base, head)
    ]
    counts = [Counter(meant for _, meant in side) for side in sides]
    left = [counts[0] - counts[1], counts[1] - counts[0]]
    removed, added = (
        tuple(rule for rule, meant in side if meant in more) for side, more in zip(sides, left, strict=True)
    )
    return removed, added


def _data_of(rule: CompiledRule) -> Iterator[str]:
    return (name for one in rule.conditions for name in data_read(one))


def rule_meaning(rule: CompiledRule, data: Data) -> Hashable:
    """Return all parts of a rule on which a decision can depend, without names."""
    meanings = Meanings(lambda condition: formula_of(condition, data), meaning)
    return tuple(dimension.meaning(rule, meanings) for dimension in DIMENSIONS)


def overlap(one: CompiledRule, other: CompiledRule) -> bool:
    """Tell whether one call can match both, by action and resource."""
    return one.actions.overlaps(other.actions) and any(
        left.type == right.type and left.ids.overlaps(right.ids) for left in one.resources for right in other.resources
    )


def issuer_of(key: Key) -> str | None:
    """Return the issuer of a person or group; None for every other party."""
    parts = keys.key_parts(key)
    return parts[1] if parts[0] in {"user", "group"} else None
