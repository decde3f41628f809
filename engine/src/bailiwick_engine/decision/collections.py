"""Collections: the objects that rules name, where a call is about all objects of a type and names none.

Holds: what a Deny or a RequireApproval can say of any object of the collection is said of one that is returned here, or
`unknown` is true; an Allow adds nothing, since the question about all objects is one that it must allow itself, by a
condition that does not read which object it is (`reads_id`).
"""

from dataclasses import dataclass

from bailiwick_engine.call import Party
from bailiwick_engine.policy.model import CompiledResource, CompiledRule, Effect
from bailiwick_engine.policy.snapshot import CompiledEndpoint

_ID = ("resource", "id")


@dataclass(frozen=True, slots=True)
class NamedObjects:
    """Ids that rules name, one for each exact name and for each prefix. `unknown`: a condition reads further ids."""

    ids: frozenset[str]
    unknown: bool


def named_objects(endpoint: CompiledEndpoint, party: Party, action: str, kind: str) -> NamedObjects:
    """Return the objects of a type that stricter rules than Allow name for a party and an action."""
    ids, unknown = set[str](), False
    for rule in endpoint.index.speaking_of(party.keys, action):
        if rule.effect is Effect.ALLOW or rule.audit:
            continue
        for entry in rule.resources:
            if entry.type == kind:
                ids |= entry.ids.exact
                # Its own text is a name with the prefix.
                ids.update(f"{prefix}*" for prefix in entry.ids.prefixes)
                unknown = unknown or (_open(entry) and reads_id(rule))
    return NamedObjects(frozenset(ids), unknown)


def reads_id(rule: CompiledRule) -> bool:
    """Tell whether what a rule says of a call hangs on the id of the resource by a condition."""
    return any(path[:2] in {_ID, _ID[:1]} for condition in rule.conditions for path in condition.reads)


def _open(entry: CompiledResource) -> bool:
    return entry.ids.everything or bool(entry.ids.prefixes)
