"""The signing keys of an installation, as the operator writes them to their Secret and the decision point reads them.

Holds: of the keys that have begun to sign, the youngest signs, and every key that has not ended is accepted, before it
signs too; content of which any part cannot be read is unreadable as a whole. What is wrong is said without a byte of
the content. Whether a PEM is a key is for those to say who have a library for it.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

KEYS_ENTRY: Final = "keys.json"
ALGORITHM: Final = "ES256"
CURVE: Final = "P-256"
JWKS_MAX_AGE: Final = timedelta(seconds=300)
"""For how long clients may keep the published keys."""
MAX_TOKEN_LIFETIME: Final = timedelta(hours=24)
"""No token that is signed by these keys lives longer: a grant's window has at most that."""
MAX_SKEW: Final = timedelta(seconds=60)
"""How far the clocks of our processes and of a client may be apart, taken together."""
MAX_KEYS: Final = 16
_COORDINATE: Final = 32


class UnreadableKeysError(ValueError):
    """The content is not what the operator writes; the message says where, and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key. `kid` is its RFC 7638 thumbprint, `pem` the private key in PKCS8. `until` None: while it is the last."""

    kid: str
    pem: str = field(repr=False)
    created: datetime
    sign_from: datetime
    until: datetime | None

    @property
    def age(self) -> tuple[datetime, datetime, str]:
        """What the keys are ordered by, the same for everybody who reads them."""
        return (self.sign_from, self.created, self.kid)

    def accepted(self, now: datetime) -> bool:
        """Tell whether what it signed is accepted at this moment."""
        return self.until is None or now < self.until


def signing(keys: Iterable[SigningKey], now: datetime) -> SigningKey | None:
    """Return the key that signs at this moment: the youngest that has begun; None where none has, or it has ended."""
    begun = [key for key in keys if key.sign_from <= now and key.accepted(now)]
    return max(begun, key=lambda key: key.age, default=None)


def read(data: Mapping[str, Any] | None) -> tuple[SigningKey, ...]:
    """Return the keys of a Secret's `data`, which is base64. Raises `UnreadableKeysError`."""
    found = (data or {}).get(KEYS_ENTRY)
    if not isinstance(found, str):
        raise UnreadableKeysError(f"there is no entry {KEYS_ENTRY}")
    try:
        listed = json.loads(base64.b64decode(found, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        # Without its cause, which would quote the content.
        raise UnreadableKeysError(f"{KEYS_ENTRY} is not JSON") from None
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_KEYS:
        raise UnreadableKeysError(f"{KEYS_ENTRY} is not a list of 1 to {MAX_KEYS} keys")
    keys = tuple(_key(index, entry) for index, entry in enumerate(listed))
    if len({key.kid for key in keys}) != len(keys):
        raise UnreadableKeysError(f"{KEYS_ENTRY} holds a key twice")
    return keys


def written(keys: Iterable[SigningKey]) -> dict[str, str]:
    """Return the entry of a Secret's `data` that holds these keys."""
    listed = [
        {
            "kid": key.kid,
            "pem": key.pem,
            "createdTime": _stamp(key.created),
            "signFromTime": _stamp(key.sign_from),
            "untilTime": None if key.until is None else _stamp(key.until),
        }
        for key in keys
    ]
    return {KEYS_ENTRY: base64.b64encode(json.dumps(listed, indent=1).encode()).decode()}


def thumbprint(x: int, y: int) -> str:
    """Return the RFC 7638 thumbprint of the public key at this point of P-256."""
    members = {"crv": CURVE, "kty": "EC", "x": _coordinate(x), "y": _coordinate(y)}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _coordinate(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(_COORDINATE)).rstrip(b"=").decode()


def _key(index: int, entry: object) -> SigningKey:
    if not isinstance(entry, dict):
        raise UnreadableKeysError(f"{KEYS_ENTRY}[{index}] is not an object")
    kid, pem, until = entry.get("kid"), entry.get("pem"), entry.get("untilTime")
    if not isinstance(kid, str) or not isinstance(pem, str):
        raise UnreadableKeysError(f"{KEYS_ENTRY}[{index}] has no kid or no pem")
    return SigningKey(
        kid,
        pem,
        _time(index, entry.get("createdTime")),
        _time(index, entry.get("signFromTime")),
        None if until is None else _time(index, until),
    )


def _time(index: int, value: object) -> datetime:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        if found is not None and found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # No time, or one that UTC's calendar does not have.
    raise UnreadableKeysError(f"{KEYS_ENTRY}[{index}] has a time that is none")


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
