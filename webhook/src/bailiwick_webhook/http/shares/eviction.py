"""Who makes room: of connections on which nothing is under way, the oldest one of the holder with most of them.

Standing: under `conntable`. Holds: a holder of one connection loses it only when no other has more than one, and then
the one whose turn it is longest; each step takes the same time, however many there are.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

_Item = TypeVar("_Item", bound=Hashable)


class EvictionQueue(Generic[_Item]):
    """Items, each of one holder."""

    __slots__ = ("_items", "_levels", "_most", "count")

    def __init__(self) -> None:
        self._items: dict[str, dict[_Item, None]] = {}
        # At each index the holders that have so many items, who came there first at the front.
        self._levels: list[dict[str, None]] = [{}]
        self._most = 0
        self.count = 0

    def __bool__(self) -> bool:
        """Tell whether there is anything to evict."""
        return bool(self._items)

    def add(self, holder: str, item: _Item) -> None:
        """Add the newest item of a holder."""
        items = self._items.setdefault(holder, {})
        count = len(items)
        items[item] = None
        self.count += 1
        if count:
            del self._levels[count][holder]
        count += 1
        if count == len(self._levels):
            self._levels.append({})
        self._levels[count][holder] = None
        self._most = max(self._most, count)

    def remove(self, holder: str, item: _Item) -> None:
        """Take an item out that is there."""
        items = self._items[holder]
        count = len(items)
        del items[item]
        self.count -= 1
        del self._levels[count][holder]
        if count == 1:
            del self._items[holder]
        else:
            self._levels[count - 1][holder] = None
        if count == self._most and not self._levels[count]:
            # Its holder is one below, or was the last one of all.
            self._most -= 1

    def first(self) -> tuple[str, _Item]:
        """Return who makes room, and with what. Raises `LookupError` where there is nothing."""
        if not self._items:
            raise LookupError
        holder = next(iter(self._levels[self._most]))
        return holder, next(iter(self._items[holder]))
