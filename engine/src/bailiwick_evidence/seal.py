"""Seals: the HMAC that replaces a value in a record that must not be read. Only this module computes it.

Standing: under the decision point, which writes seals, and the command line, which checks a given value against one.
Holds: seals are equal only for equal values of one name under one key. A seal reveals neither the value nor the key.
"""

import hashlib
import hmac
from typing import Any, Final

from bailiwick_engine.canonicaljson import NotCanonicalError, canonical

KEY_BYTES: Final = 32
"""The minimum length of a key in bytes."""


def key_in(held: bytes) -> bytes | None:
    """Return the key in a file, without surrounding white space; None if it is too short."""
    key = held.strip()
    return key if len(key) >= KEY_BYTES else None


def key_id(key: bytes) -> str:
    """Return the eight hexadecimal digits before each HMAC of this key, which distinguish it from an earlier key."""
    return hmac.new(key, b"bailiwick record key", hashlib.sha256).hexdigest()[:8]


def seal_of(key: bytes, name: str, value: Any) -> str | None:  # noqa: ANN401 - any JSON
    """Return the HMAC of an attribute's value, as hexadecimal digits; None if the value has no canonical form."""
    try:
        text = canonical(value)
    except NotCanonicalError:
        return None
    return hmac.new(key, name.encode() + b"\0" + text, hashlib.sha256).hexdigest()
