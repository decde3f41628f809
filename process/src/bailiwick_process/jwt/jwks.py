"""Published keys (RFC 7517): which of an issuer's keys may verify a signature, and whether one does.

Holds: only public RSA and EC keys of decent size are taken, each for the algorithms of its own type; what is not
understood is left out, never guessed; no algorithm without a public key (`none`, HS*) exists here.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from bailiwick_process.jwt.compact import CompactToken

_CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_RSA: Final = frozenset({"RS256", "PS256"})
# PS256 only where a configuration names it: Kubernetes never signs by it, some issuers of people's tokens do, and no
# attack is known on a key that serves both paddings.
ALGORITHMS: Final = frozenset({*_RSA, *_CURVES.values()})
MAX_KEYS: Final = 64
_RSA_BITS: Final = range(2048, 8193)
_MAX_HEADER: Final = 2048


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """One key. `kid` None: it was published without a name."""

    kid: str | None
    algorithms: frozenset[str]
    key: RSAKey | ECKey

    def verifies(self, parsed: CompactToken) -> bool:
        """Tell whether this key made the token's signature."""
        registry = jws.JWSRegistry(algorithms=[parsed.algorithm], strict_check_header=False)
        registry.max_header_length = _MAX_HEADER
        try:
            jws.deserialize_compact(parsed.token, self.key, registry=registry)
        except (JoseError, ValueError):
            return False
        return True


def keys_of(published: object) -> tuple[PublishedKey, ...]:
    """Return the usable keys of a JWK Set. Raises `ValueError` where it is none or holds not one usable key."""
    listed = published.get("keys") if isinstance(published, Mapping) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise ValueError(f"not a JWK Set of at most {MAX_KEYS} keys")
    keys = tuple(key for key in map(_key, listed) if key is not None)
    if not keys:
        raise ValueError("the JWK Set has no public RSA or EC key for signatures")
    return keys


def candidates(keys: tuple[PublishedKey, ...], parsed: CompactToken) -> tuple[PublishedKey, ...]:
    """Return the keys that may have signed a token: by its kid; without one, the only key there is."""
    if parsed.kid is None:
        return keys if len(keys) == 1 and parsed.algorithm in keys[0].algorithms else ()
    return tuple(key for key in keys if key.kid == parsed.kid and parsed.algorithm in key.algorithms)


def is_signed(keys: tuple[PublishedKey, ...], parsed: CompactToken) -> bool:
    """Tell whether one of these keys made the signature of a token."""
    return any(key.verifies(parsed) for key in candidates(keys, parsed))


def _key(listed: object) -> PublishedKey | None:
    # An issuer that publishes a private or a shared key has lost it.
    if not isinstance(listed, Mapping) or "d" in listed or "k" in listed:
        return None
    operations, kid = listed.get("key_ops"), listed.get("kid")
    if listed.get("use", "sig") != "sig" or not (
        operations is None or (isinstance(operations, list) and "verify" in operations)
    ):
        return None
    if not isinstance(kid, str | None):
        return None
    made = _rsa(listed) if listed.get("kty") == "RSA" else _ec(listed) if listed.get("kty") == "EC" else None
    if made is None:
        return None
    key, algorithms = made
    if "alg" in listed:
        algorithms &= {listed["alg"]} if isinstance(listed["alg"], str) else set()
    return PublishedKey(kid, algorithms, key) if algorithms else None


def _rsa(listed: Mapping[str, Any]) -> tuple[RSAKey, frozenset[str]] | None:
    try:
        # Before it is imported: a huge modulus would make each verification expensive.
        if int.from_bytes(base64.urlsafe_b64decode(listed["n"] + "==")).bit_length() not in _RSA_BITS:
            return None
        key = RSAKey.import_key({"kty": "RSA", "n": listed["n"], "e": listed["e"]})
        _ = key.public_key
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key, _RSA


def _ec(listed: Mapping[str, Any]) -> tuple[ECKey, frozenset[str]] | None:
    curve = listed.get("crv")
    if not isinstance(curve, str) or curve not in _CURVES:
        return None
    try:
        key = ECKey.import_key({"kty": "EC", "crv": curve, "x": listed["x"], "y": listed["y"]})
        # Imported lazily by the library: a point that is not on the curve shows only here.
        _ = key.public_key
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key, frozenset({_CURVES[curve]})
