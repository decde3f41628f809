"""What a passkey answered counts here only if WebAuthn's procedure accepts it (Level 2, section 7.2).

py_webauthn is the oracle: it reads the three fields that the browser sends, and knows nothing of SSH signatures.
"""

import base64
import hashlib
from typing import Any, Final

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given, strategies as st
from webauthn import verify_authentication_response
from webauthn.helpers.exceptions import WebAuthnException

from bailiwick_engine.signatures.reviewsignature import statement_problem
from bailiwick_engine.signatures.sshsig import parse_signature
from bailiwick_engine.signatures.statement import REVIEW_NAMESPACE
from bailiwick_governance.signing.passkeys import (
    PasskeyAssertion,
    PasskeyError,
    passkey_challenge,
    passkey_key,
    passkey_signature,
)
from demo.softpasskey import PRESENT, VERIFIED, SoftPasskey

RP_ID: Final = "bailiwick.example.com"
ORIGIN: Final = f"https://{RP_ID}"
MESSAGE: Final = b'{"decision":"Approve"}'
RP_HASH: Final = 32
CHALLENGE: Final = base64.b64decode(passkey_challenge(REVIEW_NAMESPACE, MESSAGE))
PASSKEY: Final = SoftPasskey(RP_ID)

# One member of an answer that is not as it should be, signed by the true key all the same.
OTHERS: Final[dict[str, dict[str, Any]]] = {
    "a registration": {"kind": "webauthn.create"},
    "another statement": {"challenge": base64.b64decode(passkey_challenge(REVIEW_NAMESPACE, b'{"decision":"Deny"}'))},
    "another RP": {"rp_id": "example.com"},
    "another site": {"origin": "https://bailiwick.example.org"},
    "another host of the domain": {"origin": f"https://old.{RP_ID}"},
    "another port": {"origin": f"{ORIGIN}:8443"},
    "another scheme": {"origin": f"http://{RP_ID}"},
    "no touch": {"flags": VERIFIED},
    "no verified user": {"flags": PRESENT},
    "neither": {"flags": 0},
    "extensions that are missing": {"flags": PRESENT | VERIFIED | 0x80},
    "attested data that are missing": {"flags": PRESENT | VERIFIED | 0x40},
}


def cose_key(passkey: SoftPasskey) -> bytes:
    """The public key as an authenticator gives it at registration (RFC 9053): ES256 on P-256."""
    numbers = passkey.private.public_key().public_numbers()
    return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})


def webauthn_accepts(fields: dict[str, str], passkey: SoftPasskey = PASSKEY) -> bool:
    """Whether the relying party of py_webauthn takes this answer for its own challenge."""
    padded = {name: text.replace("+", "-").replace("/", "_").rstrip("=") for name, text in fields.items()}
    credential = {
        "id": "AAAA",
        "rawId": "AAAA",
        "type": "public-key",
        "response": {
            "authenticatorData": padded["authenticator"],
            "clientDataJSON": padded["client"],
            "signature": padded["signature"],
        },
    }
    try:
        verify_authentication_response(
            credential=credential,
            expected_challenge=CHALLENGE,
            expected_rp_id=RP_ID,
            expected_origin=[ORIGIN],
            credential_public_key=cose_key(passkey),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError):
        return False
    return True


def counting_signature(fields: dict[str, str], passkey: SoftPasskey = PASSKEY) -> str | None:
    """What the console writes of an answer, if the engine counts it as a signature over the statement."""
    try:
        assertion = PasskeyAssertion.parse(**fields)
    except PasskeyError:
        return None
    text = passkey_signature(assertion, [passkey_key(passkey.spki, RP_ID)], REVIEW_NAMESPACE, MESSAGE)
    if text is None or statement_problem(text, MESSAGE, frozenset({ORIGIN}), verified_user=True) is not None:
        return None
    return text


def counts(fields: dict[str, str], passkey: SoftPasskey = PASSKEY) -> bool:
    return counting_signature(fields, passkey) is not None


def answer_in(text: str) -> dict[str, str]:
    """The answer that a written signature holds: the hash of the RP id is that of its key."""
    signature = parse_signature(text)
    assert signature.assertion is not None
    assert signature.touch is not None
    assert signature.key.application is not None
    assert isinstance(signature.proof, tuple)
    data = hashlib.sha256(signature.key.application.encode()).digest() + bytes([signature.touch.flags])
    data += signature.touch.counter.to_bytes(4, "big") + signature.assertion.extensions
    parts = {
        "authenticator": data,
        "client": signature.assertion.client_data,
        "signature": encode_dss_signature(*signature.proof),
    }
    return {name: base64.b64encode(part).decode() for name, part in parts.items()}


@given(counter=st.sampled_from([0, 1, 2**32 - 1]), remark=st.text('abc\u00e9"\\ ', max_size=9))
def test_the_answer_to_this_very_question_counts_and_is_one(counter: int, remark: str) -> None:
    fields = PASSKEY.answer(CHALLENGE, ORIGIN, counter=counter, remark=remark)
    text = counting_signature(fields)
    assert webauthn_accepts(fields)
    assert text is not None
    assert answer_in(text) == fields


@pytest.mark.parametrize("name", OTHERS)
def test_neither_takes_a_true_signature_over(name: str) -> None:
    fields = PASSKEY.answer(**{"challenge": CHALLENGE, "origin": ORIGIN, **OTHERS[name]})
    assert not webauthn_accepts(fields)
    assert not counts(fields)


def test_neither_takes_the_signature_of_another_key_for_this_one() -> None:
    fields = SoftPasskey(RP_ID).answer(CHALLENGE, ORIGIN)
    assert not webauthn_accepts(fields)
    assert not counts(fields)


@given(data=st.data())
def test_an_answer_of_which_any_bit_is_changed_is_none(data: st.DataObject) -> None:
    fields = PASSKEY.answer(CHALLENGE, ORIGIN, counter=data.draw(st.sampled_from([0, 9])))
    name = data.draw(st.sampled_from(sorted(fields)))
    raw = bytearray(base64.b64decode(fields[name]))
    # A signature has not the same length each time.
    place = data.draw(st.integers(0, 4_095)) % len(raw)
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    forged = {**fields, name: base64.b64encode(bytes(raw)).decode()}
    assert not webauthn_accepts(forged)
    text = counting_signature(forged)
    # What came as the hash of the RP id is not written: whoever reads the signature takes the hash of the key's RP id.
    assert (text is not None) == (name == "authenticator" and place < RP_HASH)
    assert text is None or answer_in(text) == fields


@given(
    flags=st.integers(0, 255),
    origin=st.sampled_from([ORIGIN, f"{ORIGIN}:443", f"{ORIGIN}/", ORIGIN.upper(), f"https://x.{RP_ID}", "null"]),
    rp_id=st.sampled_from([RP_ID, "example.com", f"x.{RP_ID}", ""]),
    kind=st.sampled_from(["webauthn.get", "webauthn.get ", "WEBAUTHN.GET", "payment.get"]),
    more=st.sampled_from([{}, {"crossOrigin": True}, {"topOrigin": "https://a.example"}, {"origin ": "x"}]),
)
def test_nothing_counts_that_the_procedure_of_webauthn_refuses(
    flags: int, origin: str, rp_id: str, kind: str, more: dict[str, Any]
) -> None:
    fields = PASSKEY.answer(CHALLENGE, origin, flags=flags, rp_id=rp_id or RP_ID, kind=kind, **more)
    text = counting_signature(fields)
    assert text is None or webauthn_accepts(answer_in(text))
