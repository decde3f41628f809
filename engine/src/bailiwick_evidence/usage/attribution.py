"""Attribution: the scopes that let a recorded call through, and those that were in force.

Standing: above `scopes`. Holds: a use is an answer that let a call through, by a rule or by a grant. A dry run, a
search, a denial or a rule in Audit mode uses nothing. For calls on behalf of another party the engine decides which
scopes were used; if it cannot, all scopes of the parties are in doubt.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from bailiwick_engine.call import Party
from bailiwick_engine.decision.decide import evaluate_hops
from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.decision.uses import used_rules
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_evidence.derive.derive import circumstances, endpoint_on_record, fit
from bailiwick_evidence.derive.rebuild import rebuild_call
from bailiwick_evidence.derive.shape import RecordParty, RecordShape, parse_record
from bailiwick_evidence.derive.texts import KnownEndpoint, PolicyTexts
from bailiwick_evidence.usage.scopes import RuleScope, scopes_of

_MOST_KEPT: Final = 100_000
_EVALUATION: Final = "evaluation"


class CallUse(NamedTuple):
    """The scopes that a record used. `doubtful`: the subjects whose scopes it may also have used."""

    scopes: tuple[RuleScope, ...]
    doubtful: frozenset[Key] = frozenset()


NOTHING: Final = CallUse(())


class UseAttribution:
    """Attributes records to scopes, with the texts of the policies that they name."""

    def __init__(self, texts: PolicyTexts) -> None:
        self.texts = texts
        self._uses: dict[bytes, CallUse] = {}
        self._scopes: dict[tuple[str, str, str], frozenset[RuleScope] | None] = {}

    def use(self, record: Mapping[str, Any]) -> CallUse | None:
        """Return the scopes that a record used; None if it is not a record of this version."""
        if record.get("kind") != _EVALUATION or record.get("decision") is False or record.get("dry_run") is True:
            return NOTHING
        if record.get("actors"):
            return self._attribute(record)
        grant = record.get("grant")
        rules = grant.get("rules") if isinstance(grant, dict) else None
        told = [record.get(member) for member in ("endpoint", "subject", "policy", "policies", "policies_digest")]
        # A list of policies can come after a record that names it: what was not known then is known from there on.
        listed = isinstance(told[-1], str) and self.texts.find_list(told[-1]) is not None
        key = orjson.dumps([*told, rules, listed])
        if key not in self._uses:
            used = self._attribute(record)
            if used is None:
                # Of what cannot be read, other members are wrong: those that are alike can be read.
                return None
            if len(self._uses) >= _MOST_KEPT:
                self._uses.clear()
            self._uses[key] = used
        return self._uses[key]

    def in_force(self, endpoint: str, listed: Mapping[str, Any]) -> Iterator[RuleScope]:
        """Yield the scopes of the listed policies; none for a policy with an unknown text."""
        for policy, digest in listed.items():
            yield from self._scopes_given(endpoint, policy, digest) or ()

    def _scopes_given(self, endpoint: str, policy: str, digest: object) -> frozenset[RuleScope] | None:
        """Return the scopes that a policy gave; None if its text is unknown."""
        if not isinstance(digest, str):
            return None
        key = (endpoint, policy, digest)
        if key not in self._scopes:
            namespace, _, name = endpoint.partition("/")
            known = self.texts.endpoint(namespace, name, {policy: digest}, ())
            held = known.policies if isinstance(known, KnownEndpoint) else None
            self._scopes[key] = None if held is None else frozenset(scope for one in held for scope in scopes_of(one))
        return self._scopes[key]

    def _attribute(self, record: Mapping[str, Any]) -> CallUse | None:
        shape = parse_record(record)
        if shape is None:
            return None
        namespace = shape.endpoint.partition("/")[0]
        places = [(shape.policy.name, shape.policy.rule)] if shape.policy is not None else []
        if shape.grant is not None:
            places += [(rule.policy, rule.rule) for rule in shape.grant.rules]
        parties = [one for one in (shape.subject, *shape.actors) if one is not None]
        named = frozenset().union(*(_keys(one) for one in parties))
        passed = self._passed_hops(shape) if shape.actors else None
        if passed is not None:
            return CallUse(tuple(dict.fromkeys(_of_hops(namespace, passed))))
        named_by = [RuleScope(namespace, *place, key) for place in places for key in sorted(named)]
        found = tuple(scope for scope in dict.fromkeys(named_by) if self._is_given(shape, scope))
        return CallUse(found, named if shape.actors else frozenset())

    def _is_given(self, shape: RecordShape, scope: RuleScope) -> bool:
        """Tell whether there was such a scope. A party that is named by its group is not also named by its name."""
        listed: Mapping[str, str | None] | None = shape.policies
        if shape.policies_digest is not None:
            listed = self.texts.find_list(shape.policies_digest)
        given = self._scopes_given(shape.endpoint, scope.policy, (listed or {}).get(scope.policy))
        return given is None or scope in given

    def _passed_hops(self, shape: RecordShape) -> Sequence[Hop] | None:
        """Return the hops that the engine evaluates for a call on behalf of another party; None if they are unknown."""
        known, found = endpoint_on_record(shape, self.texts), rebuild_call(shape)
        if not isinstance(known, KnownEndpoint) or found is None or found.sealed or shape.limits is not None:
            return None
        call = found.call
        endpoint = known.compiled.with_data(found.data)
        snapshot = Snapshot({(call.namespace, call.endpoint): endpoint})
        verdict, passed = evaluate_hops(snapshot, call, (), circumstances(shape, found))
        return passed if fit(shape, verdict, found) is not None else None


def _of_hops(namespace: str, passed: Iterable[Hop]) -> Iterator[RuleScope]:
    """Yield the scopes that let each party of a call pass."""
    for party, rule in used_rules(passed):
        for key in sorted(party.keys & rule.subjects):
            yield RuleScope(namespace, *rule.place, key)


def _keys(party: RecordParty) -> frozenset[Key]:
    return Party(party.type, party.id, party.uid, issuer=party.issuer, groups=party.matched).keys
