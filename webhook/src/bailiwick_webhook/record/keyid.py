"""What tells the key of the record's HMACs from the one before it. Holds: nobody learns the key from it."""

import hashlib
import hmac


def key_id(key: bytes) -> str:
    """Return the eight hexadecimal digits that stand before each HMAC of this key."""
    return hmac.new(key, b"bailiwick record key", hashlib.sha256).hexdigest()[:8]
