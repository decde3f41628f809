"""A token as text: a compact JWS (RFC 7515, 7.1) that carries claims (RFC 7519), taken apart strictly.

Holds: nothing that is read here is believed yet; a header that would choose the key by itself, change what is signed or
hide another token is refused (RFC 8725, 2.7 and 3.1 to 3.11), so that no URL in a token is ever looked at.
"""

import base64
import binascii
import hashlib
import string
from typing import Any, Final

import msgspec

from bailiwick_process.ijson import strict

MAX_TOKEN: Final = 16_384
_MAX_KID: Final = 256
_COUNT: Final = 3
_ALPHABET: Final = (string.ascii_letters + string.digits + "-_").encode("ascii")
# `crit` and `b64` change what a signature covers; `jku`, `x5u`, `jwk`, `x5c` bring keys along; the others encrypt.
_REFUSED: Final = frozenset({"crit", "b64", "jku", "x5u", "jwk", "x5c", "zip", "enc", "epk"})


class CompactToken(msgspec.Struct, frozen=True, gc=False):
    """What a token says of itself. `type` is `typ` in lower case without `application/`, and `jwt` where it is absent.

    `digest` stands for the token wherever something about it is kept.
    """

    token: str
    digest: bytes
    algorithm: str
    kid: str | None
    type: str
    claims: dict[str, Any]

    @property
    def issuer(self) -> str | None:
        """Who is said to have issued it; it only chooses who verifies."""
        found = self.claims.get("iss")
        return found if isinstance(found, str) else None


def parse(token: str) -> CompactToken | None:
    """Take a token apart; None where it is not one that could be verified here."""
    parts = _parts(token) if len(token) <= MAX_TOKEN else None
    if parts is None:
        return None
    header, claims = _object(parts[0]), _object(parts[1])
    if header is None or claims is None or not _REFUSED.isdisjoint(header):
        return None
    algorithm, kid, kind, content = (header.get(name) for name in ("alg", "kid", "typ", "cty"))
    if not isinstance(algorithm, str) or not isinstance(kid, str | None) or len(kid or "") > _MAX_KID:
        return None
    # A `cty` says that the payload is a token again (RFC 7519, 5.2): we take claims only.
    if not isinstance(kind, str | None) or content is not None:
        return None
    return CompactToken(
        token,
        digest_of(token),
        algorithm,
        kid,
        (kind or "JWT").lower().removeprefix("application/"),
        claims,
    )


def digest_of(token: str) -> bytes:
    """Return what stands for a token. It need not be one: a header may hold any bytes, lone surrogates too."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _parts(token: str) -> list[bytes] | None:
    """Return header, payload and signature as they are written: three parts of base64url, none of them empty."""
    try:
        parts = token.encode("ascii").split(b".")
    except UnicodeEncodeError:
        return None
    # What is left without the letters of base64url is what should not be there.
    return parts if len(parts) == _COUNT and all(parts) and not b"".join(parts).translate(None, _ALPHABET) else None


def _object(part: bytes) -> dict[str, Any] | None:
    """Decode one part: base64url of a JSON object without duplicate members and lone surrogates."""
    try:
        raw = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
        return strict.parse_unbounded(raw)
    except (binascii.Error, strict.JsonError):
        return None
