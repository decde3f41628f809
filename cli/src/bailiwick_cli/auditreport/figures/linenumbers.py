"""Numbers of the lines of a chain: so many of them, in any order, in a bit each.

Standing: under `periodtally`. Holds: a number far beyond the others costs one page.
"""

from typing import Final

_PAGE: Final = 8_192


class LineNumbers:
    """A set of numbers, from 0."""

    __slots__ = ("_pages",)

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def add(self, number: int) -> None:
        """Add a number."""
        at, place = divmod(number, _PAGE)
        page = self._pages.get(at)
        if page is None:
            page = self._pages[at] = bytearray(_PAGE // 8)
        page[place >> 3] |= 1 << (place & 7)

    def count_from(self, first: int) -> int:
        """Return how many numbers are as great as this one, or greater."""
        at, place = divmod(first, _PAGE)
        whole = sum(int.from_bytes(page).bit_count() for number, page in self._pages.items() if number > at)
        return whole + (int.from_bytes(self._pages.get(at, b""), "little") >> place).bit_count()
