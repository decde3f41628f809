"""What an issuer publishes: which keys verify anything, and which sets are none."""

from typing import Any, Final

import pytest

from bailiwick_process.jwt import compact
from bailiwick_process.jwt.jwks import MAX_KEYS, candidates, keys_of
from unit.webhook.identity.world import EC, NEXT_EC, RSA, account_token, merged, person_token

GOOD: Final = EC.as_dict(private=False)
SHARED: Final = {"kty": "oct", "k": "c2VjcmV0", "kid": "corp-1"}


@pytest.mark.parametrize(
    "listed",
    [
        GOOD,
        {**GOOD, "use": "sig"},
        {**GOOD, "key_ops": ["verify"]},
        {**GOOD, "key_ops": ["sign", "verify"]},
        {**GOOD, "alg": "ES256"},
        merged(GOOD, {"kid": ...}),
        RSA.as_dict(private=False),
    ],
)
def test_a_public_key_for_signatures_verifies(listed: dict[str, Any]) -> None:
    (key,) = keys_of({"keys": [SHARED, listed, "none"]})
    assert key.kid == listed.get("kid")


@pytest.mark.parametrize(
    "listed",
    [
        None,
        "key",
        {**GOOD, "d": "AAAA"},
        {**GOOD, "k": "AAAA"},
        SHARED,
        {**GOOD, "use": "enc"},
        {**GOOD, "key_ops": []},
        {**GOOD, "key_ops": ["encrypt"]},
        {**GOOD, "key_ops": "verify"},
        {**GOOD, "kid": 1},
        {**GOOD, "alg": "ES384"},
        {**GOOD, "alg": ["ES256"]},
        {**GOOD, "kty": "OKP"},
        {**GOOD, "crv": "secp256k1"},
        {**GOOD, "crv": ["P-256"]},
        {**GOOD, "x": GOOD["y"]},
        merged(GOOD, {"y": ...}),
    ],
)
def test_any_other_key_verifies_nothing(listed: object) -> None:
    with pytest.raises(ValueError, match="no public RSA or EC key"):
        keys_of({"keys": [listed]})
    assert len(keys_of({"keys": [listed, NEXT_EC.as_dict(private=False)]})) == 1


@pytest.mark.parametrize("published", [None, [], "keys", {}, {"keys": {}}, {"keys": [GOOD] * (MAX_KEYS + 1)}])
def test_what_is_no_set_of_keys_has_none(published: object) -> None:
    with pytest.raises(ValueError, match="not a JWK Set"):
        keys_of(published)


def test_a_set_may_be_as_large_as_it_is_said() -> None:
    assert len(keys_of({"keys": [GOOD] * MAX_KEYS})) == MAX_KEYS


@pytest.mark.parametrize(
    ("keys", "header", "found"),
    [
        ([EC], {}, ["corp-1"]),
        ([EC, NEXT_EC], {}, ["corp-1"]),
        ([NEXT_EC], {}, []),
        ([EC], {"kid": ...}, ["corp-1"]),
        ([EC, NEXT_EC], {"kid": ...}, []),
        ([RSA], {"kid": ...}, []),
        ([EC], {"alg": "ES384"}, []),
        ([EC], {"kid": ..., "alg": "ES384"}, []),
    ],
)
def test_a_token_is_verified_by_the_key_that_it_names_or_by_the_only_one(
    keys: list[Any], header: dict[str, Any], found: list[str]
) -> None:
    parsed = compact.parse(person_token(header))
    assert parsed is not None
    published = keys_of({"keys": [key.as_dict(private=False) for key in keys]})
    assert [key.kid for key in candidates(published, parsed)] == found


def test_a_key_verifies_what_it_signed_and_nothing_else() -> None:
    (key,) = keys_of({"keys": [GOOD]})
    for token, right in ((person_token(), True), (person_token(key=NEXT_EC), False), (account_token(), False)):
        parsed = compact.parse(token)
        assert parsed is not None
        assert key.verifies(parsed) is right
