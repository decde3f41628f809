"""The leaf hashes of one chain by number, in pages, added in any order.

Standing: above `leafpages`, which says how many of them are in memory. Holds: 32 bytes a line and nothing per object.
A number far beyond the others costs one page, so that a forged number does not fill the memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from bailiwick_evidence.audit.leafpages import HASH, PAGE, PAGE_BYTES, LeafPages
from bailiwick_evidence.merkle import Forest

# Bytes that were never written are zeros; no hash is.
_ABSENT: Final = bytes(HASH)
_NO_PAGE: Final = bytes(PAGE_BYTES)


class LeafTable:
    """Hashes by number, from 0. `count`: the number of hashes.

    `pages`: where they are kept, also those of other tables; by default in memory.
    """

    __slots__ = ("_numbers", "_pages", "_size", "count")

    def __init__(self, pages: LeafPages | None = None) -> None:
        self._pages = LeafPages() if pages is None else pages
        self._numbers: dict[int, int] = {}
        self.count = 0
        self._size: int | None = 0

    @property
    def size(self) -> int:
        """The highest number plus one."""
        if self._size is None:
            self._size = self._end()
        return self._size

    def get(self, seq: int) -> bytes | None:
        """Return a hash."""
        number = self._numbers.get(seq // PAGE)
        if number is None:
            return None
        at = seq % PAGE * HASH
        found = bytes(self._pages.page(number)[at : at + HASH])
        return None if found == _ABSENT else found

    def set(self, seq: int, leaf: bytes) -> None:
        """Set a hash, which is not all zeros."""
        number = self._numbers.get(seq // PAGE)
        if number is None:
            number = self._numbers[seq // PAGE] = self._pages.begin()
        page, at = self._pages.changing(number), seq % PAGE * HASH
        if page[at : at + HASH] == _ABSENT:
            self.count += 1
        page[at : at + HASH] = leaf
        if self._size is not None and seq >= self._size:
            self._size = seq + 1

    def filled_from(self, other: "LeafTable") -> "LeafTable":
        """Return a table with these hashes, and the other table's hashes for the numbers that are missing here."""
        made = LeafTable(self._pages)
        made._numbers = {
            place: made._pages.begin(bytes(self._pages.page(number))) for place, number in self._numbers.items()
        }
        made.count, made._size = self.count, self._size
        for start, end in other.runs():
            for seq, leaf in enumerate(other.hashes_between(start, end), start):
                if made.get(seq) is None:
                    made.set(seq, leaf)
        return made

    def drop(self, seq: int) -> None:
        """Remove a hash that is present."""
        at = seq % PAGE * HASH
        self._pages.changing(self._numbers[seq // PAGE])[at : at + HASH] = _ABSENT
        self.count -= 1
        if seq + 1 == self._size:
            # Found only once it is asked for: a stranger's lines can have each one removed be the highest.
            self._size = None

    def _end(self) -> int:
        """Return the highest number plus one, from the pages."""
        for place in sorted(self._numbers, reverse=True):
            # A hash may end with zeros.
            if used := len(self._pages.page(self._numbers[place]).rstrip(b"\0")):
                return place * PAGE + -(-used // HASH)
        return 0

    def runs(self) -> list[tuple[int, int]]:
        """Return the runs of hashes without a gap, each as its first number and the one after its last."""
        found: list[tuple[int, int]] = []
        for place, number in sorted(self._numbers.items()):
            start, page = place * PAGE, self._pages.page(number)
            if _ABSENT not in page:
                # As almost all are, but for zeros across two hashes, which the slow way sees.
                _extend(found, start, start + PAGE)
                continue
            for at in range(PAGE):
                if page[at * HASH : (at + 1) * HASH] != _ABSENT:
                    _extend(found, start + at, start + at + 1)
        return found

    def hashes_between(self, start: int, end: int, instead: Mapping[int, bytes] | None = None) -> Iterator[bytes]:
        """Yield the hashes of `[start, end)`. Each is in `instead`, which takes precedence, or in this table."""
        other = instead or {}
        for place in range(start // PAGE, -(-end // PAGE)):
            number, first = self._numbers.get(place), place * PAGE
            page = _NO_PAGE if number is None else bytes(self._pages.page(number))
            for seq in range(max(start, first), min(end, first + PAGE)):
                at = (seq - first) * HASH
                yield other[seq] if other and seq in other else page[at : at + HASH]

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
