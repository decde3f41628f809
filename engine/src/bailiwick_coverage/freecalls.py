"""What the rules of an endpoint let through, as the engine says: which rules speak of a call, and who may make it.

Standing: over `rights`, under `unruledoperations` and `ungatedactions`. Holds: no rule is interpreted here; an endpoint
that is closed, and a question that is too large, have no answer (None).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bailiwick_engine.call import Party
from bailiwick_engine.policy.dimensions.atom import FRESH, TooManyError
from bailiwick_engine.policy.model import CompiledResource, CompiledRule
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey
from bailiwick_regions.rights.circumstances import CallPlace
from bailiwick_regions.rights.matrix import AccessMatrix
from bailiwick_regions.rights.outcomes import AccessLevel, EndpointOutcomes
from bailiwick_regions.rights.questions import rows_of_action, who_can

_MOST_DECISIONS: Final = 20_000
"""So many decisions one question of coverage may take: there may be hundreds of operations."""


@dataclass(frozen=True, slots=True)
class FreeCall:
    """A call that comes through without an approval: by which rule, and for whom (a label of a subject)."""

    action: str
    rule: CompiledRule
    subject: str


class EndpointRuling:
    """One endpoint at one time, in seconds since the epoch."""

    def __init__(self, key: EndpointKey, endpoint: CompiledEndpoint, now: float) -> None:
        self.key = key
        self.endpoint = endpoint
        self._now = now
        self._matrix: AccessMatrix | None = None

    @property
    def closed(self) -> bool:
        """Whether it denies every call, since its policies are invalid, or carry no settings."""
        return self.endpoint.closed is not None

    def entries(self, action: str, kind: str, identifier: str | None) -> list[tuple[CompiledRule, CompiledResource]]:
        """Return the rules in force, with their entries, that may speak of a call.

        `identifier` None: of any. `kind` empty: on any type of resource.
        """
        if identifier is not None:
            return CallPlace(self.key, action, kind, identifier).entries(self.endpoint.enforced)
        return [
            (rule, entry)
            for rule in self.endpoint.speaking_of(action)
            if not rule.audit
            for entry in rule.resources
            if kind in {"", entry.type}
        ]

    def allowing(self, action: str, kind: str, identifier: str | None) -> list[CompiledRule] | None:
        """Return the rules that let a call through without an approval; None if that is too much to examine.

        `identifier` and `kind` as for `entries`.
        """
        if not kind:
            types = sorted({entry.type for _, entry in self.entries(action, kind, identifier)})
            each = [self.allowing(action, one, identifier) for one in types]
            return None if None in each else list(dict.fromkeys(rule for some in each for rule in some or ()))
        place = CallPlace(self.key, action, kind, FRESH if identifier is None else identifier)
        answer = who_can(place, self.endpoint, self._now, limit=_MOST_DECISIONS)
        if answer.incomplete:
            return None
        ways = [row.way for row in answer.rows if row.way is not None and row.way.level is AccessLevel.ALLOW]
        return list(dict.fromkeys(rule for way in ways for rule in way.rules))

    def free_calls(self, action: str) -> list[FreeCall] | None:
        """Return who may do an action on something without an approval, and by which rules; None: too much."""
        outcomes = EndpointOutcomes(self.key, self.endpoint, self._now, limit=_MOST_DECISIONS)
        found: list[FreeCall] = []
        try:
            for label, rules, party in self._parties():
                rows = rows_of_action(outcomes, rules, party, label, (action, action))
                ways = [row.way for row in rows if row.way is not None and row.way.level is AccessLevel.ALLOW]
                found += [FreeCall(action, rule, label) for way in ways for rule in way.rules]
        except TooManyError:
            return None
        return list(dict.fromkeys(found))

    def _parties(self) -> Iterator[tuple[str, list[CompiledRule], Party]]:
        if self._matrix is None:
            self._matrix = AccessMatrix(self.key, self.endpoint, self._now)
        for key in self._matrix.keys:
            subject = self._matrix.subject(key)
            if subject.named is not None:
                yield subject.label, self._matrix.rules(subject.named.party), subject.named.party
