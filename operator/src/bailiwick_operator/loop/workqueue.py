"""The queue between changes and the workers that reconcile them: keys, not events, so that only the last state matters.

Standing: between all that asks for a look (inventories, expiries, polls, waits that end) and the reconciler's workers.
Holds: a key is worked on by one worker at a time; a key that is added while it is worked on comes again afterwards; a
failure comes again later and later, and never holds up the others. Shares have their turns one after the other (see
`fairqueue`), so that no key waits for all keys of another share.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, NamedTuple, TypeVar

import structlog

from bailiwick_engine.fairqueue import FairQueue
from bailiwick_operator.kube import Kind

K = TypeVar("K", bound=Hashable)

_LOG: Final = structlog.get_logger(__name__)
_FIRST: Final = 0.2
_LAST: Final = 60.0
_QUIET_FAILURES: Final = 3


class WorkItem(NamedTuple):
    """What a worker looks at: one grant, one `EndpointData`, or all policies of one endpoint, judged together.

    Of the kind `EndpointPolicy`, `name` is the endpoint's: it is no part of an object's key.
    """

    kind: Kind
    namespace: str
    name: str


class RetryError(Exception):
    """The work could not be done now; the message says why. It comes again, later each time."""


class WorkQueue(Generic[K]):
    """Keys to look at. Lives in one loop. `share` returns in whose turn a key is looked at."""

    def __init__(self, share: Callable[[K], str] = lambda _: "") -> None:
        self._share = share
        self._ready: FairQueue[K] = FairQueue()
        self._filled = asyncio.Semaphore(0)
        self._waiting: set[K] = set()
        self._busy: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}

    def add(self, key: K) -> None:
        """Ask for a look at this key; asking twice is asking once."""
        if key in self._busy:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put(self._share(key), key)
            self._filled.release()

    async def work(self, look: Callable[[K], Awaitable[None]]) -> None:
        """Look at keys until cancelled. Several may run side by side."""
        while True:
            await self._filled.acquire()
            key = self._ready.pop()
            self._waiting.discard(key)
            self._busy.add(key)
            try:
                await look(key)
            except RetryError as error:
                self._retry_later(key, str(error))
            except Exception:  # noqa: BLE001 - one object of an unforeseen shape must not stop all the others
                _LOG.exception("reconciling failed", key=key)
                self._retry_later(key, "internal error, logged above")
            else:
                self._failures.pop(key, None)
            finally:
                self._busy.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    def _retry_later(self, key: K, why: str) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(_LAST, _FIRST * 2 ** (failures - 1)) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        _LOG.log(
            logging.WARNING if failures > _QUIET_FAILURES else logging.INFO,
            "reconciling again later",
            key=key,
            seconds=round(delay, 1),
            why=why,
        )
        asyncio.get_running_loop().call_later(delay, self.add, key)
