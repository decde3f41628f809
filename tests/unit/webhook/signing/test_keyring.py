"""The keyring: which key signs, which are accepted, what is published, and what is no ring."""

import json
from dataclasses import replace
from typing import Any, Final, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey, KeySet

from bailiwick_api.signingkeys import UnreadableKeysError, written
from bailiwick_webhook.signing.keyring import NO_KEYS, keyring_of
from support.signing import ring, signing_key

NOW: Final = 1_800_000_000.0
OLD: Final = signing_key(NOW - 5000, ends=5100)
PRESENT: Final = signing_key(NOW - 500)
NEXT: Final = signing_key(NOW, begins=600)
RING: Final = ring(PRESENT, OLD, NEXT)


def signer(at: float) -> str | None:
    found = RING.signing(at)
    return None if found is None else found[0]


def test_the_youngest_key_that_has_begun_signs() -> None:
    told = [signer(NOW - 6000), signer(NOW - 501), signer(NOW - 500), signer(NOW + 599), signer(NOW + 600)]
    assert told == [None, OLD.kid, PRESENT.kid, PRESENT.kid, NEXT.kid]


def test_every_key_is_accepted_until_its_end_and_before_it_signs() -> None:
    def accepted(at: float) -> list[bool]:
        return [RING.accepted(key.kid, at) is not None for key in (OLD, PRESENT, NEXT)]

    assert accepted(NOW + 99) == [True, True, True]
    assert accepted(NOW + 100) == [False, True, True]


@pytest.mark.parametrize("kid", [None, "", "unknown"])
def test_a_key_that_is_not_there_is_not_accepted(kid: str | None) -> None:
    assert RING.accepted(kid, NOW) is None


def test_what_is_published_is_public_and_has_what_a_client_needs() -> None:
    published = RING.published(NOW)
    assert [set(key) for key in published["keys"]] == [{"kty", "crv", "x", "y", "kid", "use", "alg"}] * 3
    assert {(key["kty"], key["crv"], key["use"], key["alg"]) for key in published["keys"]} == {
        ("EC", "P-256", "sig", "ES256")
    }
    assert {key.thumbprint() for key in KeySet.import_key_set(cast("Any", published)).keys} == {
        OLD.kid,
        PRESENT.kid,
        NEXT.kid,
    }
    assert {key["kid"] for key in RING.published(NOW + 100)["keys"]} == {PRESENT.kid, NEXT.kid}
    assert "PRIVATE" not in json.dumps(published)


def test_without_keys_nothing_signs_and_nothing_is_published() -> None:
    assert (NO_KEYS.signing(NOW), NO_KEYS.accepted("any", NOW), NO_KEYS.published(NOW)) == (None, None, {"keys": []})


def test_no_key_is_shown_by_a_representation() -> None:
    assert "PRIVATE" not in repr(RING)
    assert PRESENT.pem.splitlines()[1] not in repr(RING)


def pem(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


DAMAGED: Final = {
    "text": replace(PRESENT, pem="text"),
    "another's name": replace(PRESENT, pem=OLD.pem),
    "an RSA key": replace(PRESENT, pem=pem(rsa.generate_private_key(65537, 2048))),
    "another curve": replace(PRESENT, pem=pem(ec.generate_private_key(ec.SECP384R1()))),
    "a public key": replace(PRESENT, pem=ECKey.import_key(PRESENT.pem).as_pem(private=False).decode()),
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_a_ring_with_one_key_that_cannot_be_used_is_no_ring(damaged: object) -> None:
    with pytest.raises(UnreadableKeysError) as refused:
        keyring_of(written([OLD, damaged]))  # type: ignore[list-item]
    assert "PRIVATE" not in str(refused.value)
