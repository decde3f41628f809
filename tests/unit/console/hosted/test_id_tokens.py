"""Which id tokens count: signed by a published key, of this issuer, for this client, now, in answer to this login."""

import base64
import hmac
import json
import math
from collections.abc import Mapping
from typing import Any, Final

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from bailiwick_console.hosted.idtoken import LEEWAY, MAX_TOKEN, IdTokenError, UnknownSignerError, verify
from support.pdp.badtokens import tampered, unsigned

NOW: Final = 1_800_000_000.0
KEY: Final = ECKey.generate_key("P-256", {"use": "sig"}, auto_kid=True)
OTHER: Final = ECKey.generate_key("P-256", {"kid": str(KEY.kid)})
RSA: Final = RSAKey.generate_key(2048, auto_kid=True)
CLAIMS: Final[dict[str, Any]] = {
    "iss": "https://login.example.com",
    "sub": "carol",
    "aud": "bailiwick",
    "iat": NOW,
    "exp": NOW + 300,
    "nonce": "n",
}
JWKS: Final = {"keys": [KEY.as_dict(private=False), RSA.as_dict(private=False), {"kty": "AKP", "kid": "later"}, "odd"]}


def signed(key: ECKey | RSAKey = KEY, alg: str = "ES256", **claims: object) -> str:
    payload = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode({"alg": alg, "kid": key.kid}, payload, key, algorithms=[alg])


def checked(token: str, published: object = JWKS, nonce: str | None = "n", max_age: int | None = None) -> str:
    return verify(
        token,
        published,
        issuer="https://login.example.com",
        client_id="bailiwick",
        now=NOW,
        nonce=nonce,
        max_age=max_age,
    ).subject


@pytest.mark.parametrize(
    "token",
    [
        signed(),
        signed(RSA, "RS256"),
        signed(RSA, "PS256"),
        signed(aud=["bailiwick"]),
        signed(aud=["bailiwick", "other"], azp="bailiwick"),
        signed(iat=NOW + LEEWAY),
        signed(nbf=NOW + LEEWAY),
    ],
)
def test_the_answer_to_this_login_counts(token: str) -> None:
    assert checked(token) == "carol"


def test_a_token_for_a_refresh_token_has_no_nonce_to_answer() -> None:
    assert checked(signed(nonce=None), nonce=None) == "carol"


@pytest.mark.parametrize("authenticated", [NOW, NOW - 600, NOW - 600 - LEEWAY, NOW + LEEWAY])
def test_whoever_authenticated_lately_counts_where_that_was_asked_for(authenticated: float) -> None:
    assert checked(signed(auth_time=authenticated), max_age=600) == "carol"


@pytest.mark.parametrize(
    ("authenticated", "why"),
    [
        (None, "auth_time is missing"),
        ("now", "auth_time is missing"),
        (True, "auth_time is missing"),
        (math.nan, "auth_time is no time"),
        (NOW - 601 - LEEWAY, "is more than 600 seconds ago"),
        (0, "is more than 600 seconds ago"),
        (NOW + LEEWAY + 1, "of the future"),
    ],
)
def test_a_login_of_which_it_is_not_shown_that_it_is_fresh_does_not(authenticated: object, why: str) -> None:
    token = signed(auth_time=authenticated)
    assert checked(token) == "carol"
    with pytest.raises(IdTokenError, match=why):
        checked(token, max_age=600)


WRONG: Final[dict[str, Mapping[str, Any]]] = {
    "another issuer": {"iss": "https://login.example.com/"},
    "no issuer": {"iss": None},
    "another client": {"aud": "bailiwick2"},
    "no client": {"aud": None},
    "clients in a mapping": {"aud": {"bailiwick": 1}},
    "several clients and nobody it was given to": {"aud": ["bailiwick", "other"]},
    "given to another": {"azp": "other"},
    "expired": {"exp": NOW},
    "never ending": {"exp": None},
    "ending at a word": {"exp": "later"},
    "ending at True": {"exp": True},
    "ending beyond every number": {"exp": 10**400},
    "ending beyond the calendar": {"exp": 253_402_300_800},
    "ending at infinity": {"exp": math.inf},
    "ending at no number": {"exp": math.nan},
    "beginning before time": {"iat": -(10**400)},
    "without a beginning": {"iat": None},
    "of the future": {"iat": NOW + LEEWAY + 1},
    "not yet": {"nbf": NOW + LEEWAY + 1},
    "a key that its bearer has to hold": {"cnf": {"jkt": "x"}},
    "another login": {"nonce": "m"},
    "no login": {"nonce": None},
    "a list of logins": {"nonce": ["n"]},
    "nobody": {"sub": ""},
    "several people": {"sub": ["carol"]},
}


@pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG)
def test_a_token_with_another_word_for_it_does_not(claims: Mapping[str, Any]) -> None:
    with pytest.raises(IdTokenError):
        checked(signed(**claims))


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def with_public_key_as_secret() -> str:
    """Return a token as an attacker makes it who knows what everybody knows. The library would not."""
    told = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": KEY.kid}, CLAIMS))
    return f"{told}.{encoded(hmac.digest(KEY.as_pem(private=False), told.encode(), 'sha256'))}"


FORGED: Final = {
    "signed by another key of that name": signed(OTHER),
    "changed after it was signed": tampered(signed(), sub="mallory"),
    "not signed": unsigned(signed()),
    "signed with the public key as a secret": with_public_key_as_secret(),
    "of another algorithm than the key's": ".".join(
        (encoded(json.dumps({"alg": "ES256", "kid": RSA.kid}).encode()), *signed(RSA, "RS256").split(".")[1:])
    ),
    "no token": "a.b.c",
    "nothing": "",
    "too long": f"{signed()}{'x' * MAX_TOKEN}",
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
def test_a_token_that_the_issuer_did_not_sign_does_not(token: str) -> None:
    with pytest.raises(IdTokenError) as raised:
        checked(token)
    assert token[:40] not in str(raised.value) or not token


def test_a_key_that_is_not_published_is_told_apart_so_that_the_keys_are_asked_for_anew() -> None:
    with pytest.raises(UnknownSignerError):
        checked(signed(), {"keys": [RSA.as_dict(private=False)]})


@pytest.mark.parametrize(
    "published", [None, [], {}, {"keys": {}}, {"keys": [{"kty": "EC"}]}, {"keys": [{"kty": "oct", "k": "eA"}]}]
)
def test_keys_that_are_none_verify_nothing(published: object) -> None:
    with pytest.raises(IdTokenError):
        checked(signed(), published)


def test_a_key_for_encryption_verifies_nothing() -> None:
    with pytest.raises(IdTokenError):
        checked(signed(), {"keys": [KEY.as_dict(private=False, use="enc")]})
