"""What a browser answers for a passkey, written as OpenSSH writes it: an assertion as a signature, a key as a key.

Holds: pure. It only writes another form of the same values; whether they count, the engine says.
"""

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from bailiwick_engine.signatures.publickey import SK_ECDSA, PublicKey, encode_key, parse_public_key
from bailiwick_engine.signatures.sshsig import (
    WEBAUTHN,
    Assertion,
    SignatureFormatError,
    SshSignature,
    Touch,
    parse_signature,
    signed_data,
    verify,
    write_signature,
)

_HASH: Final = "sha256"
_MOST: Final = 4096
# Authenticator data begins with the hash of the RP id, a byte of flags and a counter (WebAuthn section 6.1).
_RP_HASH: Final = 32
_HEAD: Final = 37
_NO_SIGNATURE: Final = "the browser sent no signature of a passkey"


class PasskeyError(ValueError):
    """What a browser sent is no answer of a passkey that can be used. The message is for a person."""


@dataclass(frozen=True, slots=True)
class PasskeyAssertion:
    """What `credentials.get` returned. `client_data` is JSON exactly as the browser wrote it; `proof` is r and s."""

    authenticator_data: bytes
    client_data: bytes
    origin: str
    proof: tuple[int, int]

    @classmethod
    def parse(cls, authenticator: str, client: str, signature: str) -> "PasskeyAssertion":
        """Read the three fields of a form, in base64. Raises `PasskeyError`."""
        data, client_data, der = (_decode(text, _NO_SIGNATURE) for text in (authenticator, client, signature))
        try:
            origin = json.loads(client_data)["origin"]
            proof = utils.decode_dss_signature(der)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise PasskeyError(_NO_SIGNATURE) from error
        if len(data) < _HEAD or not isinstance(origin, str) or not origin.isascii() or min(proof) < 1:
            raise PasskeyError(_NO_SIGNATURE)
        return cls(data, client_data, origin, proof)

    def ssh_signature(self, key: PublicKey, namespace: str) -> str:
        """Return it as an armored SSH signature of this key in a namespace (PROTOCOL.sshsig, PROTOCOL.u2f)."""
        flags, counter = self.authenticator_data[_RP_HASH], self.authenticator_data[_RP_HASH + 1 : _HEAD]
        touch = Touch(flags, int.from_bytes(counter, "big"))
        assertion = Assertion(self.origin, self.client_data, self.authenticator_data[_HEAD:])
        return write_signature(SshSignature(key, namespace, _HASH, WEBAUTHN, self.proof, touch, assertion))


def passkey_challenge(namespace: str, message: bytes) -> str:
    """Return, in base64, what a passkey is asked to sign: the bytes that an SSH signature signs of a message."""
    return base64.b64encode(signed_data(namespace, _HASH, message)).decode()


def passkey_signature(
    assertion: PasskeyAssertion, keys: Iterable[PublicKey], namespace: str, message: bytes
) -> str | None:
    """Return the SSH signature of the key of these that made the assertion for this message; None where none did.

    An assertion does not name its key, so each passkey of the person is tried.
    """
    for key in keys:
        if key.type == SK_ECDSA:
            text = assertion.ssh_signature(key, namespace)
            try:
                # As it is read from a grant, since its text alone is kept.
                if verify(parse_signature(text), key, namespace, message):
                    return text
            except SignatureFormatError:
                continue
    return None


def passkey_key(spki: str, rp_id: str) -> PublicKey:
    """Return the key of a new passkey, from what `getPublicKey` returned, in base64. Raises `PasskeyError`."""
    none = "the browser sent no public key of a passkey"
    try:
        key = load_der_public_key(_decode(spki, none))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PasskeyError(none) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise PasskeyError("this passkey has no ES256 key, which SSH signatures need: use another one")
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return parse_public_key(encode_key(SK_ECDSA, point, rp_id))


def _decode(text: str, wrong: str) -> bytes:
    if not 0 < len(text) <= _MOST:
        raise PasskeyError(wrong)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PasskeyError(wrong) from error
