"""Places: how many requests about one namespace's histories are at the API server at a time.

Standing: beside `rations`, under `storedobjects`. Holds: a namespace whose calls are counted in many objects has at
most `MOST` requests there. So an API server that is slow is sent less, and the requests of others, such as those of the
operator, do not queue behind a crowd of one namespace. No namespace waits for another.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

MOST: Final = 4
"""So many that an API server which answers within 13 ms serves a namespace's rations of reads and writes by them."""
PATIENCE: Final = 2.0
"""Seconds that a request waits for its place."""


def _new_semaphore() -> asyncio.Semaphore:
    return asyncio.Semaphore(MOST)


@dataclass(slots=True)
class _NamespacePlaces:
    """The places of one namespace. `users`: how many requests have one or wait for one."""

    free: asyncio.Semaphore = field(default_factory=_new_semaphore)
    users: int = 0


class HistoryPlaces:
    """Gives places. Lives in one loop."""

    def __init__(self) -> None:
        self._namespaces: dict[str, _NamespacePlaces] = {}

    def __len__(self) -> int:
        """How many namespaces have requests under way."""
        return len(self._namespaces)

    async def take(self, namespace: str) -> bool:
        """Take a place, which is to be put back; return False where none is free soon enough."""
        places = self._namespaces.setdefault(namespace, _NamespacePlaces())
        places.users += 1
        try:
            async with asyncio.timeout(PATIENCE):
                await places.free.acquire()
        except TimeoutError:
            self._leave(namespace, places)
            return False
        except BaseException:
            self._leave(namespace, places)
            raise
        return True

    def put_back(self, namespace: str) -> None:
        """Put a place back. Who has waited longest in this namespace has it next."""
        places = self._namespaces[namespace]
        places.free.release()
        self._leave(namespace, places)

    def _leave(self, namespace: str, places: _NamespacePlaces) -> None:
        places.users -= 1
        if not places.users:
            del self._namespaces[namespace]
