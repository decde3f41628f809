"""Our own tokens as text: a compact JWS of one explicit type, by one algorithm, for one endpoint (RFC 8725).

Standing: under the two kinds of token. Holds: nothing raises on any text; checked are, in this order, size and form,
algorithm, type, key, issuer, audience, signature, then the times. Issuer and audience are the endpoint's own URL, so
that a token of one endpoint is nothing at another.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from joserfc import jws

from bailiwick_api.signingkeys import ALGORITHM
from bailiwick_process.jwt import compact
from bailiwick_process.jwt.claims import moment
from bailiwick_process.jwt.compact import CompactToken
from bailiwick_webhook.metrics.table import TokenProblem
from bailiwick_webhook.signing.keyring import Keyring

MAX_TOKEN: Final = 8_192
LEEWAY: Final = 30.0
_REGISTRY: Final = jws.JWSRegistry(algorithms=[ALGORITHM])


def signed(keyring: Keyring, kind: str, claims: Mapping[str, Any], now: float) -> str | None:
    """Sign claims; None where no key signs, or where the token would be larger than what is accepted."""
    found = keyring.signing(now)
    if found is None:
        return None
    kid, private = found
    header = {"alg": ALGORITHM, "typ": kind, "kid": kid}
    token = jws.serialize_compact(header, orjson.dumps(claims), private, registry=_REGISTRY)
    return token if len(token) <= MAX_TOKEN else None


def proven(keyring: Keyring, kind: str, token: str, base: str, now: float) -> Mapping[str, Any] | TokenProblem:
    """Return the claims of a token of this kind for the endpoint at `base`, or why it proves nothing."""
    parsed = _parsed(token, kind)
    if isinstance(parsed, TokenProblem):
        return parsed
    key = keyring.accepted(parsed.kid, now)
    if key is None:
        return TokenProblem.KEY
    claims = parsed.claims
    if claims.get("iss") != base:
        return TokenProblem.ISSUER
    if claims.get("aud") != base:
        return TokenProblem.AUDIENCE
    if not keyring.verifies(key, parsed):
        return TokenProblem.SIGNATURE
    return _timely(claims, now) or claims


def _parsed(token: str, kind: str) -> CompactToken | TokenProblem:
    if len(token) > MAX_TOKEN:
        return TokenProblem.OVERSIZED
    parsed = compact.parse(token)
    if parsed is None:
        return TokenProblem.UNREADABLE
    if parsed.algorithm != ALGORITHM:
        return TokenProblem.ALGORITHM
    return parsed if parsed.type == kind else TokenProblem.TYPE


def _timely(claims: Mapping[str, Any], now: float) -> TokenProblem | None:
    """Say whether it is not the time of these claims. Until when is approved the grant says, without any leeway."""
    issued, begins, ends = claims.get("iat"), claims.get("nbf", 0), claims.get("exp")
    if not (moment(issued) and moment(begins) and moment(ends)):
        return TokenProblem.CLAIMS
    if now + LEEWAY < max(issued, begins):
        return TokenProblem.EARLY
    return TokenProblem.EXPIRED if now - LEEWAY >= ends else None
