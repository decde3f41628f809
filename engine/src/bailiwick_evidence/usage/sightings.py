"""Sightings: what the uses of one rule were, in memory that does not grow with their number, and what would do.

Standing: beside `scopes`. Holds: what is proposed covers every use that was taken, and nothing that the rule does not
cover; of what cannot be written as a policy writes it, or is not known of every use, nothing is proposed.
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
"""So many names are listed one by one; of more, what they have in common is asked for."""
_ENDS: Final = ".:/"
_LITERAL: Final = re.compile(r"[^*\x00-\x1f\x7f]+")
# More than is ever listed, and few enough to be looked through for each use.
_REMEMBERED: Final = 64
_DIGITS: Final = 2
# A number of CEL that stands for itself, whole or not.
_LARGEST: Final = 2**53
_SMALLEST: Final = Decimal("1e-9")
_PROPERTIES: Final[Path] = ("resource", "properties")


@dataclass(slots=True)
class NamesSeen:
    """The names that one pattern covered: a few of them, and with what all of them begin."""

    pattern: str
    few: set[str] = field(default_factory=set)
    _common: str = ""
    _shortest: int = 0

    def add(self, name: str) -> None:
        """Take a name."""
        if name in self.few:
            return
        if not self.few:
            self._common, self._shortest = name, len(name)
        elif not name.startswith(self._common):
            self._common = _beginning(self._common, name)
        self._shortest = min(self._shortest, len(name))
        if len(self.few) <= MOST_LISTED:
            self.few.add(name)

    def narrowed(self) -> tuple[str, ...]:
        """Return the patterns that do for these names: none, the names themselves, a longer prefix, or as it is."""
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
        """Take a use. A name is taken for every pattern that covers it: none of them must be left without it."""
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
        """Some of the names, for whoever looks at the evidence: one more than is listed of each pattern."""
        return tuple(sorted({name for _, seen in self._seen for name in seen.few}))

    def narrowed(self, most: int) -> tuple[str, ...]:
        """Return the list as it would do, in its order; as it is, where that would be more than `most`."""
        found = tuple(dict.fromkeys(one for _, seen in self._seen for one in seen.narrowed()))
        return found if len(found) <= most else self.patterns


@dataclass(slots=True)
class ValuesSeen:
    """The values of one property that an entry lists, of which each use had one. `unknown`: of one use it is not."""

    listed: Sequence[str]
    seen: set[str] = field(default_factory=set)
    unknown: bool = False

    def narrowed(self) -> tuple[str, ...]:
        """Return the values that were there, in their order."""
        return tuple(self.listed) if self.unknown else tuple(one for one in self.listed if one in self.seen)


class EntrySeen:
    """One entry of a rule's resources and the uses that may have been by it."""

    def __init__(self, kind: str, ids: Iterable[str], properties: Mapping[str, Sequence[str]]) -> None:
        self.kind: Final = kind
        self.ids: Final = PatternsSeen(ids)
        self.properties: Final = {name: ValuesSeen(values) for name, values in properties.items()}

    def add(self, kind: str, name: str, attributes: Mapping[Path, Any]) -> bool:
        """Take a use, if it may have been by this entry."""
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
    """The largest number that stood at one place, of so many uses. `unknown`: in one of them there was none."""

    count: int = 0
    largest: float | int = -math.inf
    unknown: bool = False

    def add(self, value: object) -> None:
        """Take what a use had."""
        self.count += 1
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.unknown = True
        elif value > self.largest:
            self.largest = value

    @property
    def bound(self) -> str | None:
        """The largest, rounded up to two digits, as CEL writes it; None where that would not hold of every use."""
        return None if self.unknown or not self.count else rounded_up(self.largest)


def rounded_up(value: float) -> str | None:
    """Return a number that is no smaller, of two digits that are not zero; None where CEL has none that is exact."""
    if abs(value) >= _LARGEST:
        return None
    # As it is written: the digits behind those are of the machine.
    exact = Decimal(repr(value))
    if exact and abs(exact) < _SMALLEST:
        return None
    step = Decimal(1).scaleb(exact.adjusted() - _DIGITS + 1)
    made = exact.quantize(step, rounding=ROUND_CEILING) if exact else Decimal(0)
    if abs(made) >= _LARGEST:
        return None
    return str(int(made)) if made == made.to_integral_value() else format(made.normalize(), "f")


def _beginning(one: str, other: str) -> str:
    """Return with what both begin."""
    length = min(len(one), len(other))
    return one[: next((place for place in range(length) if one[place] != other[place]), length)]
