"""SSH signatures: the armored text, what it holds, and whether a key made it over a message.

Standing: over `publickey`. Source: PROTOCOL.sshsig; PROTOCOL.u2f for security keys and WebAuthn assertions. Holds: one
signature has one encoding but for where its lines break; `verify` accepts nothing that `ssh-keygen -Y verify` refuses.
It says who signed what; whether the key may is for `reviewsignature` and `registrars`.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA as ECDSA_WITH, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from bailiwick_engine.signatures.publickey import (
    ECDSA,
    ED25519,
    RSA,
    SK_ECDSA,
    SK_ED25519,
    PublicKey,
    PublicKeyError,
    decode_base64,
    parse_public_key,
)
from bailiwick_engine.signatures.wire import WireError, WireReader, encode_mpint, encode_string, encode_strings

BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
END: Final = "-----END SSH SIGNATURE-----"
MOST_CHARACTERS: Final = 4_096
WEBAUTHN: Final = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"
USER_PRESENT: Final = 0x01
USER_VERIFIED: Final = 0x04
_ATTESTED: Final = 0x40
_EXTENDED: Final = 0x80
_MAGIC: Final = b"SSHSIG"
_VERSION: Final = 1
_WIDTH: Final = 70
_ARMOR: Final = re.compile(f"{BEGIN}\n((?:[A-Za-z0-9+/=]+\n)+){END}\n?")
_HASHES: Final = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_ECDSA_HASHES: Final[dict[str, HashAlgorithm]] = {
    f"{ECDSA}nistp256": SHA256(),
    f"{ECDSA}nistp384": SHA384(),
    f"{ECDSA}nistp521": SHA512(),
    SK_ECDSA: SHA256(),
    WEBAUTHN: SHA256(),
}
_RSA_HASHES: Final[dict[str, HashAlgorithm]] = {"rsa-sha2-256": SHA256(), "rsa-sha2-512": SHA512()}
# By algorithm, the type of the key. SHA-1 (`ssh-rsa`) is none of them.
_KEY_TYPES: Final = {ED25519: ED25519, SK_ED25519: SK_ED25519, **dict.fromkeys(_RSA_HASHES, RSA)} | {
    name: SK_ECDSA if name == WEBAUTHN else name for name in _ECDSA_HASHES
}
_OF_SECURITY_KEYS: Final = frozenset({SK_ED25519, SK_ECDSA, WEBAUTHN})


class SignatureFormatError(ValueError):
    """A text that is no SSH signature that Bailiwick takes. Its text says why."""


@dataclass(frozen=True, slots=True)
class Touch:
    """What a security key says of how it signed: flags of the user's presence and verification, and its counter."""

    flags: int
    counter: int


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a browser adds: the origin, the client data that it hashed, and the authenticator's extensions (CBOR)."""

    origin: str
    client_data: bytes
    extensions: bytes = b""


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A signature as it was read. `proof` is of RSA and Ed25519 their bytes, of ECDSA the integers r and s.

    `touch` is of security keys, `assertion` of passkeys.
    """

    key: PublicKey
    namespace: str
    hash_name: str
    algorithm: str
    proof: bytes | tuple[int, int]
    touch: Touch | None = None
    assertion: Assertion | None = None


def signed_data(namespace: str, hash_name: str, message: bytes) -> bytes:
    """Return the bytes that are signed in place of a message. With a passkey they are the challenge."""
    digest = _HASHES[hash_name](message).digest()
    return _MAGIC + encode_strings(namespace, b"", hash_name, digest)


def write_signature(signature: SshSignature) -> str:
    """Return the armored text of a signature, as `ssh-keygen` breaks its lines."""
    encoded = base64.b64encode(_encode(signature)).decode()
    lines = (encoded[start : start + _WIDTH] for start in range(0, len(encoded), _WIDTH))
    return "\n".join((BEGIN, *lines, END, ""))


def parse_signature(text: str) -> SshSignature:
    """Read an armored signature. Raises `SignatureFormatError`."""
    if len(text) > MOST_CHARACTERS:
        message = f"it has {len(text)} characters, but a signature has at most {MOST_CHARACTERS}"
        raise SignatureFormatError(message)
    match = _ARMOR.fullmatch(text)
    blob = None if match is None else decode_base64(match[1].replace("\n", ""))
    if blob is None:
        message = f"it is not an armored SSH signature: {BEGIN}, lines of base64, {END}"
        raise SignatureFormatError(message)
    try:
        return _read(blob)
    except (WireError, PublicKeyError) as error:
        raise SignatureFormatError(str(error)) from error


def verify(signature: SshSignature, key: PublicKey, namespace: str, message: bytes) -> bool:
    """Tell whether this key made this signature over a message, in this namespace.

    An assertion must be `webauthn.get` over this very challenge; where it was made, and if a user was verified, is for
    the caller to judge.
    """
    if signature.key.blob != key.blob or signature.namespace != namespace:
        return False
    data = signed_data(namespace, signature.hash_name, message)
    if signature.assertion is not None and not _is_assertion_of(signature, data):
        return False
    if signature.touch is not None:
        data = _authenticator_data(key, signature.touch, signature.assertion) + _hashed_message(signature, data)
    try:
        _check(signature, key, data)
    except InvalidSignature:
        return False
    return True


def _check(signature: SshSignature, key: PublicKey, data: bytes) -> None:
    """Raise `InvalidSignature` unless the key signed this data."""
    proof, verifier = signature.proof, key.verifier
    if isinstance(proof, tuple):
        if not isinstance(verifier, EllipticCurvePublicKey) or 0 in proof:
            raise InvalidSignature
        verifier.verify(encode_dss_signature(*proof), data, ECDSA_WITH(_ECDSA_HASHES[signature.algorithm]))
    elif isinstance(verifier, RSAPublicKey):
        verifier.verify(proof, data, PKCS1v15(), _RSA_HASHES[signature.algorithm])
    elif isinstance(verifier, Ed25519PublicKey):
        verifier.verify(proof, data)
    else:
        raise InvalidSignature


def _authenticator_data(key: PublicKey, touch: Touch, assertion: Assertion | None) -> bytes:
    application = hashlib.sha256((key.application or "").encode()).digest()
    extensions = b"" if assertion is None else assertion.extensions
    return application + bytes([touch.flags]) + touch.counter.to_bytes(4, "big") + extensions


def _hashed_message(signature: SshSignature, data: bytes) -> bytes:
    return hashlib.sha256(data if signature.assertion is None else signature.assertion.client_data).digest()


def _is_assertion_of(signature: SshSignature, challenge: bytes) -> bool:
    """Tell whether an assertion begins as a browser serializes it for this challenge (WebAuthn section 5.8.1.1)."""
    assertion, touch = signature.assertion, signature.touch
    if assertion is None or touch is None or '"' in assertion.origin:
        return False
    if touch.flags & _ATTESTED or bool(touch.flags & _EXTENDED) != bool(assertion.extensions):
        return False
    spelled = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
    begins = f'{{"type":"webauthn.get","challenge":"{spelled}","origin":"{assertion.origin}"'
    return assertion.client_data.startswith(begins.encode())


def _read(blob: bytes) -> SshSignature:
    reader = WireReader(blob)
    if reader.take(len(_MAGIC)) != _MAGIC or reader.uint32() != _VERSION:
        message = "it is not version 1 of SSH signatures"
        raise WireError(message)
    key = parse_public_key(reader.string())
    namespace, reserved, hash_name, held = reader.text(), reader.string(), reader.text(), reader.string()
    reader.end()
    if reserved or hash_name not in _HASHES:
        message = "its hash is neither sha256 nor sha512, or it has a reserved part"
        raise WireError(message)
    inner = WireReader(held)
    algorithm = inner.text()
    if _KEY_TYPES.get(algorithm) != key.type:
        message = f"signatures {algorithm} of keys {key.type} are not accepted"
        raise WireError(message)
    proof = _integers(inner.string()) if algorithm in _ECDSA_HASHES else inner.string()
    touch = Touch(inner.byte(), inner.uint32()) if algorithm in _OF_SECURITY_KEYS else None
    assertion = Assertion(inner.text(), inner.string(), inner.string()) if algorithm == WEBAUTHN else None
    inner.end()
    return SshSignature(key, namespace, hash_name, algorithm, proof, touch, assertion)


def _integers(held: bytes) -> tuple[int, int]:
    reader = WireReader(held)
    pair = reader.mpint(), reader.mpint()
    reader.end()
    return pair


def _encode(signature: SshSignature) -> bytes:
    proof, touch, assertion = signature.proof, signature.touch, signature.assertion
    held = encode_mpint(proof[0]) + encode_mpint(proof[1]) if isinstance(proof, tuple) else proof
    inner = encode_string(signature.algorithm) + encode_string(held)
    if touch is not None:
        inner += bytes([touch.flags]) + touch.counter.to_bytes(4, "big")
    if assertion is not None:
        inner += encode_strings(assertion.origin, assertion.client_data, assertion.extensions)
    parts = encode_strings(signature.key.blob, signature.namespace, b"", signature.hash_name, inner)
    return _MAGIC + _VERSION.to_bytes(4, "big") + parts
