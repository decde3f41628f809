"""Refusals: whom a revocation refuses, whatever the rules allow, of those who show a token of now.

Standing: under `outcomes`. Holds: a call is refused here if the engine refuses it with such a token. Who shows no token
of their own is refused by name: an enforcer, and a subject on an enforcer's word. A member of a group is known by
nothing but that, so that of groups only revocations of everybody of their issuer count.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_engine.call import Party
from bailiwick_engine.keys import CLUSTER
from bailiwick_engine.policy.dimensions.atom import FRESH
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_engine.revocations import PartyRevocation, Revocations, with_token_of


@dataclass(frozen=True, slots=True)
class SubjectRefusal:
    """A revocation of somebody whom an answer is about. `subject` is a label.

    `whole`: it refuses a token of now too. Otherwise it refuses earlier ones alone, and the answer is about newer ones.
    """

    subject: str
    revocation: PartyRevocation
    whole: bool


class TokenRefusals:
    """The revocations of one endpoint at one time, in seconds since the epoch."""

    def __init__(self, endpoint: CompiledEndpoint, revocations: Revocations, now: float) -> None:
        self.revocations = revocations
        self._now = now
        self._enforcers = {name: revocations.of_name(CLUSTER, name) for name in sorted(endpoint.enforcers)}
        self._closing = next(iter(self._enforcers.values()), None) if all(self._enforcers.values()) else None

    def enforcer(self) -> str | None:
        """Return the first enforcer that no revocation refuses; where each is refused, the first."""
        free = (name for name, revocation in self._enforcers.items() if revocation is None)
        return next(free, next(iter(self._enforcers), None))

    def refusal(self, party: Party) -> PartyRevocation | None:
        """Return the revocation that refuses a party with a token of now, or all enforcers that could ask about it."""
        if self._closing is not None or not self.revocations:
            return self._closing
        return self.revocations.refusal(self._with_token(party), shown=True)

    def of_enforcers(self) -> Iterator[SubjectRefusal]:
        """Yield each enforcer that is refused."""
        for name, revocation in self._enforcers.items():
            if revocation is not None:
                account = ServiceAccountName.parse(name)
                yield SubjectRefusal(
                    f"the enforcer {name if account is None else account.short}", revocation, whole=True
                )

    def of_party(self, party: Party, label: str) -> SubjectRefusal | None:
        """Return what refuses a party itself, if only with earlier tokens."""
        found = self.revocations.naming(shown := self._with_token(party), shown=True) if self.revocations else None
        if found is None:
            return None
        return SubjectRefusal(label, found, whole=self.revocations.refusal(shown, shown=True) is not None)

    def _with_token(self, party: Party) -> Party:
        # A revocation may name what stands for any name.
        return with_token_of(replace(party, id="") if party.id == FRESH else party, self._now)
