"""Public keys of OpenSSH, and the fingerprint that people compare.

Standing: over `wire`. Source: RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4, PROTOCOL.u2f. Holds: a
key has one encoding, and a `PublicKey` that exists can verify. Keys for which everybody knows how to sign are refused.
"""

import base64
import binascii
import hashlib
import math
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from bailiwick_engine.signatures.wire import WireError, WireReader, encode_mpint, encode_string

ED25519: Final = "ssh-ed25519"
RSA: Final = "ssh-rsa"
SK_ED25519: Final = "sk-ssh-ed25519@openssh.com"
SK_ECDSA: Final = "sk-ecdsa-sha2-nistp256@openssh.com"
ECDSA: Final = "ecdsa-sha2-"
CURVES: Final[dict[str, EllipticCurve]] = {"nistp256": SECP256R1(), "nistp384": SECP384R1(), "nistp521": SECP521R1()}
TYPES: Final = (ED25519, SK_ED25519, SK_ECDSA, *(f"{ECDSA}{curve}" for curve in CURVES), RSA)
RSA_BITS: Final = (2_048, 8_192)
"""Fewer can be broken; to verify with more takes long."""
_RSA_EXPONENT_BITS: Final = 33
_ED25519_BYTES: Final = 32
_UNCOMPRESSED: Final = 4
_ED25519_PRIME: Final = 2**255 - 19
_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER: Final = frozenset({0, 1, _ED25519_PRIME - 1, _ORDER_8, _ED25519_PRIME - _ORDER_8})
"""The y of each point of edwards25519 whose order divides 8: by such a key, one signature is over every statement."""
_SMALL_PRIMES: Final = math.prod(n for n in range(2, 2**12) if all(n % d for d in range(2, math.isqrt(n) + 1)))
_LINE: Final = re.compile(r"(\S+)[ \t]+(\S+)(?:[ \t]+(.*))?")

Verifier = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey


class PublicKeyError(ValueError):
    """Text or bytes that are not a public key that Bailiwick takes. Its text says why."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key by its wire format. `material` is what is the same of a key under all of its types and applications.

    `application` is the one that a security key is bound to, with a passkey the id of the relying party; None: it is a
    key that is held elsewhere.
    """

    type: str
    blob: bytes
    material: bytes
    application: str | None = None

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it: `SHA256:` and unpadded base64."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).rstrip(b"=").decode()

    def __str__(self) -> str:
        """Return type and base64, as in a file of public keys."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"

    @property
    def verifier(self) -> Verifier:
        """Return what verifies with it."""
        reader = WireReader(self.material)
        if self.type == RSA:
            return RSAPublicNumbers(reader.mpint(), reader.mpint()).public_key()
        if self.type in {ED25519, SK_ED25519}:
            return Ed25519PublicKey.from_public_bytes(self.material)
        curve = CURVES["nistp256" if self.type == SK_ECDSA else self.type.removeprefix(ECDSA)]
        return EllipticCurvePublicKey.from_encoded_point(curve, self.material)


def parse_public_key(blob: bytes) -> PublicKey:
    """Read the wire format of a key. Raises `PublicKeyError`."""
    try:
        found = _read(blob)
        key = found.verifier
    except (WireError, ValueError, UnsupportedAlgorithm) as error:
        if isinstance(error, PublicKeyError):
            raise
        message = f"not a public key: {error}"
        raise PublicKeyError(message) from error
    if isinstance(key, RSAPublicKey) and not RSA_BITS[0] <= key.key_size <= RSA_BITS[1]:
        message = f"an RSA key must have {RSA_BITS[0]} to {RSA_BITS[1]} bits, but this has {key.key_size}"
        raise PublicKeyError(message)
    return found


def _read(blob: bytes) -> PublicKey:
    reader = WireReader(blob)
    kind = reader.text()
    application = None
    if kind in {ED25519, SK_ED25519}:
        material = reader.string()
        if len(material) != _ED25519_BYTES:
            message = f"an Ed25519 key has {_ED25519_BYTES} bytes"
            raise WireError(message)
        _check_ed25519(material)
    elif kind == RSA:
        exponent, modulus = reader.mpint(), reader.mpint()
        if exponent.bit_length() > _RSA_EXPONENT_BITS:
            message = "the exponent of an RSA key is too large"
            raise WireError(message)
        if math.gcd(modulus, _SMALL_PRIMES) != 1 or math.isqrt(modulus) ** 2 == modulus:
            message = "everybody can sign with this RSA key, since its modulus has a factor that is found at once"
            raise WireError(message)
        material = encode_mpint(exponent) + encode_mpint(modulus)
    elif kind in TYPES:
        curve, material = reader.text(), reader.string()
        if curve != ("nistp256" if kind == SK_ECDSA else kind.removeprefix(ECDSA)) or material[:1] != bytes(
            [_UNCOMPRESSED]
        ):
            message = "its curve is another one, or its point is compressed"
            raise WireError(message)
    else:
        message = f"keys of type {kind} are not accepted: use one of {', '.join(TYPES)}"
        raise PublicKeyError(message)
    if kind in {SK_ED25519, SK_ECDSA}:
        application = reader.text()
    reader.end()
    return PublicKey(kind, blob, material, application)


def _check_ed25519(material: bytes) -> None:
    """Raise `WireError` if everybody can sign with a key, or it is spelled in a second way (RFC 8032 section 5.1.3)."""
    y = int.from_bytes(material, "little") % 2**255
    if y % _ED25519_PRIME in _SMALL_ORDER:
        message = "everybody can sign with this Ed25519 key, since its point has a small order"
        raise WireError(message)
    if y >= _ED25519_PRIME:
        message = "its encoding is not canonical"
        raise WireError(message)


def parse_key_text(kind: str, encoded: str) -> PublicKey:
    """Read a key as files have it: its type, and its wire format in base64. Raises `PublicKeyError`."""
    blob = decode_base64(encoded)
    if blob is None:
        message = "a public key must be in canonical base64"
        raise PublicKeyError(message)
    found = parse_public_key(blob)
    if found.type != kind:
        message = f"the key is of type {found.type}, not {kind}"
        raise PublicKeyError(message)
    return found


def parse_key_line(line: str) -> PublicKey:
    """Read a line of a `.pub` file: type, base64, and a comment that is skipped. Raises `PublicKeyError`."""
    match = _LINE.fullmatch(line)
    if match is None:
        message = "not a public key: write its type and its base64, as in a .pub file"
        raise PublicKeyError(message)
    return parse_key_text(match[1], match[2])


def decode_base64(text: str) -> bytes | None:
    """Return what a text is the one base64 encoding of; None where it is none."""
    try:
        held = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return held if base64.b64encode(held).decode() == text else None


def encode_key(kind: str, material: bytes, application: str | None = None) -> bytes:
    """Return the wire format of an Ed25519 or ECDSA key from its 32 bytes or its uncompressed point."""
    curve = (
        b""
        if kind in {ED25519, SK_ED25519}
        else encode_string("nistp256" if kind == SK_ECDSA else kind.removeprefix(ECDSA))
    )
    bound = b"" if application is None else encode_string(application)
    return encode_string(kind) + curve + encode_string(material) + bound
