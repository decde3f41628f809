"""Compile memory: how many bytes of policies may be compiled at once, beside those that they will replace.

Standing: under the policy controller, which alone asks it. Holds: what is small never waits; of what is large, as many
as fit go at once, in the order in which they came.
"""

from collections import OrderedDict
from typing import Final

from bailiwick_engine.budget.ledger import MIB

SMALL: Final = MIB // 4
MOST: Final = 32 * MIB


class CompileMemory:
    """Bytes that namespaces reserve while they compile something large. Each has one reservation at a time."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self._waiting: OrderedDict[str, int] = OrderedDict()

    def take(self, who: str, size: int) -> bool:
        """Reserve memory for a namespace. Returns False if it must wait; `leave` then returns it."""
        held = self._taken.get(who)
        if size <= SMALL or (held is not None and size <= held):
            return True
        # A holder that needs more waits as well: its work ends for now, and gives back what it has.
        if held is not None or self._waiting or not self._fits(size):
            # Of several that wait, the largest counts: any of them may be compiled with what is reserved.
            self._waiting[who] = max(size, self._waiting.get(who, 0))
            return False
        self._taken[who] = size
        return True

    def leave(self, who: str) -> list[str]:
        """Give it back. Returns the namespaces that waited and have memory now."""
        if self._taken.pop(who, None) is None:
            return []
        let_in: list[str] = []
        while self._waiting and self._fits(next(iter(self._waiting.values()))):
            other, size = self._waiting.popitem(last=False)
            self._taken[other] = size
            let_in.append(other)
        return let_in

    def _fits(self, size: int) -> bool:
        # What is larger than all of it goes alone.
        return not self._taken or sum(self._taken.values()) + size <= MOST
