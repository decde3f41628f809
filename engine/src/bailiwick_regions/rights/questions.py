"""Questions: who may do something, and what somebody may do, of one endpoint.

Standing: above all else here; what a command asks. Holds: a combination of groups gets a row only if its members can do
something that smaller combinations do not explain; what was left out is said.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from bailiwick_engine.call import Party
from bailiwick_engine.keys import USER, Key
from bailiwick_engine.policy.dimensions.atom import TooManyError
from bailiwick_engine.policy.index import MOST_WORK
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey
from bailiwick_engine.revocations import NONE, Revocations
from bailiwick_regions import atoms
from bailiwick_regions.parties import NamedParty, is_accepted, parties
from bailiwick_regions.rights.answers import AccessAnswer, AccessRow, join_rows
from bailiwick_regions.rights.circumstances import CallCircumstances, CallLabels, CallPlace
from bailiwick_regions.rights.outcomes import MOST_DECISIONS, AccessWay, EndpointOutcomes, absorb
from bailiwick_regions.sides import issuer_of

_KNOWN: Final = (("action", "name"), ("resource", "type"), ("resource", "id"))
_CAPPED: Final = "more groups than can be combined: three and more are left out"
_TOO_MANY: Final = "there is more to look at than is looked at"

FoundWays = dict[CallLabels, tuple[AccessWay, ...]]
"""Of one party, each way in which its calls come through, by what tells the calls apart."""


def who_can(
    place: CallPlace,
    endpoint: CompiledEndpoint,
    now: float,
    *,
    limit: int = MOST_DECISIONS,
    revocations: Revocations = NONE,
) -> AccessAnswer:
    """Return who may do this, each by the fewest keys. `now`: in seconds since the epoch.

    `revocations`: those that are in force. They refuse whom they name, with a token of now.
    """
    rules = list(dict.fromkeys(rule for rule, _ in place.entries(endpoint.enforced)))
    properties = [("resource", "properties", name) for name in place.properties]
    known_paths = (*_KNOWN, *properties)
    outcomes = EndpointOutcomes(place.key, endpoint, now, known_paths, limit=limit, revocations=revocations)
    ends = atoms.ends(rules, now)
    asserted = endpoint.settings is not None and endpoint.settings.asserted
    listed = parties(
        rules, lambda issuer: keys_beside(endpoint, rules, issuer), verified=not asserted, asserted=asserted
    )
    known: list[tuple[NamedParty, FoundWays]] = []
    rows: list[AccessRow] = []
    incomplete: list[str] = []
    refused = [*outcomes.refusals.of_enforcers()]
    for named in _once(one for one in listed if is_accepted(endpoint.settings, one.party.issuer)):
        if len(named.parts) == 1 and (refusal := outcomes.refusals.of_party(named.party, named.label)) is not None:
            refused.append(refusal)
        if named.capped and (capped := f"{named.party.issuer}: {_CAPPED}") not in incomplete:
            incomplete.append(capped)
        try:
            circumstances = CallCircumstances.of(place, rules, _pool(rules, named.party))
            found = {told: outcomes.ways(call, ends) for call, told in circumstances.calls(named.party)}
        except TooManyError:
            incomplete.append(f"{named.label}: {_TOO_MANY}")
            continue
        fewer = together(known, named)
        if not all(same(ways, fewer.get(told, ())) for told, ways in found.items()):
            known.append((named, found))
            rows += _rows(named, found, fewer, circumstances.labels)
    return AccessAnswer(tuple(rows), tuple(incomplete), tuple(refused))


def what_can(
    key: EndpointKey,
    endpoint: CompiledEndpoint,
    party: Party,
    label: str,
    now: float,
    *,
    limit: int = MOST_DECISIONS,
    revocations: Revocations = NONE,
) -> AccessAnswer:
    """Return what this party may do, by patterns of actions and resources. `revocations`: as for `who_can`."""
    outcomes = EndpointOutcomes(key, endpoint, now, limit=limit, revocations=revocations)
    refusal = outcomes.refusals.of_party(party, label)
    refused = (*outcomes.refusals.of_enforcers(), *(() if refusal is None else (refusal,)))
    own = [rule for rule in endpoint.enforced if not party.keys.isdisjoint(rule.subjects)]
    rows: list[AccessRow] = []
    try:
        for action, told in atoms.names(rule.actions for rule in own).items():
            rows += rows_of_action(outcomes, own, party, label, (action, told))
    except TooManyError:
        # Half of an answer would not say which half it is.
        return AccessAnswer((), (f"{label}: {_TOO_MANY}",), refused)
    # No list of labels is every name that there is.
    return AccessAnswer(tuple(join_rows(rows, {"resource": ("",), "action": ("",)})), (), refused)


def rows_of_action(
    outcomes: EndpointOutcomes, own: Sequence[CompiledRule], party: Party, label: str, action: tuple[str, str]
) -> list[AccessRow]:
    """Return what a party may do by one action, given with its label. `own`: the rules that name the party.

    Raises `TooManyError`.
    """
    rows: list[AccessRow] = []
    for place, kind in places(outcomes.key, own, action[0]):
        where = {"action": (action[1],), "resource": (kind,)}
        rules = list(dict.fromkeys(rule for rule, _ in place.entries(own)))
        circumstances = CallCircumstances.of(place, rules, party.keys)
        ends = atoms.ends(rules, outcomes.now)
        made = [
            AccessRow(label, (party.keys,), {**where, **{name: (one,) for name, one in told}}, way)
            for call, told in circumstances.calls(party)
            for way in outcomes.ways(call, ends)
        ]
        rows += join_rows(made, circumstances.labels)
    return rows


def places(key: EndpointKey, rules: Sequence[CompiledRule], action: str) -> Iterator[tuple[CallPlace, str]]:
    """Yield a resource, with its label, for all that these rules speak of alike with an action."""
    entries = [entry for rule in rules if action in rule.actions for entry in rule.resources]
    for kind in sorted({entry.type for entry in entries}):
        ids = [entry.ids for entry in entries if entry.type == kind]
        for name, label in atoms.names(ids, f"{kind}/").items():
            if any(name in one for one in ids):
                yield CallPlace(key, action, kind, name), label


def keys_beside(
    endpoint: CompiledEndpoint, rules: Sequence[CompiledRule], issuer: str
) -> Iterator[tuple[Key, frozenset[int]]]:
    """Yield the keys of an issuer on which the answer hangs, with what tells them apart."""
    found: dict[Key, set[int]] = {}
    for rule in rules:
        for key in rule.subjects:
            if issuer_of(key) == issuer:
                found.setdefault(key, set()).add(id(rule))
    for key in endpoint.broken:
        if issuer_of(key) == issuer:
            found.setdefault(key, set()).add(0)
    laden = [key for key in endpoint.index.laden if issuer_of(key) == issuer]
    if sum(endpoint.index.laden[key] for key in laden) > MOST_WORK:
        for number, key in enumerate(laden, 1):
            found.setdefault(key, set()).add(-number)
    for key, told in found.items():
        yield key, frozenset(told)


def _once(listed: Iterable[NamedParty]) -> list[NamedParty]:
    """Return each party once, those of the fewest parts first."""
    found: dict[frozenset[Key], NamedParty] = {}
    for named in listed:
        found.setdefault(named.party.keys, named)
    return sorted(found.values(), key=lambda named: len(named.parts))


def _pool(rules: Sequence[CompiledRule], party: Party) -> frozenset[Key]:
    """Return the keys by which parties are compared with this one."""
    if party.type != USER or party.issuer is None:
        return party.keys
    return frozenset(key for rule in rules for key in rule.subjects if issuer_of(key) == party.issuer)


def together(known: Sequence[tuple[NamedParty, FoundWays]], named: NamedParty) -> FoundWays:
    """Return what is said of a party by the rows of fewer parts: by the most special of them, together."""
    own = set(named.parts)
    below = [(set(one.parts), found) for one, found in known if set(one.parts) < own]
    special = [found for parts, found in below if not any(parts < other for other, _ in below)]
    said: FoundWays = {}
    for found in special:
        for told, ways in found.items():
            said[told] = absorb((*said.get(told, ()), *ways))
    return said


def same(ways: Sequence[AccessWay], others: Sequence[AccessWay]) -> bool:
    """Tell whether ways say the same, whichever rules and conditions they name."""
    return {one.meaning for one in ways} == {one.meaning for one in others}


def _rows(
    named: NamedParty, found: FoundWays, fewer: FoundWays, labels: Mapping[str, tuple[str, ...]]
) -> list[AccessRow]:
    made = [
        AccessRow(named.label, named.parts, {name: (one,) for name, one in told}, way)
        for told, ways in found.items()
        for way in (ways or ((None,) if fewer.get(told) else ()))
    ]
    return join_rows(made, labels)
