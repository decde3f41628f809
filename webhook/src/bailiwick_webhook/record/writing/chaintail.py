"""Which chain the lines of a file were last of: a new chain that goes into the same file names it.

Standing: beside `chainlog`. Holds: it is read once, when the file is opened, and no more than its end; a chain that is
named is never gone on with.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from bailiwick_evidence.chain import body, link
from bailiwick_evidence.merkle import leaf_hash

# A few of the longest lines there are.
_MOST_BYTES: Final = 256 * 1024


class ChainTail(NamedTuple):
    """A chain, and the number and leaf hash (32 bytes) of its latest line."""

    id: str
    seq: int
    head: bytes


def chain_tail(path: Path) -> ChainTail | None:
    """Return what the last whole line of a chain says; None if there is none near the end. Raises `OSError`."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _MOST_BYTES))
        lines = file.read(_MOST_BYTES).split(b"\n")
    # Of what was cut off nothing is known; but where nothing but its newline is missing, the line is whole.
    for line in reversed(lines):
        found = link(line)
        if found is not None and _whole(line):
            return ChainTail(found.id, found.seq, leaf_hash(line))
    return None


def _whole(line: bytes) -> bool:
    try:
        orjson.loads(body(line))
    except orjson.JSONDecodeError:
        return False
    return True
