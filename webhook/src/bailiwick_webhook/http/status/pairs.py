"""What the operator asks of many policies at once: pairs of a uid and a number.

Standing: under `served` and `usage`. Holds: anybody may send such a body, so how many pairs it has is known before any
is made into an object.
"""

from typing import Final

import msgspec

MOST_PAIRS: Final = 10_000
# Of each the uid, which has 36 letters, the number, and what stands around them.
MOST_BYTES: Final = 64 * MOST_PAIRS
_PAIRS: Final = msgspec.json.Decoder(list[tuple[str, int]])


def parse(raw: bytes) -> list[tuple[str, int]]:
    """Parse the pairs of a body. Raises `msgspec.MsgspecError`."""
    # No uid has a bracket in it.
    if raw.count(b"[") > MOST_PAIRS + 1:
        message = f"it has more than {MOST_PAIRS} pairs"
        raise msgspec.ValidationError(message)
    return _PAIRS.decode(raw)
