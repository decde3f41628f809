"""Collections: the objects that rules name, for a call about all objects of a type that names none of them.

Holds: if a Deny or a RequireApproval can apply to any object of the collection, it applies to one that is returned
here, or `unknown` is true. An Allow adds nothing: it must itself allow the call about all objects, with a condition
that does not read which object it is (`reads_id`).
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
    """Tell whether the outcome of a rule depends on the id of the resource through a condition."""
    return any(path[:2] in {_ID, _ID[:1]} for condition in rule.conditions for path in condition.reads)


def _open(entry: CompiledResource) -> bool:
    return entry.ids.everything or bool(entry.ids.prefixes)
