"""A fair queue: what waits, by the name of its owner, such as a namespace or an address.

Standing: under the decision point's scheduler, offload and shadows, and under what waits for a target of notifications.
Holds: each name has its turn, and of
one name the oldest goes first, so that a crowd waits behind itself alone.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

_Item = TypeVar("_Item", bound=Hashable)


class FairQueue(Generic[_Item]):
    """Items in turn."""

    __slots__ = ("_waiting", "count")

    def __init__(self) -> None:
        # The name whose turn is next stands first.
        self._waiting: dict[str, dict[_Item, None]] = {}
        self.count = 0

    @property
    def crowd(self) -> tuple[str, int]:
        """The name of which most items wait, the first of such, and how many. Raises `LookupError` where none waits."""
        if not self._waiting:
            raise LookupError
        name = max(self._waiting, key=lambda one: len(self._waiting[one]))
        return name, len(self._waiting[name])

    def __iter__(self) -> Iterator[_Item]:
        """Yield every item that waits, those of one name together."""
        for items in self._waiting.values():
            yield from items

    @property
    def names(self) -> frozenset[str]:
        """Of whom items wait."""
        return frozenset(self._waiting)

    def waiting(self, name: str) -> int:
        """Return how many items of this name wait."""
        return len(self._waiting.get(name, ()))

    def put(self, name: str, item: _Item) -> None:
        """Add an item."""
        self._waiting.setdefault(name, {})[item] = None
        self.count += 1

    def drop(self, name: str, item: _Item) -> bool:
        """Take an item out; return whether it waited."""
        items = self._waiting.get(name)
        if items is None or item not in items:
            return False
        del items[item]
        self.count -= 1
        if not items:
            del self._waiting[name]
        return True

    def pop(self) -> _Item:
        """Take the next item. Raises `LookupError` where none waits."""
        if not self._waiting:
            raise LookupError
        name, items = next(iter(self._waiting.items()))
        item = next(iter(items))
        del self._waiting[name], items[item]
        self.count -= 1
        if items:
            # Behind all the others.
            self._waiting[name] = items
        return item

    def newest(self, name: str) -> _Item:
        """Take the item of this name that came last. Raises `LookupError` where none waits."""
        item = next(reversed(self._waiting[name]))
        self.drop(name, item)
        return item
