"""Service accounts by their cluster's published keys alone, where there is no API server to ask (see `standalone`).

Holds: signature, issuer, times and audience are checked on every token; it is unknown whether an account or a pod was
deleted since, so its token serves until its end.
"""

from functools import partial

from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_engine.call import ServiceAccount
from bailiwick_engine.reasons import Reason
from bailiwick_process.jwt import compact
from bailiwick_process.jwt.claims import audience_matches
from bailiwick_process.jwt.compact import CompactToken
from bailiwick_webhook.identity.jwt.issuers import Issuer
from bailiwick_webhook.identity.jwt.verifier import RefusedToken, VerifiedClaims
from bailiwick_webhook.identity.tokens import AuthenticatedAccount, account_of
from bailiwick_webhook.steps import Need, Step, resolve, then


class Offline:
    """Tells whose a service account's token is, by the keys of `issuer`, which is the cluster."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def authenticate(self, token: str, audiences: frozenset[str]) -> Step[AuthenticatedAccount | RefusedToken]:
        """Return whose token this is, if it is a service account's and for one of these audiences."""
        if len(token) <= compact.MAX_TOKEN:
            # One that was verified lately, by the keys of now, need not be taken apart.
            verified = self._issuer.verifier.remembered(compact.digest_of(token))
            if verified is not None:
                return self._account(audiences, verified)
        # A signature is looked at only once its sender has a place.
        return Need(partial(self._authenticate, token, audiences))

    async def _authenticate(self, token: str, audiences: frozenset[str]) -> AuthenticatedAccount | RefusedToken:
        parsed = compact.parse(token)
        return (
            RefusedToken(Reason.IDENTITY_INVALID) if parsed is None else await resolve(self.confirm(parsed, audiences))
        )

    def signed(self, token: str, audiences: frozenset[str]) -> None:
        """Return nothing: to prove a token takes no longer than to look at its signature."""

    def confirm(self, parsed: CompactToken, audiences: frozenset[str]) -> Step[AuthenticatedAccount | RefusedToken]:
        """Return the same for a token that was taken apart already."""
        verified = self._issuer.verifier.verify(parsed)
        follow = partial(self._account, audiences)
        return then(verified, follow) if isinstance(verified, Need) else follow(verified)

    def _account(
        self, audiences: frozenset[str], verified: VerifiedClaims | RefusedToken | None
    ) -> AuthenticatedAccount | RefusedToken:
        if verified is None:
            return RefusedToken(Reason.IDENTITY_UNVERIFIABLE)
        if isinstance(verified, RefusedToken):
            return verified
        if not audience_matches(verified.claims, self._issuer.audiences(audiences)):
            return RefusedToken(Reason.AUDIENCE_MISMATCH)
        username, uid = account_of(verified.claims)
        if not (isinstance(username, str) and username.startswith(SERVICE_ACCOUNT_PREFIX)):
            return RefusedToken(Reason.IDENTITY_INVALID)
        if not (isinstance(uid, str) and uid):
            return RefusedToken(Reason.IDENTITY_INVALID)
        # As live as it gets: there is no API server to ask, and no grant whose use would depend on it.
        return AuthenticatedAccount(ServiceAccount(username, uid), verified.claims, live=True)
