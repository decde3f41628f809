"""The header with which the operator authenticates at the status port of the decision point.

Standing: only the two processes read the Secret of the signing keys. The status port serves plain HTTP to kubelets and
Prometheus, and has no certificate in some installations. Holds: nothing secret is sent. A header is valid for one path
and one body, for `LIFETIME` seconds. It reserves a place for the operator, and admits the checkpoints of the operator's
log to the chain. The operator gets no answer that other clients of the port do not get.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from bailiwick_api.signingkeys import SigningKey

HEADER: Final = "X-Bailiwick-Operator"
LIFETIME: Final = 90
"""Seconds by which the time of a header may differ from ours, either way: clocks may be 30 s apart."""
_PURPOSE: Final = b"bailiwick status port 1"
_LONGEST: Final = 300
_PARTS: Final = 4


@dataclass(frozen=True, slots=True)
class StatusProof:
    """A parsed header. Nothing in it is trusted before `proves` returns true. `body` is a SHA-256 in hex."""

    kid: str
    time: int
    body: str
    mac: str

    @classmethod
    def parse(cls, header: str | None) -> "StatusProof | None":
        """Parse a header; None if it is malformed."""
        parts = header.split(" ") if header is not None and header.isascii() and len(header) <= _LONGEST else []
        if len(parts) != _PARTS or not parts[1].isdecimal():
            return None
        return cls(parts[0], int(parts[1]), parts[2], parts[3])

    def proves(self, key: SigningKey, path: str, now: float) -> bool:
        """Tell whether the holder of this key wrote it for this path within `LIFETIME`."""
        made = _mac(key, path, self.time, self.body)
        return abs(now - self.time) <= LIFETIME and hmac.compare_digest(made, self.mac)


def header_for(key: SigningKey, path: str, body: bytes, now: float) -> str:
    """Return the value of the header for a request to this path with this body."""
    digest = body_digest(body)
    return f"{key.kid} {int(now)} {digest} {_mac(key, path, int(now), digest)}"


def body_digest(body: bytes) -> str:
    """Return the digest of a body, as a header has it."""
    return hashlib.sha256(body).hexdigest()


def _mac(key: SigningKey, path: str, time: int, body: str) -> str:
    # A key derived for this purpose: a MAC from here is valid for nothing else.
    own = hmac.digest(key.pem.encode(), _PURPOSE, "sha256")
    return hmac.digest(own, f"{path}\n{time}\n{body}".encode(), "sha256").hex()
