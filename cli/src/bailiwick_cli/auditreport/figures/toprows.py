"""The commonest of many: rows with their count, first and last time, in memory that does not grow with what is added.

Standing: under `periodtally`. Holds: pure. Every addition is in the total. A count is exact, or is marked as one that
may be larger; a row that outweighs all that was dropped together is never missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

MOST_ROWS: Final = 2_000
"""So many rows are kept when there are twice as many."""

RowKey = TypeVar("RowKey", bound=tuple[object, ...])


@dataclass(frozen=True, slots=True)
class CountedRow(Generic[RowKey]):
    """One row. Times in seconds since the epoch. `partial`: there may have been more, and earlier ones."""

    key: RowKey
    count: int
    first: float
    last: float
    partial: bool


@dataclass(frozen=True, slots=True)
class TopList(Generic[RowKey]):
    """The commonest rows. `more`: how many others there are; `more_counted`: how much is counted in those.

    `dropped`: there were more rows than there is room for, so that there are at least `more` others.
    """

    rows: tuple[CountedRow[RowKey], ...]
    more: int
    more_counted: int
    dropped: bool


@dataclass(slots=True)
class _Count:
    count: int
    first: float
    last: float
    partial: bool


class TopRows(Generic[RowKey]):
    """Counts keys. `most`: how many it keeps at least of the commonest."""

    def __init__(self, most: int = MOST_ROWS) -> None:
        self.total = 0
        self._most = most
        self._counts: dict[RowKey, _Count] = {}
        self._dropped = False

    def add(self, key: RowKey, moment: float) -> None:
        """Count a key once."""
        self.total += 1
        one = self._counts.get(key)
        if one is None:
            self._counts[key] = _Count(1, moment, moment, self._dropped)
            if len(self._counts) > 2 * self._most:
                self._drop()
            return
        one.count += 1
        one.first = min(one.first, moment)
        one.last = max(one.last, moment)

    def rows(self) -> Iterator[CountedRow[RowKey]]:
        """Yield each row that is kept, the commonest first, and of two the earlier one."""
        for key, one in sorted(self._counts.items(), key=lambda item: (-item[1].count, item[1].first, str(item[0]))):
            yield CountedRow(key, one.count, one.first, one.last, one.partial)

    def top(self, most: int) -> TopList[RowKey]:
        """Return so many of the commonest."""
        every = tuple(self.rows())
        chosen = every[:most]
        counted = self.total - sum(one.count for one in chosen)
        return TopList(chosen, len(every) - len(chosen), counted, self._dropped)

    @property
    def dropped(self) -> bool:
        """Whether there were more rows than there is room for."""
        return self._dropped

    def _drop(self) -> None:
        self._dropped = True
        ordered = sorted(self._counts.items(), key=lambda item: (-item[1].count, item[1].first))
        self._counts = dict(ordered[: self._most])
