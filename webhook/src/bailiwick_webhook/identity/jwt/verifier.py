"""Verifying offline: signature, issuer, times and type of a token, against the keys that its issuer publishes.

Holds: every check is made on every token that is not remembered; a remembered one is forgotten after `KEPT_SECONDS`, at
its end and when the issuer's keys change; clocks are given no leeway to accept by, only one to deny by. A token that is
bound to a key is no bearer token, and proves nothing here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from bailiwick_engine.boundedcache import BoundedCache
from bailiwick_engine.reasons import Reason
from bailiwick_process.jwt import jwks
from bailiwick_process.jwt.claims import moment
from bailiwick_process.jwt.compact import CompactToken
from bailiwick_process.jwt.keyset import IssuerKeys, KeySet
from bailiwick_webhook.steps import Need, Step

KEPT_SECONDS: Final = 60.0
_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class RefusedToken:
    """A token that proves nothing here."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class VerifiedClaims:
    """The claims of a token whose signature, issuer, times and type are right; its audience is judged by each endpoint.

    `expires` is in seconds since the epoch.
    """

    claims: Mapping[str, Any]
    expires: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What tokens of an issuer must be like. `types` as `CompactToken.type` has them.

    `leeway`: seconds before its end from which a token no longer counts, for a clock of ours that may be late. There is
    none the other way: an expired token is never accepted, nor one that is not valid yet.
    `longest`: seconds from `iat` to `exp` that a token may have at most; None: any number.
    """

    algorithms: frozenset[str]
    types: frozenset[str]
    leeway: float = 0.0
    longest: float | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    verified: VerifiedClaims
    published: IssuerKeys
    since: float


class Verifier:
    """Verifies the tokens of one issuer. `clock` is monotonic, `now` the time of day; both in seconds.

    `begun` is the time of day by which a token begins, where that is another than the one by which it ends.
    """

    def __init__(
        self,
        keys: KeySet,
        rules: Rules,
        *,
        clock: Callable[[], float],
        now: Callable[[], float],
        begun: Callable[[], float] | None = None,
    ) -> None:
        self._keys = keys
        self._rules = rules
        self._clock = clock
        self._now = now
        self._begun = begun or now
        self._kept: BoundedCache[bytes, _Kept] = BoundedCache(_KEPT)

    def verify(self, parsed: CompactToken) -> Step[VerifiedClaims | RefusedToken | None]:
        """Verify a token; None where no keys of the issuer are known at the moment."""
        return self.at_once(parsed) or Need(partial(self._verified, parsed))

    async def _verified(self, parsed: CompactToken) -> VerifiedClaims | RefusedToken | None:
        if await self._keys.published() is None:
            return None
        found = self.at_once(parsed)
        if found is None:
            # A key that is new, or that has a known name again.
            await self._keys.after_unknown()
            found = self.at_once(parsed) or RefusedToken(Reason.IDENTITY_INVALID)
        return found

    def at_once(self, parsed: CompactToken) -> VerifiedClaims | RefusedToken | None:
        """Verify a token by the keys that are known; None where there are none, or none of them has signed it."""
        known = self.remembered(parsed.digest)
        if known is not None:
            return known
        published = self._keys.current
        if published is None:
            return None
        if parsed.algorithm not in self._rules.algorithms or parsed.type not in self._rules.types:
            return RefusedToken(Reason.IDENTITY_INVALID)
        if not jwks.is_signed(published.keys, parsed):
            return None
        claims = parsed.claims
        if claims.get("iss") != published.issuer or not self._in_time(claims):
            return RefusedToken(Reason.IDENTITY_INVALID)
        if is_bound(claims):
            return RefusedToken(Reason.POSSESSION_UNPROVEN)
        longest = self._rules.longest
        # One that does not say since when it lives may be older than any revocation.
        if longest is not None and ("iat" not in claims or claims["exp"] - claims["iat"] > longest):
            return RefusedToken(Reason.TOKEN_LIFETIME_EXCEEDED)
        verified = VerifiedClaims(claims, float(claims["exp"]))
        self._kept.put(parsed.digest, _Kept(verified, published, self._clock()))
        return verified

    def remembered(self, digest: bytes) -> VerifiedClaims | RefusedToken | None:
        """Return what a token comes to that was verified lately, by the keys that are known now; None of any other."""
        kept, published = self._kept.get(digest), self._keys.current
        if kept is None or kept.published is not published or self._clock() - kept.since > KEPT_SECONDS:
            return None
        return kept.verified if self._in_time(kept.verified.claims) else RefusedToken(Reason.IDENTITY_INVALID)

    def _in_time(self, claims: Mapping[str, Any]) -> bool:
        ends, begins, issued = claims.get("exp"), claims.get("nbf", 0), claims.get("iat", 0)
        if not (moment(ends) and moment(begins) and moment(issued)):
            return False
        return self._now() + self._rules.leeway < ends and self._begun() >= max(begins, issued)


def is_bound(claims: Mapping[str, Any]) -> bool:
    """Tell whether a token is bound to a key (RFC 7800, 3.1), so that who shows it must prove that they hold the key.

    Whatever `cnf` holds: what cannot be read is no reason to take the token for a bearer token (RFC 8705, 3; RFC 9449,
    7.1).
    """
    return "cnf" in claims
