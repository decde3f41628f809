"""Verifies security event tokens by the keys of their issuer.

Standing: over `securityevent`, which reads the claims. Holds: a token is refused for its key only after the issuer's
keys were read again since it arrived, and for being early only by a clock that is right. Until then it is neither
accepted nor refused.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from bailiwick_api.issuers import IssuerConfig, SignalsConfig
from bailiwick_operator.reconcile import securityevent
from bailiwick_operator.reconcile.securityevent import RefusedSet, SecurityEvent
from bailiwick_process.jwt import compact, jwks
from bailiwick_process.jwt.compact import CompactToken
from bailiwick_process.jwt.keyset import KeySet

_UNREADABLE: Final = RefusedSet(
    "invalid_request", f"the token is not a compact JWS of at most {compact.MAX_TOKEN} characters"
)


class SetVerifier:
    """Verifies the tokens of one issuer. `trusted`: whether `now` is the time, as far as is known."""

    def __init__(
        self,
        config: IssuerConfig,
        signals: SignalsConfig,
        keys: KeySet,
        *,
        now: Callable[[], datetime],
        trusted: Callable[[], bool],
    ) -> None:
        self._config = config
        self._audience = signals.audience
        self._keys = keys
        self._now = now
        self._trusted = trusted

    async def verify(self, jti: str, token: str, arrived: float) -> SecurityEvent | RefusedSet | None:
        """Return the event that a token carries; None if that cannot be verified at the moment.

        `arrived`: when, by the monotonic clock, the token was received.
        """
        parsed = compact.parse(token)
        if parsed is None:
            return _UNREADABLE
        if parsed.type != securityevent.TYPE:
            return RefusedSet("invalid_request", f"typ is not {securityevent.TYPE}")
        if parsed.algorithm not in self._config.algorithms:
            return RefusedSet("invalid_key", "alg is not one of the issuer's algorithms")
        # A key that the issuer withdrew is forgotten as soon as at the decision point.
        await self._keys.read_since(arrived - self._config.refresh_seconds)
        if not self._signed(parsed):
            # It may be a key that the issuer has just published. To refuse a token is final, so read them first.
            known = await self._keys.read_since(arrived)
            if not self._signed(parsed):
                return RefusedSet("invalid_key", "no key of the issuer made the signature") if known else None
        event = securityevent.read_event(
            jti,
            parsed.claims,
            issuer=self._config.issuer,
            audience=self._audience,
            now=self._now().timestamp(),
        )
        return None if isinstance(event, RefusedSet) and event.early and not self._trusted() else event

    def _signed(self, parsed: CompactToken) -> bool:
        published = self._keys.current
        return published is not None and jwks.is_signed(published.keys, parsed)
