"""The pages in which an audit keeps the leaf hashes of all its chains: so many in memory, the others in a spill.

Standing: under `leaves`, lowest in the audit. Holds: a page that is in memory is what counts, and one that was changed
is written before it leaves. Without a `PageSpill`, or once that has no room, all pages stay in memory.
"""

from itertools import islice
from typing import Final, Protocol

PAGE: Final = 256
"""How many hashes a page has."""
HASH: Final = 32
PAGE_BYTES: Final = PAGE * HASH
_MOST_PAGES: Final = 4_096
_NO_PAGE: Final = bytes(PAGE_BYTES)


class PageSpill(Protocol):
    """Keeps pages by number, each of `PAGE_BYTES`."""

    def write(self, number: int, page: bytes) -> bool:
        """Keep a page in place of what has this number. Returns false if there is no room, and keeps nothing then."""

    def read(self, number: int) -> bytes:
        """Return what was last kept with this number. Raises `OSError`."""


class LeafPages:
    """Pages by number, in the order in which they were begun. `most`: how many stay in memory, 32 MiB by default."""

    __slots__ = ("_begun", "_changed", "_here", "_most", "_spill")

    def __init__(self, spill: PageSpill | None = None, most: int = _MOST_PAGES) -> None:
        self._spill = spill
        self._most = most
        self._begun = 0
        self._here: dict[int, bytearray] = {}
        self._changed: set[int] = set()

    @property
    def spill(self) -> PageSpill | None:
        """Where pages go that have no place in memory."""
        return self._spill

    @spill.setter
    def spill(self, spill: PageSpill) -> None:
        """Set it. Pages that were written go nowhere else, so this is refused where there is one already."""
        if self._spill is not None:
            raise ValueError("these pages have a place already")
        self._spill = spill

    def begin(self, page: bytes = _NO_PAGE) -> int:
        """Return the number of a new page with this content."""
        number = self._begun
        self._begun += 1
        self._take(number, bytearray(page))
        self._changed.add(number)
        return number

    def page(self, number: int) -> bytearray:
        """Return a page to read. It is valid until the next call. Raises `OSError`, `KeyError` if none was begun."""
        found = self._here.get(number)
        return self._fetch(number) if found is None else found

    def changing(self, number: int) -> bytearray:
        """Return a page to change before the next call. Raises as `page` does."""
        found = self.page(number)
        self._changed.add(number)
        return found

    def _fetch(self, number: int) -> bytearray:
        if self._spill is None or number >= self._begun:
            raise KeyError(number)
        return self._take(number, bytearray(self._spill.read(number)))

    def _take(self, number: int, page: bytearray) -> bytearray:
        here = self._here
        if self._spill is not None and len(here) >= self._most:
            self._make_room(self._spill)
        here[number] = page
        return page

    def _make_room(self, spill: PageSpill) -> None:
        """Write the pages that came first, an eighth of all."""
        for number in list(islice(self._here, max(1, self._most // 8))):
            if number in self._changed:
                if not spill.write(number, bytes(self._here[number])):
                    # What was written before is still read from there.
                    self._most = 2 * len(self._here)
                    return
                self._changed.discard(number)
            del self._here[number]
