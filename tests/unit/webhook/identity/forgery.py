"""Tokens of every make, also of those that no library would write: any header, any payload, any signature.

Holds: `compact` writes what it is given, byte for byte; what signs it is a function of the signing input.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, RSAKey

Sign = Callable[[bytes], bytes]
_HASHES: dict[str, Any] = {"256": SHA256, "384": SHA384, "512": SHA512}


def part(value: object) -> str:
    """Encode one part: text and bytes as they are, anything else as JSON."""
    raw = (
        value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else json.dumps(value).encode()
    )
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact(header: object, payload: object, sign: Sign) -> str:
    """Return a compact JWS of these parts."""
    signed = f"{part(header)}.{part(payload)}"
    return f"{signed}.{part(sign(signed.encode()))}"


def signing(key: RSAKey | ECKey, algorithm: str) -> Sign:
    """Return what signs by this key and algorithm, whether they fit each other or not."""
    private = key.private_key
    digest = _HASHES[algorithm[2:]]()

    def sign(data: bytes) -> bytes:
        if isinstance(private, rsa.RSAPrivateKey):
            if algorithm.startswith("PS"):
                return private.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
            return private.sign(data, padding.PKCS1v15(), digest)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(private.sign(data, ec.ECDSA(digest)))
        size = (private.key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return sign


def with_secret(secret: bytes) -> Sign:
    """Return what signs by HMAC, as a confused verifier would check it with a public key for a secret."""
    return lambda data: hmac.new(secret, data, hashlib.sha256).digest()


def pem(key: RSAKey | ECKey) -> bytes:
    """Return the public key as text, the usual secret of that confusion."""
    return key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
