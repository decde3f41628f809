"""A cache with a maximum number of entries, for answers that can be computed again.

Holds: it never exceeds that number; the least recently used entry is evicted first. It has no clock: the caller decides
how long an entry is valid.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """At most `most` entries. `get`, `pop` and `touch` are the mapping's own, since some stand on the way of each call.

    `get(key)` returns the value or None, `pop(key, None)` takes an entry out; `touch(key)` makes one that is there the
    last to go.
    """

    __slots__ = ("_entries", "_most", "get", "pop", "touch")

    def __init__(self, most: int) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._most = most
        self.get = self._entries.get
        self.pop = self._entries.pop
        self.touch = self._entries.move_to_end

    def put(self, key: K, value: V) -> None:
        """Keep a value, in place of the older one of its key; it is the last to go."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def __contains__(self, key: K) -> bool:
        return key in self._entries
