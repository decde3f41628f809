"""Kept leaf hashes of lines that may have been removed: as text, one a line, by chain and number.

Standing: lowest in the audit, beside `leaves`. Holds: a hash from here proves nothing by itself; it is trusted only if
a cosigned root covers it.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from bailiwick_evidence.audit.leafpages import LeafPages
from bailiwick_evidence.audit.leaves import LeafTable
from bailiwick_evidence.chain import hash_of

_LINE: Final = re.compile(r"([A-Za-z0-9_-]{22}) (0|[1-9][0-9]{0,15}) ([A-Za-z0-9_-]{43})\n?")


class KeptLeafError(ValueError):
    """A line is not a leaf, or differs from an earlier line for the same leaf. Has its line number, from 1."""


def leaf_lines(chains: Mapping[str, LeafTable]) -> Iterator[str]:
    """Yield `CHAIN SEQ LEAF` with a newline for each leaf. LEAF as `prev` has it."""
    for name in sorted(chains):
        leaves = chains[name]
        for start, end in leaves.runs():
            for seq, leaf in enumerate(leaves.hashes_between(start, end), start):
                yield f"{name} {seq} {urlsafe_b64encode(leaf).rstrip(b'=').decode()}\n"


def add_leaf_lines(lines: Iterable[str], into: dict[str, LeafTable], pages: LeafPages) -> None:
    """Read lines of `leaf_lines` into the tables that were read before, which `pages` keeps. Raises `KeptLeafError`."""
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        leaf = None if found is None else hash_of(found[3])
        if found is None or leaf is None:
            message = f"line {number}: not a leaf; `audit leaves` prints CHAIN SEQ LEAF"
            raise KeptLeafError(message)
        leaves, seq = into.setdefault(found[1], LeafTable(pages)), int(found[2])
        if leaves.get(seq) not in {None, leaf}:
            message = f"line {number}: an earlier line has a different leaf for line {seq} of chain {found[1]}"
            raise KeptLeafError(message)
        leaves.set(seq, leaf)
