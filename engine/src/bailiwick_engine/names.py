"""Name sets: exact names, "*", and names with a trailing * after one of . : /.

Holds: names match as they are spelled, with no regular expression and no folding; an empty set holds nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self
from weakref import WeakValueDictionary


@dataclass(frozen=True, slots=True, weakref_slot=True)
class NameSet:
    """Names that a rule lists. `prefixes` are without their star; `everything` is a lone "*"."""

    exact: frozenset[str]
    prefixes: tuple[str, ...]
    everything: bool

    @classmethod
    def of(cls, names: Iterable[str]) -> "NameSet":
        """Build the set from names as a policy writes them; sets of the same names are one object.

        It goes with the last policy that lists them, so that no policy takes room that is gone.
        """
        listed = tuple(names)
        known = _KNOWN.get(listed)
        if known is None:
            # Thousands of policies list the same few names, and a set takes half a kilobyte.
            known = _KNOWN[listed] = cls._of(listed)
        return known

    @classmethod
    def _of(cls, names: tuple[str, ...]) -> Self:
        listed = frozenset(names)
        starred = {name for name in listed if name.endswith("*")}
        return cls(
            exact=listed - starred,
            prefixes=tuple(sorted(name[:-1] for name in starred if name != "*")),
            everything="*" in starred,
        )

    def __contains__(self, name: object) -> bool:
        """`customers.*` holds `customers.a` and `customers.a.b`, neither `customers` nor `customers.`."""
        if not isinstance(name, str):
            return False
        if self.everything or name in self.exact:
            return True
        return any(name.startswith(prefix) and len(name) > len(prefix) for prefix in self.prefixes)

    def covers(self, other: "NameSet") -> bool:
        """Tell whether every name of the other set is in this one."""
        if self.everything:
            return True
        if other.everything:
            return False
        return all(name in self for name in other.exact) and all(
            _has_wider(prefix, self.prefixes) for prefix in other.prefixes
        )

    def overlaps(self, other: "NameSet") -> bool:
        """Tell whether one name may be in both sets."""
        if self.everything or other.everything:
            return all(one.everything or one.exact or one.prefixes for one in (self, other))
        if any(name in other for name in self.exact) or any(name in self for name in other.exact):
            return True
        return any(_has_wider(prefix, self.prefixes) for prefix in other.prefixes) or any(
            _has_wider(prefix, other.prefixes) for prefix in self.prefixes
        )


def _has_wider(prefix: str, prefixes: tuple[str, ...]) -> bool:
    return any(prefix.startswith(wider) for wider in prefixes)


_KNOWN: Final[WeakValueDictionary[tuple[str, ...], NameSet]] = WeakValueDictionary()
