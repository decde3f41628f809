"""The leaf hashes of one chain by number, in pages, added in any order.

Standing: lowest in the audit. Holds: 32 bytes a line and nothing per object. A number far beyond the others costs one
page, so that a forged number does not fill the memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from bailiwick_evidence.merkle import Forest

_HASH: Final = 32
_PAGE: Final = 256
_BYTES: Final = _PAGE * _HASH
# Bytes that were never written are zeros; no hash is.
_ABSENT: Final = bytes(_HASH)


class LeafTable:
    """Hashes by number, from 0. `count`: the number of hashes; `size`: the highest number plus one."""

    __slots__ = ("_pages", "count", "size")

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self.count = 0
        self.size = 0

    def get(self, seq: int) -> bytes | None:
        """Return a hash."""
        page = self._pages.get(seq // _PAGE)
        if page is None:
            return None
        at = seq % _PAGE * _HASH
        found = bytes(page[at : at + _HASH])
        return None if found == _ABSENT else found

    def set(self, seq: int, leaf: bytes) -> None:
        """Set a hash, which is not all zeros."""
        page = self._pages.get(seq // _PAGE)
        if page is None:
            page = self._pages[seq // _PAGE] = bytearray(_BYTES)
        at = seq % _PAGE * _HASH
        if page[at : at + _HASH] == _ABSENT:
            self.count += 1
        page[at : at + _HASH] = leaf
        if seq >= self.size:
            self.size = seq + 1

    def filled_from(self, other: "LeafTable") -> "LeafTable":
        """Return a table with these hashes, and the other table's hashes for the numbers that are missing here."""
        made = LeafTable()
        made._pages = {number: bytearray(page) for number, page in self._pages.items()}
        made.count, made.size = self.count, self.size
        for start, end in other.runs():
            for seq, leaf in enumerate(other.hashes_between(start, end), start):
                if made.get(seq) is None:
                    made.set(seq, leaf)
        return made

    def drop(self, seq: int) -> None:
        """Remove a hash that is present."""
        at = seq % _PAGE * _HASH
        self._pages[seq // _PAGE][at : at + _HASH] = _ABSENT
        self.count -= 1
        if seq + 1 == self.size:
            self.size = max((end for _, end in self.runs()), default=0)

    def runs(self) -> list[tuple[int, int]]:
        """Return the runs of hashes without a gap, each as its first number and the one after its last."""
        found: list[tuple[int, int]] = []
        for number in sorted(self._pages):
            start, page = number * _PAGE, self._pages[number]
            if _ABSENT not in page:
                # As almost all are, but for zeros across two hashes, which the slow way sees.
                _extend(found, start, start + _PAGE)
                continue
            for place in range(_PAGE):
                if page[place * _HASH : (place + 1) * _HASH] != _ABSENT:
                    _extend(found, start + place, start + place + 1)
        return found

    def hashes_between(self, start: int, end: int, instead: Mapping[int, bytes] | None = None) -> Iterator[bytes]:
        """Yield the hashes of `[start, end)`. Each is in `instead`, which takes precedence, or in this table."""
        other = instead or {}
        for number in range(start // _PAGE, -(-end // _PAGE)):
            page = bytes(self._pages.get(number) or _BYTES)
            first = number * _PAGE
            for seq in range(max(start, first), min(end, first + _PAGE)):
                at = (seq - first) * _HASH
                yield other[seq] if other and seq in other else page[at : at + _HASH]

    def numbers_of(self, wanted: frozenset[bytes]) -> dict[bytes, int]:
        """Return the numbers of these hashes, for those that are in this table."""
        return {
            leaf: seq
            for start, end in self.runs()
            for seq, leaf in enumerate(self.hashes_between(start, end), start)
            if leaf in wanted
        }

    def roots(self, sizes: Iterable[int], instead: Mapping[int, bytes] | None = None) -> dict[int, bytes]:
        """Return, for each size, the root over that many first hashes, which must all be present."""
        forest, found = Forest(), {}
        for size in sorted(set(sizes)):
            for leaf in self.hashes_between(forest.size, size, instead):
                forest.append(leaf)
            found[size] = forest.root
        return found

    def inclusion(self, seq: int, size: int) -> list[bytes]:
        """Return the proof that a leaf is in the tree over the first `size` leaves. Source: RFC 6962, section 2.1.1."""
        proof: list[bytes] = []
        start, end = 0, size
        while end - start > 1:
            middle = start + (1 << (end - start - 1).bit_length() - 1)
            left = seq < middle
            beside = Forest()
            for leaf in self.hashes_between(middle, end) if left else self.hashes_between(start, middle):
                beside.append(leaf)
            proof.append(beside.root)
            start, end = (start, middle) if left else (middle, end)
        return proof[::-1]


def _extend(runs: list[tuple[int, int]], start: int, end: int) -> None:
    if runs and runs[-1][1] == start:
        runs[-1] = (runs[-1][0], end)
    else:
        runs.append((start, end))
