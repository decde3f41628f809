"""Sightings: the uses of one rule, in memory that does not grow with their number, and a narrower rule for them.

Standing: beside `scopes`. Holds: a proposal covers every recorded use, and nothing that the rule does not cover. There
is no proposal for a part that a policy cannot express, or that is not known for every use.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from bailiwick_engine.cel.members import Path
from bailiwick_engine.names import NameSet

MOST_LISTED: Final = 5
"""Up to this many names are listed one by one; more names are covered by their common prefix."""
_ENDS: Final = ".:/"
_LITERAL: Final = re.compile(r"[^*\x00-\x1f\x7f]+")
# More than is ever listed, and few enough to be searched for each use.
_REMEMBERED: Final = 64
_DIGITS: Final = 2
# A number literal of CEL, whole or not.
_LARGEST: Final = 2**53
_SMALLEST: Final = Decimal("1e-9")
_PROPERTIES: Final[Path] = ("resource", "properties")


@dataclass(slots=True)
class NamesSeen:
    """The names that one pattern covered: a few of them, and their common prefix."""

    pattern: str
    few: set[str] = field(default_factory=set)
    _common: str = ""
    _shortest: int = 0

    def add(self, name: str) -> None:
        """Record a name."""
        if name in self.few:
            return
        if not self.few:
            self._common, self._shortest = name, len(name)
        elif not name.startswith(self._common):
            self._common = _beginning(self._common, name)
        self._shortest = min(self._shortest, len(name))
        if len(self.few) <= MOST_LISTED:
            self.few.add(name)

    def narrow_patterns(self) -> tuple[str, ...]:
        """Return the patterns that suffice for these names: none, the names, a longer prefix, or the same pattern."""
        if not self.pattern.endswith("*") or not self.few:
            return (self.pattern,) if self.few else ()
        if not all(_LITERAL.fullmatch(name) for name in self.few):
            return (self.pattern,)
        if len(self.few) <= MOST_LISTED:
            return tuple(sorted(self.few))
        # A prefix covers only what is longer.
        common = self._common[: self._shortest - 1]
        end = max(common.rfind(one) for one in _ENDS) + 1
        longer = end > len(self.pattern) - 1 and _LITERAL.fullmatch(common[:end]) is not None
        return (f"{common[:end]}*",) if longer else (self.pattern,)


class PatternsSeen:
    """The patterns of one list, each with the names that it covered. `count`: how many uses there were."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns: Final = tuple(patterns)
        self.count = 0
        self._seen = [(NameSet.of([pattern]), NamesSeen(pattern)) for pattern in self.patterns]
        self._taken: set[str] = set()

    def covers(self, name: str) -> bool:
        """Tell whether one of the patterns covers a name."""
        return any(name in names for names, _ in self._seen)

    def add(self, name: str) -> None:
        """Record a use. A name is recorded for every pattern that covers it, so that none of them misses it."""
        self.count += 1
        if name in self._taken:
            return
        if len(self._taken) < _REMEMBERED:
            self._taken.add(name)
        for names, seen in self._seen:
            if name in names:
                seen.add(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Some of the names, as evidence for a reader: one more than is listed for each pattern."""
        return tuple(sorted({name for _, seen in self._seen for name in seen.few}))

    def narrow_patterns(self, most: int) -> tuple[str, ...]:
        """Return a sufficient list, in its order; the same list, if that one would have more than `most` patterns."""
        found = tuple(dict.fromkeys(one for _, seen in self._seen for one in seen.narrow_patterns()))
        return found if len(found) <= most else self.patterns


@dataclass(slots=True)
class ValuesSeen:
    """The values of one property in an entry, of which each use had one. `unknown`: one use has no known value."""

    listed: Sequence[str]
    seen: set[str] = field(default_factory=set)
    unknown: bool = False

    def narrow_values(self) -> tuple[str, ...]:
        """Return the values that were used, in their order."""
        return tuple(self.listed) if self.unknown else tuple(one for one in self.listed if one in self.seen)


class EntrySeen:
    """One entry of a rule's resources, and the uses that it may have covered."""

    def __init__(self, kind: str, ids: Iterable[str], properties: Mapping[str, Sequence[str]]) -> None:
        self.kind: Final = kind
        self.ids: Final = PatternsSeen(ids)
        self.properties: Final = {name: ValuesSeen(values) for name, values in properties.items()}

    def add(self, kind: str, name: str, attributes: Mapping[Path, Any]) -> bool:
        """Record a use if this entry may have covered it."""
        if kind != self.kind or not self.ids.covers(name):
            return False
        told = {one: attributes.get((*_PROPERTIES, one)) for one in self.properties}
        if any(isinstance(value, str) and value not in self.properties[one].listed for one, value in told.items()):
            return False
        self.ids.add(name)
        for one, value in told.items():
            if isinstance(value, str):
                self.properties[one].seen.add(value)
            else:
                self.properties[one].unknown = True
        return True


@dataclass(slots=True)
class LargestSeen:
    """The largest number at one path, over a number of uses. `unknown`: one of them had no number there."""

    count: int = 0
    largest: float | int = -math.inf
    unknown: bool = False

    def add(self, value: object) -> None:
        """Record the value of a use."""
        self.count += 1
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.unknown = True
        elif value > self.largest:
            self.largest = value

    @property
    def upper_bound(self) -> str | None:
        """The largest number, rounded up to two digits, as CEL writes it; None if it would not hold for every use."""
        return None if self.unknown or not self.count else rounded_up(self.largest)


def rounded_up(value: float) -> str | None:
    """Return a number that is not smaller, with two significant digits; None if CEL cannot write it exactly."""
    if abs(value) >= _LARGEST:
        return None
    # As it is written: further digits come from the binary representation.
    exact = Decimal(repr(value))
    if exact and abs(exact) < _SMALLEST:
        return None
    step = Decimal(1).scaleb(exact.adjusted() - _DIGITS + 1)
    made = exact.quantize(step, rounding=ROUND_CEILING) if exact else Decimal(0)
    if abs(made) >= _LARGEST:
        return None
    return str(int(made)) if made == made.to_integral_value() else format(made.normalize(), "f")


def _beginning(one: str, other: str) -> str:
    """Return the common prefix of both."""
    length = min(len(one), len(other))
    return one[: next((place for place in range(length) if one[place] != other[place]), length)]
