"""Whether an id token is the answer to our own question (OpenID Connect Core 1.0, 3.1.3.7).

Standing: pure; `provider` fetches the keys. Holds: it only says who logged in here. Who somebody is in the cluster, and
what they may do, the API server says, which verifies the same token itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import ECKey, Key, KeySet, RSAKey
from joserfc.jws import JWSRegistry

# What the API server verifies too. None is without a public key.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")
LEEWAY: Final = 30.0
"""Seconds by which the issuer's clock may differ from ours."""
MAX_TOKEN: Final = 64 * 1024
_MAX_HEADER: Final = 4096
# The end of the year 9999, in seconds since 1970.
_LAST: Final = 253_402_300_799
_PUBLIC: Final = ("kty", "kid", "n", "e", "crv", "x", "y")


class IdTokenError(ValueError):
    """The token is not taken; the message says why and holds nothing of it."""


class UnknownSignerError(IdTokenError):
    """None of the keys that are known has the name that the token gives."""


@dataclass(frozen=True, slots=True)
class LoginClaims:
    """What is believed of an id token. `ends` is in seconds since 1970."""

    subject: str
    ends: float


def verify(
    token: str,
    published: object,
    *,
    issuer: str,
    client_id: str,
    now: float,
    nonce: str | None = None,
    max_age: int | None = None,
) -> LoginClaims:
    """Return what an id token says. `nonce` None: it came by a refresh token, which has none to answer.

    `max_age`: the issuer was asked that its person had authenticated at most so many seconds before (3.1.2.1).
    Raises `IdTokenError`.
    """
    claims = _verify_signature(token, published)
    if claims.get("iss") != issuer:
        raise IdTokenError("it is of another issuer")
    _for_client(claims, client_id)
    ends, issued = _time(claims, "exp"), _time(claims, "iat")
    if ends <= now:
        raise IdTokenError("it has expired")
    if issued > now + LEEWAY:
        raise IdTokenError("it is of the future: compare the clocks")
    if claims.get("nbf") is not None and _time(claims, "nbf") > now + LEEWAY:
        raise IdTokenError("it does not count yet: compare the clocks")
    if "cnf" in claims:
        raise IdTokenError("it is bound to a key (cnf), so it is no bearer token: turn that off for this client")
    given = claims.get("nonce")
    if nonce is not None and not (isinstance(given, str) and compare_digest(given.encode(), nonce.encode())):
        raise IdTokenError("it answers another login (nonce)")
    if max_age is not None:
        _lately(claims, now, max_age)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise IdTokenError("it has no subject")
    return LoginClaims(subject, ends)


def _for_client(claims: Mapping[str, Any], client_id: str) -> None:
    audiences = claims.get("aud")
    audiences = [audiences] if isinstance(audiences, str) else audiences
    if not isinstance(audiences, list) or client_id not in audiences:
        raise IdTokenError("it is for another client than this console")
    authorized = claims.get("azp")
    if (authorized is None and len(audiences) > 1) or authorized not in {None, client_id}:
        raise IdTokenError("it was given to another client than this console")


def _lately(claims: Mapping[str, Any], now: float, max_age: int) -> None:
    authenticated = _time(claims, "auth_time")
    if authenticated > now + LEEWAY:
        raise IdTokenError("its login is of the future (auth_time): compare the clocks")
    if now - authenticated > max_age + LEEWAY:
        raise IdTokenError(
            f"its login is more than {max_age} seconds ago (auth_time): log in again at your identity provider"
        )


def _verify_signature(token: str, published: object) -> Mapping[str, Any]:
    if len(token) > MAX_TOKEN:
        raise IdTokenError("it is too long")
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    registry.max_header_length = _MAX_HEADER
    try:
        return jwt.decode(token, _keys(published), algorithms=ALGORITHMS, registry=registry).claims
    except InvalidKeyIdError:
        raise UnknownSignerError("the issuer publishes no such key") from None
    except (JoseError, ValueError, TypeError, KeyError):
        raise IdTokenError("its signature is none of the issuer's") from None


def _keys(published: object) -> KeySet:
    """Return the public keys for signatures. Raises `IdTokenError` where there is none."""
    listed = published.get("keys") if isinstance(published, Mapping) else None
    keys: list[Key] = []
    for one in listed if isinstance(listed, list) else ():
        if not isinstance(one, Mapping) or one.get("use", "sig") != "sig":
            continue
        # Its public members alone: a private key that is published is lost, and is not used here.
        public = {name: one[name] for name in _PUBLIC if name in one}
        try:
            match one.get("kty"):
                case "RSA":
                    keys.append(RSAKey.import_key(public))
                case "EC":
                    keys.append(ECKey.import_key(public))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    if not keys:
        raise IdTokenError("the issuer publishes no key that is usable")
    return KeySet(keys)


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise IdTokenError(f"{name} is missing")
    # Neither does NaN lie between them, by which nothing would ever have expired.
    if not 0 <= value <= _LAST:
        raise IdTokenError(f"{name} is no time")
    return float(value)
