"""Leaf hashes that were kept of lines that may be gone: as text, one a line, by chain and number.

Standing: lowest in the audit, beside `leaves`. Holds: what is read here proves nothing by itself; a hash is believed
only where the root over it is one that was cosigned.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from bailiwick_evidence.audit.leaves import LeafTable
from bailiwick_evidence.chain import hash_of

_LINE: Final = re.compile(r"([A-Za-z0-9_-]{22}) (0|[1-9][0-9]{0,15}) ([A-Za-z0-9_-]{43})\n?")


class KeptLeafError(ValueError):
    """A line is no leaf, or says another one than a line before it. Has its number, from 1."""


def leaf_lines(chains: Mapping[str, LeafTable]) -> Iterator[str]:
    """Yield `CHAIN SEQ LEAF` with a newline for each leaf. LEAF as `prev` has it."""
    for name in sorted(chains):
        leaves = chains[name]
        for start, end in leaves.runs():
            for seq, leaf in enumerate(leaves.between(start, end), start):
                yield f"{name} {seq} {urlsafe_b64encode(leaf).rstrip(b'=').decode()}\n"


def add_leaf_lines(lines: Iterable[str], into: dict[str, LeafTable]) -> None:
    """Read what `leaf_lines` wrote, beside what was read before. Raises `KeptLeafError`."""
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        leaf = None if found is None else hash_of(found[3])
        if found is None or leaf is None:
            message = f"line {number}: not a leaf; `audit leaves` prints CHAIN SEQ LEAF"
            raise KeptLeafError(message)
        leaves, seq = into.setdefault(found[1], LeafTable()), int(found[2])
        if leaves.get(seq) not in {None, leaf}:
            message = f"line {number}: another leaf of line {seq} of chain {found[1]} came before"
            raise KeptLeafError(message)
        leaves.put(seq, leaf)
