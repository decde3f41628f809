"""Atoms: for each dimension of a call, the few values that stand for all others under the rules that may apply.

Holds: two calls with the same atoms match the same rules; a fresh name is one that no rule lists.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from itertools import product
from typing import Any, Final

from bailiwick_engine.keys import Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.dimensions.atom import FRESH, CallAtom, CallDraft, TooManyError
from bailiwick_engine.policy.dimensions.dimension import Aspect, Dimension, any_call
from bailiwick_engine.policy.dimensions.table import DIMENSIONS
from bailiwick_engine.policy.model import CompiledRule

_LONGEST = 64
_SHOWN = 4
_NOT_MEANT = "\0"


def names(sets: Iterable[NameSet], before: str = "") -> dict[str, str]:
    """Return names with their labels: each listed name, one fresh name under each prefix, and one outside all.

    A fresh name's label has the labels that its pattern excludes, see `describe_labels`. `before` is their prefix.
    """
    exact: set[str] = set()
    prefixes = {""}
    for one in sets:
        exact |= one.exact
        prefixes |= set(one.prefixes)
    under: dict[str, list[str]] = {prefix: [] for prefix in prefixes}
    for name in sorted(exact):
        longest = max((one for one in prefixes if name.startswith(one) and len(name) > len(one)), key=len)
        under[longest].append(before + name)
    for prefix in sorted(prefixes - {""}):
        under[max((one for one in prefixes if prefix.startswith(one) and prefix != one), key=len)].append(
            f"{before}{prefix}*"
        )
    found = {name: before + name for name in sorted(exact)}
    for prefix in sorted(prefixes):
        fresh = prefix + FRESH
        # No rule lists it, and it does not begin with a longer prefix.
        while fresh in exact or any(len(one) > len(prefix) and fresh.startswith(one) for one in prefixes):
            fresh += "~"
            if len(fresh) > len(prefix) + _LONGEST:
                raise TooManyError
        found[fresh] = _NOT_MEANT.join((f"{before}{prefix}*", *under[prefix]))
    return found


def describe_labels(labels: Iterable[str]) -> str:
    """Return labels in words: `a/* except a/1, b`."""
    parts = {label.partition(_NOT_MEANT)[0]: label.split(_NOT_MEANT)[1:] for label in labels}
    inner = {one for excluded in parts.values() for one in excluded}

    def missing(name: str) -> list[str]:
        return [lacking for one in parts[name] for lacking in (missing(one) if one in parts else [one])]

    words: list[str] = []
    for name in parts:
        if name not in inner:
            lacking = missing(name)
            shown = lacking if len(lacking) <= _SHOWN else [*lacking[:_SHOWN], "…"]
            words.append(f"{name} except {' '.join(shown)}" if shown else name)
    return ", ".join(words)


def products(values: Mapping[str, Mapping[str | None, str]]) -> Iterator[dict[str, tuple[str | None, str]]]:
    """Yield every combination, as value and label by name."""
    order = list(values)
    for chosen in product(*(values[name].items() for name in order)):
        yield dict(zip(order, chosen, strict=True))


def distinct_atoms(rules: Sequence[CompiledRule], keys: AbstractSet[Key]) -> dict[str, Sequence[CallAtom]]:
    """Return the atoms of each dimension but those of time, by its name in regions. `keys`: see `Dimension`.

    Raises `TooManyError`.
    """
    return {_region_key(one): one.atoms(rules, keys, 0.0) for one in _TIMELESS}


def drafts(
    rules: Sequence[CompiledRule], keys: AbstractSet[Key], now: float
) -> Iterator[tuple[CallDraft, dict[str, str]]]:
    """Yield every draft of a call that these rules distinguish, from now on, with its labels.

    Raises `TooManyError`.
    """
    moments = {_region_key(one): one.atoms(rules, keys, now) for one in _MOMENTS}
    yield from drafts_of({**distinct_atoms(rules, keys), **moments}, CallDraft(now))


def drafts_of(told: Mapping[str, Sequence[CallAtom]], first: CallDraft) -> Iterator[tuple[CallDraft, dict[str, str]]]:
    """Yield every combination of atoms as a draft, with its labels."""
    for chosen in product(*told.values()):
        draft = first
        for atom in chosen:
            draft = atom.put(draft)
        yield draft, {name: atom.label for name, atom in zip(told, chosen, strict=True) if atom.label}


def ends(rules: Sequence[CompiledRule], now: float) -> list[float]:
    """Return the future times at which some of these rules change their outcome."""
    found = {atom.put(CallDraft(now)).now for one in _MOMENTS for atom in one.atoms(rules, frozenset(), now)}
    return sorted(found - {now})


def _region_key(one: Dimension[Any]) -> str:
    return one.region_key or one.name


_BY_ASPECT: Final = sorted((one for one in DIMENSIONS if one.atoms is not any_call), key=lambda one: one.aspect)
_TIMELESS: Final = [one for one in _BY_ASPECT if one.aspect is not Aspect.MOMENT]
_MOMENTS: Final = [one for one in _BY_ASPECT if one.aspect is Aspect.MOMENT]
TOLD_APART: Final = frozenset(map(_region_key, _TIMELESS))
"""What `distinct_atoms` has the atoms of."""
