"""The strip of one visit: read as the person, now and then, beside the pages.

Holds: no page waits for it longer than a moment, and none fails of it; what cannot be read is said in the strip alone.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from bailiwick_console.threads.calls import ClusterThreads
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.health.evidencefacts import HealthFacts, HealthItem, items, merge_unknown, unknown_facts
from bailiwick_governance.health.reading import read_health

EVERY_SECONDS: Final = 30.0
_PATIENCE: Final = 0.3


class StripKeeper:
    """Reads at most every so many seconds, of the namespace in which Bailiwick is installed."""

    def __init__(self, cluster: ClusterClient, installation: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._installation = installation
        self._clock = clock
        # Its own: an API server that is slow to tell of this costs no page its turn.
        self._threads = ClusterThreads()
        self._facts: HealthFacts | None = None
        self._read: float | None = None
        self._reading: asyncio.Task[None] | None = None

    def items(self) -> tuple[HealthItem, ...]:
        """Return what is known, as it stands now."""
        return tuple(merge_unknown(items(self._facts, time.time())))

    async def refresh(self) -> None:
        """See to it that it is read now and then.

        A page waits for that only for a moment, and only where it begins the reading, or nothing was read before.
        """
        # What was read before a pause would be shown as it was then, or as no longer known.
        waits = self._facts is None
        if self._reading is None and (self._read is None or self._clock() - self._read >= EVERY_SECONDS):
            waits = True
            self._read = self._clock()
            self._reading = asyncio.create_task(self._look())
        if waits and self._reading is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await asyncio.shield(self._reading)

    async def _look(self) -> None:
        try:
            self._facts = await self._threads.run(lambda: read_health(self._cluster, self._installation, time.time()))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a matter of the strip alone
            why = f"reading it failed ({type(error).__name__})"
            self._facts = unknown_facts(why, time.time())
        finally:
            self._reading = None
