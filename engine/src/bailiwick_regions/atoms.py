"""Atoms: for each dimension of a call the few values that stand for all others, of the rules that may speak of it.

Holds: two calls whose atoms are the same meet the same rules; a fresh name is one that nobody lists.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product

from bailiwick_engine.call import PodWorkload
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import CompiledResource, WorkloadRequirement

FRESH = "~any"
_MOST_IMAGE_SETS = 6
_LONGEST = 64
_SHOWN = 4
_NOT_MEANT = "\0"


class TooManyError(Exception):
    """More combinations than can be looked at."""


def names(sets: Iterable[NameSet], before: str = "") -> dict[str, str]:
    """Return names with their labels: each that is listed, one fresh under each prefix, and one outside all.

    A fresh name's label has the labels that are under its pattern and not meant, see `told`. `before` begins each.
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
        # Nobody lists it, and no longer prefix begins it.
        while fresh in exact or any(len(one) > len(prefix) and fresh.startswith(one) for one in prefixes):
            fresh += "~"
            if len(fresh) > len(prefix) + _LONGEST:
                raise TooManyError
        found[fresh] = _NOT_MEANT.join((f"{before}{prefix}*", *under[prefix]))
    return found


def told(labels: Iterable[str]) -> str:
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


def properties(entries: Iterable[CompiledResource]) -> dict[str, dict[str | None, str]]:
    """Return for each property that is asked for its values with their labels: listed, another, None for absent."""
    listed: dict[str, set[str]] = {}
    for entry in entries:
        for name, values in entry.properties.items():
            listed.setdefault(name, set()).update(values)
    found: dict[str, dict[str | None, str]] = {}
    for name, wanted in sorted(listed.items()):
        labels: dict[str | None, str] = {value: value for value in sorted(wanted)}
        labels["".join(sorted(wanted)) + FRESH] = "other"
        labels[None] = "absent"
        found[name] = labels
    return found


def products(values: Mapping[str, Mapping[str | None, str]]) -> Iterator[dict[str, tuple[str | None, str]]]:
    """Yield every combination, as value and label by name."""
    order = list(values)
    for chosen in product(*(values[name].items() for name in order)):
        yield dict(zip(order, chosen, strict=True))


def intents(lists: Iterable[frozenset[str] | None]) -> dict[str | None, str]:
    """Return every purpose that is listed, and none, which no list accepts, as any other purpose."""
    named = sorted(set().union(*(one for one in lists if one is not None)))
    return {**{name: name for name in named}, None: "other"}


def times(ends: Iterable[float | None], now: float) -> list[float]:
    """Return now, and each end that is to come: at it, the rule is over."""
    return [now, *sorted({end for end in ends if end is not None and end > now})]


def workloads(requirements: Sequence[WorkloadRequirement]) -> list[tuple[PodWorkload | None, str]]:
    """Return workloads that meet each set of these requirements that can be met, with labels; None: not known.

    Raises `TooManyError`.
    """
    if not requirements:
        return [(None, "")]
    sets = sorted({one.images for one in requirements if one.images is not None}, key=sorted)
    if len(sets) > _MOST_IMAGE_SETS:
        raise TooManyError
    images: dict[frozenset[str], str] = {frozenset((FRESH,)): "other images"}
    for count in range(1, len(sets) + 1):
        for some in combinations(sets, count):
            if shared := frozenset.intersection(*some):
                images[shared] = "images " + ", ".join(sorted(shared))
    named: dict[str, set[str | None]] = {}
    for name, value in (pair for one in requirements for pair in one.labels):
        named.setdefault(name, {None}).add(value)
    found: list[tuple[PodWorkload | None, str]] = [(None, "unknown workload")]
    for held, label in images.items():
        for chosen in product(*(sorted(values, key=str) for values in named.values())):
            labels = {name: value for name, value in zip(named, chosen, strict=True) if value is not None}
            told = " ".join(f"{name}={value}" for name, value in labels.items())
            found.append((PodWorkload(held, labels), f"{label} {told}".strip()))
    return found
