"""Proof: what the request authenticator asks about who calls, for whom and who acts, however it is proven.

Holds: two classes answer: `subject.ByToken` (tokens, or the enforcer's word where the endpoint is Asserted), and
`development.Anybody` (no proof). Certificates of enforcers and users in the API server's reviews come in beside it
(`certificates`, `apiuser`).
"""

from collections.abc import Mapping
from typing import Protocol

from bailiwick_engine.call import Party, PodWorkload
from bailiwick_engine.policy.model import CompiledSettings
from bailiwick_webhook.identity.subject import ClaimedSubject, Parties
from bailiwick_webhook.identity.tokens import AuthenticatedAccount, RefusedToken
from bailiwick_webhook.steps import Step


class IdentityProof(Protocol):
    """Says who asks, who is asked about and who acts.

    `notice` is added to every answer's context; `stranger` is the answer to a caller that may not ask.
    """

    notice: Mapping[str, str]
    stranger: str

    def caller(self, authorization: str) -> Step[AuthenticatedAccount | RefusedToken | None]:
        """Return who asks, by the `Authorization` header; None where it holds no credential."""

    def signed(self, authorization: str) -> str | RefusedToken | None:
        """Return the username that a token names under its issuer's signature: enough to count by, proof of nothing.

        Refused: `caller` refuses it too. None: that is unknown without a request to another, so ask `caller`.
        """

    def verify(
        self, claimed: ClaimedSubject, caller: AuthenticatedAccount, settings: CompiledSettings | None
    ) -> Step[Parties]:
        """Return the parties. `settings` None: the caller is no enforcer and can only be asking about itself."""

    async def workload(self, party: Party) -> PodWorkload | None:
        """Return what a party calls from; None where that is not known."""
