"""Keys that all wait for the same thing: the next proof of the guard, or a clock that is right again.

Standing: between the part that waits (`grants`) and the parts that end the wait (`guard`, `loop.clock`). Without it,
each would have to be made before the other. Lives in the main loop. Holds: at a release, every key that waited until
then is looked at again, once; one that is added meanwhile waits for the next release.
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WaitList(Generic[K]):
    """Keys that wait. `again` asks for a look at one."""

    def __init__(self, again: Callable[[K], None]) -> None:
        self._again = again
        self._waiting: set[K] = set()

    def add(self, key: K) -> None:
        """Let this wait."""
        self._waiting.add(key)

    def discard(self, key: K) -> None:
        """Let this wait no longer."""
        self._waiting.discard(key)

    def release(self) -> None:
        """Look again at all that waited until now."""
        waiting, self._waiting = self._waiting, set()
        for key in waiting:
            self._again(key)
