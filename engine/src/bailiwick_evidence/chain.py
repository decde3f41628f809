"""The chain: how each line of a log names the one before it.

A line is a JSON object whose first member is `log: {id, seq, prev}`. `id` is the chain's, 22 characters of base64url;
`seq` counts from 0; `prev` is the leaf hash of the line before, as base64url without padding, null in the first line.
Holds: a chain is the life of one process and never goes on in another; a line is hashed without its newline.
"""

import base64
import re
from binascii import b2a_base64
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from bailiwick_evidence.merkle import Forest

MOST_BYTES: Final = 65_535
"""Of a line, without its newline: what fits into an entry of a tiled log (C2SP tlog-tiles)."""

_LINK: Final = re.compile(
    rb'\{"log":\{"id":"([A-Za-z0-9_-]{22})","seq":(0|[1-9][0-9]{0,15}),"prev":(?:null|"([A-Za-z0-9_-]{43})")\},'
)
# What `base64.urlsafe_b64encode` does, in half of its time: it is done for each line.
_URLSAFE: Final = bytes.maketrans(b"+/", b"-_")
# hashlib lets other threads run while it hashes so many bytes at once: a microsecond that costs ten to come back from.
_ALONE: Final = 2_047

_HASH: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class ChainLink(NamedTuple):
    """Where a line stands in which chain. `prev`: 32 bytes; None in the first line."""

    id: str
    seq: int
    prev: bytes | None


def chain_id(held: bytes) -> str:
    """Return 16 random bytes as the id of a chain."""
    return base64.urlsafe_b64encode(held).rstrip(b"=").decode()


def link(line: bytes) -> ChainLink | None:
    """Read where a line says that it stands; None if it says nothing of a chain. It need not be whole, or JSON."""
    found = _LINK.match(line)
    if found is None:
        return None
    prev = found[3]
    return ChainLink(found[1].decode(), int(found[2]), None if prev is None else _hash(prev))


def body(line: bytes) -> bytes:
    """Return a line of a chain as it was before it stood in one."""
    found = _LINK.match(line)
    return line if found is None else b"{" + line[found.end() :]


def hash_of(text: str) -> bytes | None:
    """Read a hash as `prev` has it; None if it is none."""
    return _hash(text.encode()) if _HASH.fullmatch(text) else None


class ChainWriter:
    """Puts lines in a chain, one after the other. Not for two threads at once.

    `forest` is over all lines, or over those behind its start where somebody gave it another; `head` is the leaf hash
    of the latest, None before the first.
    """

    __slots__ = ("_begins", "forest", "head", "id")

    def __init__(self, chain: str) -> None:
        self.id = chain
        self.forest = Forest()
        self.head: bytes | None = None
        self._begins = b'{"log":{"id":"' + chain.encode() + b'","seq":'

    @property
    def size(self) -> int:
        """How many lines there are."""
        return self.forest.size

    def append(self, line: bytes) -> bytes:
        """Take the next line, a JSON object with a member and a newline, and return it as it stands in the chain."""
        return self.extend((line,))[0]

    def extend(self, lines: Iterable[bytes]) -> list[bytes]:
        """Take the next lines, as `append` does each."""
        begins, head, seq = self._begins, self.head, self.forest.size
        made: list[bytes] = []
        leaves: list[bytes] = []
        # Most of what a record costs the chain is done here: no call in it that can be spared.
        for line in lines:
            prev = b"null" if head is None else b'"%b"' % b2a_base64(head).translate(_URLSAFE)[:43]
            whole = b'%b%d,"prev":%b},%b' % (begins, seq, prev, line[1:])
            head = sha256(b"\x00" + whole[:-1]).digest() if len(whole) < _ALONE else _leaf_hash_alone(whole)
            seq += 1
            made.append(whole)
            leaves.append(head)
        self.head = head
        self.forest.append_leaves(leaves)
        return made


def _leaf_hash_alone(line: bytes) -> bytes:
    """Return the leaf hash of a long line with its newline, and let no other thread run meanwhile."""
    made, rest = sha256(b"\x00"), memoryview(line)[:-1]
    for start in range(0, len(rest), _ALONE):
        made.update(rest[start : start + _ALONE])
    return made.digest()


def _hash(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=")
