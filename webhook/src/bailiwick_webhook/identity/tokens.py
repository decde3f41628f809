"""Tokens of service accounts, confirmed by the API server (TokenReview), so that a deleted account or pod is seen.

Holds: an answer is kept at most `FRESH` seconds; while the API server cannot be asked, the last positive answer for
that very token serves until `max_staleness`, marked as not live, never for a use of a grant. Tokens are kept hashed.
"""

import asyncio
import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from bailiwick_api.accounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_engine.call import ServiceAccount
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.cluster.client import Cluster, ClusterUnavailableError

FRESH: Final = 10.0
MAX_TOKEN: Final = 16_384
_KEPT: Final = 10_000

Key = tuple[bytes, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Proven:
    """A confirmed service account. `live`: the API server said so within the last `FRESH` seconds."""

    account: ServiceAccount
    claims: Mapping[str, Any]
    live: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A token that proves nothing here."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class _Kept:
    outcome: Proven | Refused
    asked: float
    expires: float


class Tokens:
    """Asks the API server whose a token is. `clock` is monotonic, `now` the time of day; both in seconds."""

    def __init__(
        self, cluster: Cluster, *, max_staleness: float, clock: Callable[[], float], now: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._max_staleness = max_staleness
        self._clock = clock
        self._now = now
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._asking: dict[Key, asyncio.Task[Proven | Refused]] = {}

    async def prove(self, token: str, audiences: frozenset[str]) -> Proven | Refused:
        """Return whose token this is, if it is a service account's and for one of these audiences."""
        if not token or len(token) > MAX_TOKEN or not token.isascii():
            return Refused(Reason.IDENTITY_INVALID)
        key = (hashlib.sha256(token.encode()).digest(), tuple(sorted(audiences)))
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept.asked <= FRESH:
            return self._unexpired(kept)
        # Many calls with one token at once ask once.
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(key, token, audiences))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # Shielded: that one caller goes away must not fail the others who wait for the same answer.
        return await asyncio.shield(task)

    async def _ask(self, key: Key, token: str, audiences: frozenset[str]) -> Proven | Refused:
        claims = _claims(token)
        expires = claims.get("exp")
        try:
            status = await self._cluster.review_token(token, sorted(audiences))
        except ClusterUnavailableError:
            return self._in_outage(key)
        outcome = _judged(status, claims, audiences)
        self._kept[key] = _Kept(
            outcome, self._clock(), float(expires) if isinstance(expires, int | float) else float("inf")
        )
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return outcome

    def _in_outage(self, key: Key) -> Proven | Refused:
        kept = self._kept.get(key)
        if kept is None or self._clock() - kept.asked > self._max_staleness:
            return Refused(Reason.IDENTITY_UNVERIFIABLE)
        outcome = self._unexpired(kept)
        return Proven(outcome.account, outcome.claims, live=False) if isinstance(outcome, Proven) else outcome

    def _unexpired(self, kept: _Kept) -> Proven | Refused:
        if isinstance(kept.outcome, Proven) and self._now() >= kept.expires:
            return Refused(Reason.IDENTITY_INVALID)
        return kept.outcome


def _judged(status: Mapping[str, Any], claims: Mapping[str, Any], audiences: frozenset[str]) -> Proven | Refused:
    user = status.get("user") or {}
    username, uid = user.get("username", ""), user.get("uid", "")
    confirmed = audiences.intersection(status.get("audiences") or ())
    if status.get("authenticated") is True and confirmed and username.startswith(SERVICE_ACCOUNT_PREFIX) and uid:
        return Proven(ServiceAccount(username, uid), claims, live=True)
    # Only to say what is wrong: these claims are not verified, and nothing is allowed by them.
    said = claims.get("aud")
    listed = said if isinstance(said, list) else [said]
    named = {entry for entry in listed if isinstance(entry, str)}
    return Refused(Reason.AUDIENCE_MISMATCH if named and not named & audiences else Reason.IDENTITY_INVALID)


def _claims(token: str) -> dict[str, Any]:
    """Return the payload as the token says it, or empty; trusted only after the API server confirmed the token."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - a compact JWS has three parts (RFC 7515, 3.1)
        return {}
    try:
        payload = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return payload if isinstance(payload, dict) else {}
