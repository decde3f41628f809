"""Seals: the HMAC that stands in a record for a value that must not be read. The one rule of how it is made.

Standing: under the decision point, which writes seals, and the command line, which checks a value that somebody gives.
Holds: equal only for equal values of one name under one key; nobody learns a value or the key from it.
"""

import hashlib
import hmac
from typing import Any, Final

from bailiwick_engine.approval.binding import NotCanonicalError, canonical

KEY_BYTES: Final = 32
"""So many bytes a key needs at least."""


def key_in(held: bytes) -> bytes | None:
    """Return the key that a file holds, without the white space around it; None if that is too short for one."""
    key = held.strip()
    return key if len(key) >= KEY_BYTES else None


def key_id(key: bytes) -> str:
    """Return the eight hexadecimal digits that stand before each HMAC of this key, and tell it from the one before."""
    return hmac.new(key, b"bailiwick record key", hashlib.sha256).hexdigest()[:8]


def seal_of(key: bytes, name: str, value: Any) -> str | None:  # noqa: ANN401 - any JSON
    """Return the HMAC of an attribute's value, as hexadecimal digits; None if the value has no canonical form."""
    try:
        text = canonical(value)
    except NotCanonicalError:
        return None
    return hmac.new(key, name.encode() + b"\0" + text, hashlib.sha256).hexdigest()
