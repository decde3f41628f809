"""The signing keys of an installation, as the operator writes them to their Secret and the decision point reads them.

Holds: of the keys that have begun to sign, the youngest signs. Every key that has not ended is accepted, even before it
signs. If any part of the content cannot be read, all of it is unreadable, and no message repeats a byte of it. Callers
with a cryptographic library check whether a PEM is a key.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from bailiwick_api import secretlist
from bailiwick_api.secretlist import UnreadableListError
from bailiwick_api.times import stamp

KEYS_ENTRY: Final = "keys.json"
ALGORITHM: Final = "ES256"
CURVE: Final = "P-256"
JWKS_MAX_AGE: Final = timedelta(seconds=300)
"""How long clients can cache the published keys."""
MAX_TOKEN_LIFETIME: Final = timedelta(hours=24)
"""No token signed with these keys is valid longer: it is the maximum window of a grant."""
MAX_SKEW: Final = timedelta(seconds=60)
"""How far the clocks of our processes and of a client may be apart in total."""
MAX_KEYS: Final = secretlist.MOST
_COORDINATE: Final = 32


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key. `kid` is its RFC 7638 thumbprint, `pem` the private key in PKCS8. `until` None: it has no successor."""

    kid: str
    pem: str = field(repr=False)
    created: datetime
    sign_from: datetime
    until: datetime | None

    @property
    def age(self) -> tuple[datetime, datetime, str]:
        """The order of the keys, the same for every reader."""
        return (self.sign_from, self.created, self.kid)

    def is_accepted(self, now: datetime) -> bool:
        """Tell whether its signatures are accepted at this moment."""
        return self.until is None or now < self.until


def signing(keys: Iterable[SigningKey], now: datetime) -> SigningKey | None:
    """Return the key that signs at this moment: the youngest that has begun and not ended; None if there is none."""
    candidates = [key for key in keys if key.sign_from <= now and key.is_accepted(now)]
    return max(candidates, key=lambda key: key.age, default=None)


def read_keys(data: Mapping[str, Any] | None) -> tuple[SigningKey, ...]:
    """Return the keys of a Secret's `data`, which is base64. Raises `UnreadableListError`."""
    keys = tuple(_key(index, entry) for index, entry in enumerate(secretlist.read_list(data, KEYS_ENTRY, "keys")))
    if len({key.kid for key in keys}) != len(keys):
        raise UnreadableListError(f"{KEYS_ENTRY} has a duplicate key")
    return keys


def secret_data(keys: Iterable[SigningKey]) -> dict[str, str]:
    """Return the entry of a Secret's `data` that holds these keys."""
    entries = [
        {
            "kid": key.kid,
            "pem": key.pem,
            "createdTime": stamp(key.created),
            "signFromTime": stamp(key.sign_from),
            "untilTime": None if key.until is None else stamp(key.until),
        }
        for key in keys
    ]
    return secretlist.secret_entry(KEYS_ENTRY, entries)


def thumbprint(x: int, y: int) -> str:
    """Return the RFC 7638 thumbprint of the public key at this point of P-256."""
    members = {"crv": CURVE, "kty": "EC", "x": _coordinate(x), "y": _coordinate(y)}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _coordinate(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(_COORDINATE)).rstrip(b"=").decode()


def _key(index: int, entry: Mapping[str, Any]) -> SigningKey:
    kid, pem, until = entry.get("kid"), entry.get("pem"), entry.get("untilTime")
    if not isinstance(kid, str) or not isinstance(pem, str):
        raise UnreadableListError(f"{secretlist.place(KEYS_ENTRY, index)} has no kid or no pem")
    return SigningKey(
        kid,
        pem,
        secretlist.time(KEYS_ENTRY, index, entry.get("createdTime")),
        secretlist.time(KEYS_ENTRY, index, entry.get("signFromTime")),
        None if until is None else secretlist.time(KEYS_ENTRY, index, until),
    )
