"""Development: no caller proves anything. For a first look and for tests of policies, on one's own machine.

Holds: every answer says so, and `settings` refuses to listen where anybody else could ask. What the policies say of
enforcers and of proof is set aside, nothing else is.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_engine.call import Party, PodWorkload, ServiceAccount
from bailiwick_engine.keys import SERVICE_ACCOUNT, USER
from bailiwick_engine.policy.model import CompiledSettings
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_process.jwt import compact
from bailiwick_webhook.identity.subject import ClaimedSubject, Parties, asserted
from bailiwick_webhook.identity.tokens import AuthenticatedAccount

# No username of the API server's: a record shows it for what it is.
ANYBODY: Final = ServiceAccount("bailiwick:development:anybody", "anybody")
NOTICE: Final = (
    "DEVELOPMENT: anyone can request decisions and approve calls, and Bailiwick trusts every identity that a request"
    " names. This answer protects nothing."
)


class Anybody:
    """An identity (see `identity.proof`) that believes."""

    notice: Mapping[str, str] = {"development": NOTICE}
    # Anybody may ask, so that only this is left.
    stranger = "No readable policy exists for this endpoint. See /readyz for the problems in the files."

    def caller(self, authorization: str) -> AuthenticatedAccount:  # noqa: ARG002 - whatever it says
        """Return the one caller that there is."""
        return AuthenticatedAccount(ANYBODY, {}, live=True)

    def signed(self, authorization: str) -> None:
        """Return nothing: `caller` tells."""

    def verify(
        self,
        claimed: ClaimedSubject,
        caller: AuthenticatedAccount,  # noqa: ARG002 - `proof.IdentityProof` has it
        settings: CompiledSettings | None,  # noqa: ARG002 - every endpoint is Asserted here
    ) -> Parties:
        """Return the parties as they were named, by a token that is not verified where nothing else names them."""
        return asserted(_named_by(claimed.token) if claimed.unnamed else claimed)

    async def workload(self, party: Party) -> PodWorkload | None:  # noqa: ARG002 - no caller shows a pod
        """Return nothing: a rule that asks for a workload finds it unknown."""
        return None


def _named_by(token: str | None) -> ClaimedSubject:
    parsed = None if token is None else compact.parse(token)
    name = "" if parsed is None else str(parsed.claims.get("sub", ""))
    kind = SERVICE_ACCOUNT if name.startswith(SERVICE_ACCOUNT_PREFIX) else USER
    return ClaimedSubject(kind, name, None, token, None)


def opened(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with anybody as an enforcer of every endpoint, and every endpoint Asserted."""
    return replace(snapshot, endpoints={key: _opened(endpoint) for key, endpoint in snapshot.endpoints.items()})


def _opened(endpoint: CompiledEndpoint) -> CompiledEndpoint:
    return replace(
        endpoint,
        enforcers=endpoint.enforcers | {ANYBODY.username},
        settings=None if endpoint.settings is None else replace(endpoint.settings, asserted=True),
        shadows=tuple(replace(shadow, endpoint=_opened(shadow.endpoint)) for shadow in endpoint.shadows),
    )
