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
"""The maximum length of a line without its newline, which fits into an entry of a tiled log (C2SP tlog-tiles)."""

_ID: Final = re.compile("[A-Za-z0-9_-]{22}")
_LINK: Final = re.compile(
    rb'\{"log":\{"id":"([A-Za-z0-9_-]{22})","seq":(0|[1-9][0-9]{0,15}),"prev":(?:null|"([A-Za-z0-9_-]{43})")\},'
)
# As `base64.urlsafe_b64encode`, in half the time: it runs for each line.
_URLSAFE: Final = bytes.maketrans(b"+/", b"-_")
# hashlib releases the GIL to hash this many bytes at once: for one microsecond, which costs ten to get it back.
_ALONE: Final = 2_047

_HASH: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class ChainLink(NamedTuple):
    """The place of a line in a chain. `prev`: 32 bytes; None in the first line."""

    id: str
    seq: int
    prev: bytes | None


def chain_id(held: bytes) -> str:
    """Return 16 random bytes as the id of a chain."""
    return base64.urlsafe_b64encode(held).rstrip(b"=").decode()


def is_chain_id(text: str) -> bool:
    """Tell whether a text has the form of a chain's id."""
    return _ID.fullmatch(text) is not None


def link(line: bytes) -> ChainLink | None:
    """Read the place that a line claims; None if it names no chain. The line need not be whole, or JSON."""
    found = _LINK.match(line)
    if found is None:
        return None
    prev = found[3]
    return ChainLink(found[1].decode(), int(found[2]), None if prev is None else _hash(prev))


def body(line: bytes) -> bytes:
    """Return a line of a chain as it was before it was added to one."""
    found = _LINK.match(line)
    return line if found is None else b"{" + line[found.end() :]


def hash_of(text: str) -> bytes | None:
    """Read a hash in the form of `prev`; None if it is malformed."""
    return _hash(text.encode()) if _HASH.fullmatch(text) else None


class ChainWriter:
    """Adds lines to a chain, one after the other. Not safe for two threads at once.

    `forest` covers all lines, or those after its start if a caller has replaced it; `head` is the leaf hash of the
    latest line, None before the first.
    """

    __slots__ = ("_begins", "forest", "head", "id")

    def __init__(self, chain: str) -> None:
        self.id = chain
        self.forest = Forest()
        self.head: bytes | None = None
        self._begins = b'{"log":{"id":"' + chain.encode() + b'","seq":'

    @property
    def size(self) -> int:
        """The number of lines."""
        return self.forest.size

    def append(self, line: bytes) -> bytes:
        """Add the next line, a JSON object with a member and a newline, and return it as it is in the chain."""
        return self.extend((line,))[0]

    def extend(self, lines: Iterable[bytes]) -> list[bytes]:
        """Add the next lines, each as `append` does."""
        begins, head, seq = self._begins, self.head, self.forest.size
        made: list[bytes] = []
        leaves: list[bytes] = []
        # Most of the chain's cost for a record is here, so the loop makes no avoidable call.
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
    """Return the leaf hash of a long line with its newline, without releasing the GIL."""
    made, rest = sha256(b"\x00"), memoryview(line)[:-1]
    for start in range(0, len(rest), _ALONE):
        made.update(rest[start : start + _ALONE])
    return made.digest()


def _hash(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=")
