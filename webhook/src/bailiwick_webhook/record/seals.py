"""Seals: what stands in a record for a value that must not be read, and which values are plain enough to be written.

Standing: under `evidence`. Holds: without a key nothing is left of a value but a mark.
"""

import math
import re
from typing import Any, Final

from bailiwick_evidence.seal import key_id, seal_of

_MEMBERS: Final = 16
PLAIN_CHARACTERS: Final = 256
LARGE: Final = 2**63
_HALF: Final = re.compile("[\ud800-\udfff]")
_REDACTED: Final = {"redacted": True}


class ValueSealer:
    """Takes the place of values that must not be read. `key` None: nothing is left of them but a mark."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        # Tells which key it was, once there is another.
        self._id = "" if key is None else key_id(key)

    def seal(self, name: str, held: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        """Return what stands for a value: equal only for equal values under the same name."""
        if self._key is None:
            return _REDACTED
        told = seal_of(self._key, name, held)
        return _REDACTED if told is None else {"hmac": f"{self._id}:{told}"}


def is_plain(held: object) -> bool:
    """Tell whether a value is short and simple enough to be written as it is."""
    if isinstance(held, list):
        return len(held) <= _MEMBERS and all(map(_scalar, held))
    return _scalar(held)


def _scalar(held: object) -> bool:
    if isinstance(held, str):
        # Half a character has no bytes to be written.
        return len(held) <= PLAIN_CHARACTERS and (held.isascii() or not _HALF.search(held))
    if isinstance(held, int):
        # A token's claims may hold larger ones, and JSON is written with those of 64 bits.
        return -LARGE <= held < LARGE
    return held is None or (isinstance(held, float) and math.isfinite(held))
