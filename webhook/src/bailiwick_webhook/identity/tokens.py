"""Tokens of service accounts: verified offline, then confirmed by the API server, which knows who was deleted since.

Holds: an answer is kept at most `FRESH` seconds, and a token that is in use is asked about again before that, so that
no call waits for the API server where it answers in time. While it cannot be asked, the last positive answer for that
very token serves until `max_staleness`, marked as not live, never for a use of a grant. Tokens are kept hashed.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_engine.boundedcache import BoundedCache
from bailiwick_engine.call import ServiceAccount
from bailiwick_engine.reasons import Reason
from bailiwick_process.jwt import compact, jwks
from bailiwick_process.jwt.claims import audience_matches, moment
from bailiwick_process.jwt.compact import CompactToken
from bailiwick_process.jwt.keyset import IssuerKeys, KeysUnavailableError
from bailiwick_webhook.cluster.client import ApiClient, ClusterUnavailableError
from bailiwick_webhook.identity.jwt.verifier import RefusedToken, Rules, Verifier, is_bound
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import TokenReviewOutcome
from bailiwick_webhook.steps import Need, Step, resolve

__all__ = ["FRESH", "RULES", "AuthenticatedAccount", "RefusedToken", "Tokens", "publisher"]

FRESH: Final = 10.0
AHEAD: Final = 2.0
"""So long before an answer is too old, in seconds, the next call asks again, and does not wait for it."""
_KEPT: Final = 10_000
_PATIENCE: Final = 0.1
# What the API server can sign with. It writes no `typ`.
RULES: Final = Rules(algorithms=jwks.ALGORITHMS - {"PS256"}, types=frozenset({"jwt"}))

Key = tuple[bytes, frozenset[str]]


@dataclass(frozen=True, slots=True)
class AuthenticatedAccount:
    """A confirmed service account. `live`: the API server said so within the last `FRESH` seconds."""

    account: ServiceAccount
    claims: Mapping[str, Any]
    live: bool

    @property
    def issuer(self) -> str:
        """The cluster's name as an issuer, as this very token carries it."""
        return str(self.claims.get("iss", ""))


@dataclass(frozen=True, slots=True)
class _Kept:
    outcome: AuthenticatedAccount | RefusedToken
    asked: float
    expires: float


class Tokens:
    """Tells whose a service account's token is. `clock` is monotonic, `now` the time of day; both in seconds."""

    def __init__(
        self,
        cluster: ApiClient,
        verifier: Verifier,
        *,
        max_staleness: float,
        clock: Callable[[], float],
        now: Callable[[], float],
        counts: Counts | None = None,
    ) -> None:
        self._cluster = cluster
        self._counts = counts or Counts()
        self._verifier = verifier
        self._max_staleness = max_staleness
        self._clock = clock
        self._now = now
        self._kept: BoundedCache[Key, _Kept] = BoundedCache(_KEPT)
        self._asking: dict[Key, asyncio.Task[AuthenticatedAccount | RefusedToken]] = {}
        self._unheard = False

    def authenticate(self, token: str, audiences: frozenset[str]) -> Step[AuthenticatedAccount | RefusedToken]:
        """Return whose token this is, if it is a service account's and for one of these audiences."""
        # Only what could be taken apart was ever kept, so that what is known need not be taken apart again.
        if len(token) <= compact.MAX_TOKEN:
            known = self._fresh((compact.digest_of(token), audiences), token)
            if known is not None:
                return known
        parsed = compact.parse(token)
        return RefusedToken(Reason.IDENTITY_INVALID) if parsed is None else self.confirm(parsed, audiences)

    def confirm(self, parsed: CompactToken, audiences: frozenset[str]) -> Step[AuthenticatedAccount | RefusedToken]:
        """Return the same for a token that was taken apart already."""
        known = self._fresh((parsed.digest, audiences), parsed)
        return known or Need(partial(self._confirmed, parsed, audiences))

    async def _confirmed(self, parsed: CompactToken, audiences: frozenset[str]) -> AuthenticatedAccount | RefusedToken:
        key = (parsed.digest, audiences)
        # Another call with this token may have asked since.
        known = self._fresh(key, parsed)
        if known is not None:
            return known
        # Many calls with one token at once ask once.
        task = self._asking.get(key) or self._begin_asking(key, parsed)
        if self._unheard and key in self._kept:
            # The last question came to nothing, and one that hangs takes seconds: who was confirmed waits for the next
            # one no longer than an answer takes. It goes on, and tells when the outage is over.
            await asyncio.wait({task}, timeout=_PATIENCE)
            if not task.done():
                return self._in_outage(key)
        # Shielded: that one caller goes away must not fail the others who wait for the same answer.
        return await asyncio.shield(task)

    def signed(self, token: str, audiences: frozenset[str]) -> str | RefusedToken | None:
        """Return the username that a token for one of these audiences is of, as far as is known at once."""
        parsed = compact.parse(token)
        if parsed is None:
            return RefusedToken(Reason.IDENTITY_INVALID)
        verified = self._verifier.at_once(parsed)
        if verified is None:
            # No key that is known; but the API server may have confirmed this very token before, however long ago.
            kept = self._kept.get((parsed.digest, audiences))
            return (
                kept.outcome.account.username
                if kept is not None and isinstance(kept.outcome, AuthenticatedAccount)
                else None
            )
        if isinstance(verified, RefusedToken):
            return verified
        if not audience_matches(verified.claims, audiences):
            return RefusedToken(Reason.AUDIENCE_MISMATCH)
        username, _ = account_of(verified.claims)
        return username if isinstance(username, str) else RefusedToken(Reason.IDENTITY_INVALID)

    def _fresh(self, key: Key, token: str | CompactToken) -> AuthenticatedAccount | RefusedToken | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        age = self._clock() - kept.asked
        if age > FRESH:
            return None
        if age > FRESH - AHEAD:
            self._ask_ahead(key, kept, token)
        return self._unexpired(kept)

    def _ask_ahead(self, key: Key, kept: _Kept, token: str | CompactToken) -> None:
        """Ask about a token whose answer is soon too old, unless that is under way, or nothing could come of it."""
        if self._unheard or key in self._asking or not isinstance(self._unexpired(kept), AuthenticatedAccount):
            return
        parsed = compact.parse(token) if isinstance(token, str) else token
        if parsed is not None:
            self._begin_asking(key, parsed)

    def _begin_asking(self, key: Key, parsed: CompactToken) -> asyncio.Task[AuthenticatedAccount | RefusedToken]:
        task = asyncio.create_task(self._ask(key, parsed))
        self._asking[key] = task
        task.add_done_callback(lambda _: self._asking.pop(key, None))
        return task

    async def _ask(self, key: Key, parsed: CompactToken) -> AuthenticatedAccount | RefusedToken:
        audiences = key[1]
        verified = await resolve(self._verifier.verify(parsed))
        if isinstance(verified, RefusedToken):
            return verified
        # None: the keys could not be read yet. The API server then decides alone, which opens nothing: it checks
        # signature, issuer, times and audience itself, and the offline check stands only before it. It does not look
        # for a key that the token is bound to.
        if is_bound(parsed.claims):
            return RefusedToken(Reason.POSSESSION_UNPROVEN)
        if verified is not None and not audience_matches(verified.claims, audiences):
            return RefusedToken(Reason.AUDIENCE_MISMATCH)
        # What it says is as old as the question.
        asked = self._clock()
        try:
            status = await self._cluster.review_token(parsed.token, sorted(audiences))
        except ClusterUnavailableError:
            self._counts.reviews[TokenReviewOutcome.UNAVAILABLE] += 1
            self._unheard = True
            return self._in_outage(key)
        self._unheard = False
        outcome = _judged(status, parsed.claims, audiences)
        self._counts.reviews[
            TokenReviewOutcome.CONFIRMED if isinstance(outcome, AuthenticatedAccount) else TokenReviewOutcome.REFUSED
        ] += 1
        expires = parsed.claims.get("exp")
        # A token without an end has none that could be kept to.
        kept = _Kept(outcome, asked, float(expires) if moment(expires) else float("-inf"))
        self._kept.put(key, kept)
        return self._unexpired(kept)

    def _in_outage(self, key: Key) -> AuthenticatedAccount | RefusedToken:
        kept = self._kept.get(key)
        if kept is None or self._clock() - kept.asked > self._max_staleness:
            return RefusedToken(Reason.IDENTITY_UNVERIFIABLE)
        outcome = self._unexpired(kept)
        return (
            AuthenticatedAccount(outcome.account, outcome.claims, live=False)
            if isinstance(outcome, AuthenticatedAccount)
            else outcome
        )

    def _unexpired(self, kept: _Kept) -> AuthenticatedAccount | RefusedToken:
        if isinstance(kept.outcome, AuthenticatedAccount) and self._now() >= kept.expires:
            return RefusedToken(Reason.IDENTITY_INVALID)
        return kept.outcome


def publisher(cluster: ApiClient) -> Callable[[], Any]:
    """Return what reads the cluster's own keys, for a `KeySet`."""

    async def read() -> IssuerKeys:
        try:
            issuer, published = await cluster.read_token_issuer()
            return IssuerKeys(issuer, jwks.keys_of(published))
        except (ClusterUnavailableError, ValueError) as error:
            raise KeysUnavailableError(str(error)) from error

    return read


def _judged(
    status: Mapping[str, Any], claims: Mapping[str, Any], audiences: frozenset[str]
) -> AuthenticatedAccount | RefusedToken:
    user = status.get("user") or {}
    username, uid = user.get("username", ""), user.get("uid", "")
    confirmed = audiences.intersection(status.get("audiences") or ())
    authenticated = status.get("authenticated") is True and confirmed
    # By the claims conditions and the workload are judged: they must be of the very account that was confirmed.
    if authenticated and username.startswith(SERVICE_ACCOUNT_PREFIX) and uid and account_of(claims) == (username, uid):
        return AuthenticatedAccount(ServiceAccount(username, uid), claims, live=True)
    # Only to say what is wrong: these claims may not be verified, and nothing is allowed by them.
    said = claims.get("aud")
    listed = said if isinstance(said, list) else [said]
    named = {entry for entry in listed if isinstance(entry, str)}
    return RefusedToken(Reason.AUDIENCE_MISMATCH if named and not named & audiences else Reason.IDENTITY_INVALID)


def account_of(claims: Mapping[str, Any]) -> tuple[object, object]:
    """Return username and uid of the service account that the claims of its token name, whatever they are."""
    bound = claims.get("kubernetes.io")
    account = bound.get("serviceaccount") if isinstance(bound, Mapping) else None
    return claims.get("sub"), account.get("uid") if isinstance(account, Mapping) else None
