"""Shares of a log: which of several processes judges a chain, and what the others remember of it.

Standing: beside `chaintable`, under `logaudit`. Holds: by its id alone, each chain is in exactly one share. Every
process reads every line, so that it knows what lines of other shares say of its own chains.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from bailiwick_evidence.audit.chaintable import BEGINNING, line_time
from bailiwick_evidence.chain import ChainLink

_PAGE: Final = 8_192
_HASHED: Final = 8


@dataclass(frozen=True, slots=True)
class ChainShare:
    """The chains of process `index` (from 0) of `count`.

    `also`: chains of other shares that are kept line by line too, since those of this share cannot be judged without.
    """

    index: int = 0
    count: int = 1
    also: frozenset[str] = frozenset()

    def owns(self, chain: str) -> bool:
        """Tell whether this process judges a chain."""
        if self.count == 1:
            return True
        digest = sha256(chain.encode(errors="surrogatepass")).digest()
        return int.from_bytes(digest[:_HASHED]) % self.count == self.index

    def keeps(self, chain: str) -> bool:
        """Tell whether all lines of a chain are kept."""
        return chain in self.also or self.owns(chain)

    def keeping(self, chains: frozenset[str]) -> "ChainShare":
        """Return the share that keeps these chains too."""
        return replace(self, also=self.also | chains)


WHOLE: Final = ChainShare()
"""All chains: what one process audits."""


class ChainOutline:
    """A chain of another share: which numbers have a line, the first line parsed, and the beginning of the last one.

    A bit a line; a number far beyond the others costs one page.
    """

    __slots__ = ("_numbers", "_size", "newest", "opening", "polled")

    def __init__(self) -> None:
        self.opening: Mapping[str, Any] | None = None
        self.newest = b""
        self.polled = False
        self._numbers: dict[int, bytearray] = {}
        self._size = 0

    @property
    def end_time(self) -> float | None:
        """When the line with the highest number was written, by its own time."""
        return line_time(self.newest)

    def add(self, link: ChainLink, line: bytes) -> bool:
        """Add a line with its link. Returns whether it is the first line with its number."""
        seq = link.seq
        number, place = divmod(seq, _PAGE)
        page = self._numbers.get(number)
        if page is None:
            page = self._numbers[number] = bytearray(_PAGE // 8)
        bit = 1 << (place & 7)
        if page[place >> 3] & bit:
            return False
        page[place >> 3] |= bit
        if seq >= self._size:
            self._size = seq + 1
            self.newest = line[:BEGINNING]
        return True
