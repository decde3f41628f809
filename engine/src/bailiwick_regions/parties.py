"""Parties: the parties to which changed rules can apply, as the fewest parties that stand for all.

Holds: a service account or an asserted subject has one name; a person has one name and any groups of their issuer, so
that rules for two of their groups meet.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from bailiwick_engine import keys
from bailiwick_engine.call import Party
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT, USER, Key
from bailiwick_engine.policy.dimensions.atom import FRESH
from bailiwick_engine.policy.model import CompiledRule, CompiledSettings

_MOST_GROUPS = 10


@dataclass(frozen=True, slots=True)
class NamedParty:
    """A party and its label. `capped`: its issuer has more groups than can be combined.

    It stands for every party that has a key of each of its `parts`.
    """

    party: Party
    label: str
    parts: tuple[frozenset[Key], ...]
    capped: bool = False


def is_accepted(settings: CompiledSettings | None, issuer: str | None) -> bool:
    """Tell whether an endpoint accepts subjects of an issuer. Subjects of other issuers cannot be proven there.

    `issuer` None: the enforcer asserts the subject.
    """
    if settings is None:
        return False
    return issuer is None if settings.asserted else issuer in settings.issuers


def provable(settings: CompiledSettings | None, key: Key) -> bool:
    """Tell whether a party with this key can be proven at an endpoint."""
    kind, *parts = keys.key_parts(key)
    if kind == SERVICE_ACCOUNT:
        return is_accepted(settings, None) or is_accepted(settings, CLUSTER)
    return is_accepted(settings, None if kind == "entity" else parts[0])


def parties(
    changed: Iterable[CompiledRule],
    beside: Callable[[str], Iterable[tuple[Key, frozenset[int]]]],
    *,
    verified: bool,
    asserted: bool,
) -> Iterator[NamedParty]:
    """Yield every party that a changed rule names, the fewest keys first.

    `beside` returns the keys of an issuer that rules name which overlap the changed ones, with what tells those rules.
    """
    named = sorted({key for rule in changed for key in rule.subjects})
    issuers: dict[str, None] = {}
    for key in named:
        kind, *parts = keys.key_parts(key)
        if kind == SERVICE_ACCOUNT:
            if verified:
                yield _single(Party(SERVICE_ACCOUNT, parts[0], FRESH), keys.label(key))
            if asserted:
                yield _single(Party(SERVICE_ACCOUNT, parts[0], FRESH, issuer=None), f"asserted {keys.label(key)}")
        elif kind == "entity":
            if asserted:
                yield _single(Party(parts[0], parts[1], FRESH, issuer=None), keys.label(key))
        elif verified:
            issuers[parts[0]] = None
    for issuer in issuers:
        yield from _people(issuer, frozenset(named), dict(beside(issuer)))


def _single(party: Party, label: str) -> NamedParty:
    return NamedParty(party, label, (party.keys,))


def _people(issuer: str, named: frozenset[Key], related: dict[Key, frozenset[int]]) -> Iterator[NamedParty]:
    users: dict[str, str] = {FRESH: ""}
    groups: dict[frozenset[int], list[str]] = {}
    for key, rules in sorted(related.items()):
        kind, _, name = keys.key_parts(key)
        if kind == USER:
            users[name] = keys.label(key)
        else:
            groups.setdefault(rules, []).append(name)
    # Groups that the same rules name stand for each other.
    listed = [
        (some[0], keys.label(keys.group(issuer, "|".join(some))), frozenset(keys.group(issuer, one) for one in some))
        for some in groups.values()
    ]
    capped = len(listed) > _MOST_GROUPS
    most = 2 if capped else len(listed)
    for count in range(most + 1):
        for some in combinations(listed, count):
            for user, label in users.items():
                party = Party(USER, user, FRESH, issuer=issuer, groups=tuple(name for name, _, _ in some))
                if not party.keys.isdisjoint(named):
                    told = " & ".join(part for part in (label, *(one for _, one, _ in some)) if part)
                    own = (frozenset((keys.user(issuer, user),)),) if label else ()
                    yield NamedParty(party, told, (*own, *(those for _, _, those in some)), capped)
