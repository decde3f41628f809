"""A passkey without a browser: what an authenticator and a browser answer together, made by hand (WebAuthn Level 2).

Standing: for the demo, and for tests that must choose each byte; that real browsers answer so, tests/browser shows.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PRESENT, VERIFIED = 0x01, 0x04


@dataclass(frozen=True, slots=True)
class SoftPasskey:
    """One key of an RP."""

    rp_id: str = "bailiwick.localhost"
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def spki(self) -> str:
        """What `getPublicKey` returns, in base64."""
        return _text(self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def answer(
        self,
        challenge: bytes,
        origin: str,
        *,
        flags: int = PRESENT | VERIFIED,
        counter: int = 0,
        kind: str = "webauthn.get",
        rp_id: str | None = None,
        **more: object,
    ) -> dict[str, str]:
        """Return the fields of a form that `credentials.get` fills. `more` are members of the client data."""
        told = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        client = {"type": kind, "challenge": told, "origin": origin, "crossOrigin": False, **more}
        client_data = json.dumps(client, separators=(",", ":")).encode()
        rp_hash = hashlib.sha256((rp_id or self.rp_id).encode()).digest()
        data = rp_hash + bytes([flags]) + counter.to_bytes(4, "big")
        signature = self.private.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        return {"authenticator": _text(data), "client": _text(client_data), "signature": _text(signature)}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
