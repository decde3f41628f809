"""Where a log of tiles has its entries, and what is in a bundle of them.

Source: C2SP tlog-tiles. Holds: a bundle is read as a whole or not at all; nothing is read beyond its bounds.
"""

from typing import Final

CHECKPOINT: Final = "checkpoint"
"""The path of the checkpoint below the place of a log."""
FULL_WIDTH: Final = 256
"""How many entries each bundle has but the last."""
_LENGTH: Final = 2
MOST_ENTRY: Final = 0xFFFF
"""How long an entry can be, in bytes."""
MOST_BUNDLE: Final = FULL_WIDTH * (_LENGTH + MOST_ENTRY)
"""How large a bundle can be, in bytes."""


class BundleError(ValueError):
    """Bytes that are not a bundle of so many entries. Its text says why."""


def bundle_path(number: int, width: int = FULL_WIDTH) -> str:
    """Return where the bundle of this number, from 0, is while it has so many entries."""
    digits = str(number)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    *above, last = (digits[at : at + 3] for at in range(0, len(digits), 3))
    partial = "" if width == FULL_WIDTH else f".p/{width}"
    return "/".join(["tile/entries", *(f"x{group}" for group in above), f"{last}{partial}"])


def entries_of(bundle: bytes, width: int) -> list[bytes]:
    """Return the entries of a bundle with exactly so many. Raises `BundleError`."""
    found: list[bytes] = []
    at = 0
    while at < len(bundle) and len(found) < width:
        begin = at + _LENGTH
        at = begin + int.from_bytes(bundle[at:begin], "big")
        if begin > len(bundle) or at > len(bundle):
            message = f"it ends in the middle of entry {len(found)}"
            raise BundleError(message)
        found.append(bundle[begin:at])
    if len(found) < width:
        message = f"it has {len(found)} entries in place of {width}"
        raise BundleError(message)
    if at < len(bundle):
        message = f"it has more bytes than {width} entries"
        raise BundleError(message)
    return found
