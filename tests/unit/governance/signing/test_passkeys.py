"""What a browser answers for a passkey, as OpenSSH reads it. `ssh-keygen -Y verify` is the oracle."""

import base64
from pathlib import Path
from typing import Final

import pytest

from bailiwick_engine.signatures.publickey import PublicKey
from bailiwick_governance.signing.passkeys import (
    PasskeyAssertion,
    PasskeyError,
    passkey_challenge,
    passkey_key,
    passkey_signature,
)
from demo.softpasskey import PRESENT, SoftPasskey
from support.signing.sshkeygen import SshOracle

NAMESPACE: Final = "review@bailiwick.dev"
ORIGIN: Final = "http://r0.bailiwick.localhost:41253"
MESSAGE: Final = b'{"decision":"Approve"}'


def blob(message: bytes = MESSAGE) -> bytes:
    return base64.b64decode(passkey_challenge(NAMESPACE, message))


@pytest.fixture(scope="module")
def passkey() -> SoftPasskey:
    return SoftPasskey()


@pytest.fixture
def oracle(passkey: SoftPasskey, tmp_path: Path) -> SshOracle:
    return SshOracle(tmp_path, f"carol {key_of(passkey)}\n")


def key_of(passkey: SoftPasskey) -> PublicKey:
    return passkey_key(passkey.spki, passkey.rp_id)


def signature_of(passkey: SoftPasskey, fields: dict[str, str]) -> str:
    return PasskeyAssertion.parse(**fields).ssh_signature(key_of(passkey), NAMESPACE)


# The counter of some authenticators is always 0; the numbers of a signature begin with a high bit or a zero at times.
@pytest.mark.parametrize("counter", [0, 1, 2**32 - 1])
@pytest.mark.parametrize("attempt", range(8))
def test_an_assertion_is_a_signature_that_openssh_accepts(
    passkey: SoftPasskey, oracle: SshOracle, counter: int, attempt: int
) -> None:
    fields = passkey.answer(blob(), ORIGIN, counter=counter, other=f"{attempt}")
    text = signature_of(passkey, fields)
    assert oracle.accepts("carol", NAMESPACE, MESSAGE, text)
    assert not oracle.accepts("carol", NAMESPACE, MESSAGE + b" ", text)
    assert not oracle.accepts("carol", "enrol@bailiwick.dev", MESSAGE, text)


@pytest.mark.parametrize(
    "answer",
    [
        {"rp_id": "bailiwick.example.com"},
        {"kind": "webauthn.create"},
        {"challenge": blob(b"another statement")},
        # That there are extensions, which are not there.
        {"flags": PRESENT | 0x80},
    ],
    ids=["another RP", "a registration", "another statement", "extensions that are missing"],
)
def test_an_assertion_for_something_else_is_no_signature(
    passkey: SoftPasskey, oracle: SshOracle, answer: dict[str, object]
) -> None:
    fields = passkey.answer(**{"challenge": blob(), "origin": ORIGIN, **answer})  # type: ignore[arg-type]  # a case each
    assert not oracle.accepts("carol", NAMESPACE, MESSAGE, signature_of(passkey, fields))


def test_a_changed_byte_of_what_the_authenticator_said_is_no_signature(passkey: SoftPasskey, oracle: SshOracle) -> None:
    fields = passkey.answer(blob(), ORIGIN)
    data = base64.b64decode(fields["authenticator"])
    for place in range(32, len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        forged = {**fields, "authenticator": base64.b64encode(bytes(changed)).decode()}
        assert not oracle.accepts("carol", NAMESPACE, MESSAGE, signature_of(passkey, forged)), place


@pytest.mark.parametrize("name", ["authenticator", "client", "signature"])
@pytest.mark.parametrize("value", ["", "not base64", "AAAA", "W10=", "bnVsbA==", "A" * 5000, "e30=", "\u00e9"])
def test_what_is_no_answer_of_a_passkey_is_refused_in_words(passkey: SoftPasskey, name: str, value: str) -> None:
    with pytest.raises(PasskeyError, match="the browser sent no"):
        PasskeyAssertion.parse(**{**passkey.answer(blob(), ORIGIN), name: value})


@pytest.mark.parametrize("value", ["", "AAAA", "not base64"])
def test_what_is_no_public_key_is_refused(value: str) -> None:
    with pytest.raises(PasskeyError, match="the browser sent no"):
        passkey_key(value, "bailiwick.localhost")


def test_the_key_that_signed_is_found_among_those_of_a_person(passkey: SoftPasskey) -> None:
    assertion = PasskeyAssertion.parse(**passkey.answer(blob(), ORIGIN))
    others = [key_of(SoftPasskey()), key_of(SoftPasskey())]
    assert passkey_signature(assertion, [*others, key_of(passkey)], NAMESPACE, MESSAGE) == assertion.ssh_signature(
        key_of(passkey), NAMESPACE
    )
    assert passkey_signature(assertion, others, NAMESPACE, MESSAGE) is None
    assert passkey_signature(assertion, [key_of(passkey)], NAMESPACE, b"another statement") is None
