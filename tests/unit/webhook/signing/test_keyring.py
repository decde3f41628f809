"""The keyring: which key signs, which are accepted, what is published, and what is no ring."""

import json
from dataclasses import replace
from typing import Any, Final, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey, KeySet

from bailiwick_api.secretlist import UnreadableListError
from bailiwick_api.signingkeys import secret_data
from bailiwick_process.jwt.compact import CompactToken
from bailiwick_process.jwt.jwks import PublishedKey
from bailiwick_webhook.metrics.table import TokenProblem
from bailiwick_webhook.signing import jose, keyring
from bailiwick_webhook.signing.keyring import NO_KEYS, STALE_KEYS, Keyring, keyring_of
from support.signingkeys import ring, signing_key

NOW: Final = 1_800_000_000.0
BASE: Final = "https://pdp.example/endpoints/crm/crm-api"
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
    published, later = RING.published(NOW), RING.published(NOW + 100)
    assert published is not None
    assert later is not None
    assert [set(key) for key in published["keys"]] == [{"kty", "crv", "x", "y", "kid", "use", "alg"}] * 3
    assert {(key["kty"], key["crv"], key["use"], key["alg"]) for key in published["keys"]} == {
        ("EC", "P-256", "sig", "ES256")
    }
    assert {key.thumbprint() for key in KeySet.import_key_set(cast("Any", published)).keys} == {
        OLD.kid,
        PRESENT.kid,
        NEXT.kid,
    }
    assert {key["kid"] for key in later["keys"]} == {PRESENT.kid, NEXT.kid}
    assert "PRIVATE" not in json.dumps(published)


def test_an_empty_set_is_published_and_a_stale_one_is_not() -> None:
    assert NO_KEYS.published(NOW) == {"keys": []}
    assert STALE_KEYS.published(NOW) is None


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was looked at, one after the other."""
    found: list[str] = []
    verifies = PublishedKey.verifies

    def looking(key: PublishedKey, parsed: CompactToken) -> bool:
        found.append(parsed.token)
        return verifies(key, parsed)

    monkeypatch.setattr(PublishedKey, "verifies", looking)
    return found


class TestRemembering:
    """A right signature is looked at once; everything else is judged each time."""

    def token(self, ring_of: Keyring, number: int = 0) -> str:
        claims = {"iss": BASE, "aud": BASE, "iat": int(NOW), "exp": int(NOW) + 1000, "jti": str(number)}
        found = jose.signed(ring_of, "approval+jwt", claims, NOW)
        assert found is not None
        return found

    def proven(self, ring_of: Keyring, token: str, at: float = NOW, base: str = BASE) -> object:
        found = jose.proven(ring_of, "approval+jwt", token, base, at)
        return found if isinstance(found, TokenProblem) else "proven"

    def test_a_token_that_is_shown_again_is_looked_at_once(self, looked_at: list[str]) -> None:
        own = ring(PRESENT)
        token = self.token(own)
        assert [self.proven(own, token) for _ in range(3)] == ["proven"] * 3
        assert looked_at == [token]

    def test_what_it_says_is_judged_each_time(self) -> None:
        ending = signing_key(NOW - 500, ends=600)  # That many seconds after it was made.
        own = ring(ending)
        token = self.token(own)
        assert self.proven(own, token) == "proven"
        assert self.proven(own, token, base=f"{BASE}-2") is TokenProblem.ISSUER
        assert self.proven(own, token, at=NOW + 100) is TokenProblem.KEY

    def test_one_that_is_over_is_over(self) -> None:
        own = ring(PRESENT)
        token = self.token(own)
        assert self.proven(own, token) == "proven"
        assert self.proven(own, token, at=NOW + 1000 + jose.LEEWAY) is TokenProblem.EXPIRED

    def test_a_wrong_signature_is_looked_at_each_time_and_never_right(self, looked_at: list[str]) -> None:
        own = ring(PRESENT)
        token = self.token(own)
        assert self.proven(own, token) == "proven"
        head, _, mark = token.rpartition(".")
        wrong = f"{head}.{'B' if mark[0] != 'B' else 'C'}{mark[1:]}"
        assert [self.proven(own, wrong) for _ in range(2)] == [TokenProblem.SIGNATURE] * 2
        assert looked_at == [token, wrong, wrong]

    def test_other_keys_remember_nothing(self, looked_at: list[str]) -> None:
        token = self.token(ring(PRESENT))
        for own in (ring(PRESENT), ring(PRESENT, NEXT)):
            assert self.proven(own, token) == "proven"
        assert len(looked_at) == 2
        assert self.proven(ring(NEXT), token) is TokenProblem.KEY

    def test_no_more_are_remembered_than_a_few_thousand(
        self, looked_at: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keyring, "REMEMBERED", 2)
        own = ring(PRESENT)
        tokens = [self.token(own, number) for number in range(3)]
        for token in (*tokens, tokens[2], tokens[1], tokens[0]):
            assert self.proven(own, token) == "proven"
        assert looked_at == [*tokens, tokens[0]]


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
    with pytest.raises(UnreadableListError) as refused:
        keyring_of(secret_data([OLD, damaged]))  # type: ignore[list-item]
    assert "PRIVATE" not in str(refused.value)
