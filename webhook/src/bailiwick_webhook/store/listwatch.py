"""List and watch: keep one sink equal to one collection of the API server.

Holds: a list replaces everything, so an object deleted in a gap cannot live on; a watch that says nothing for
`SILENCE` seconds is not believed. Every change that the API server had made at `heard` is in the sink. Nothing that it
says, and no failure of a sink, ends it: what cannot be kept up grows old, and what is too old denies.

What counts for `heard` is when the API server may have said it, and not when it was taken up:

- A list is the state at its first page, thus at least that of the moment before this was asked for.
- A watch first says what happened before it was begun, and not how much of that is left. The first bookmark comes after
  all of it. Until then what a watch says counts for nothing.
- From then on it says what happens. What is read was sent before it arrived, and it had not arrived at `Pulse.sure`.
- What lay unread while the process was stopped is taken in, and counts for nothing. With the next event after that the
  watch ends, and a list says how it is now.

How long it takes from the API server to here cannot be seen. No stream is silent for longer than `SILENCE`.
"""

import asyncio
import random
import sys
from contextlib import aclosing
from typing import Any, Final, Protocol

import structlog

from bailiwick_engine.steps import Steps
from bailiwick_policystore.slices import Slices
from bailiwick_webhook.cluster.client import (
    ApiClient,
    ClusterUnavailableError,
    Collection,
    HistoryGoneError,
    SilentWatchError,
)
from bailiwick_webhook.store.pulse import Pulse

SILENCE = 70.0
NEVER: Final = float("-inf")
WATCH_SECONDS = (240, 300)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 8.0
# A watch that ends sooner was not kept up by who should have.
_SHORT_WATCH = 0.5

_log = structlog.get_logger()

Key = tuple[str, str]


class OldWatchError(Exception):
    """What a watch says may be old, so that a list has to say how it is now."""


class PendingList(Protocol):
    """A list on its way. Of one that breaks off, what it took may be in force; what it did not come to is as it was."""

    def take(self, key: Key, obj: dict[str, Any]) -> Steps[None] | None:
        """Take in one object, of which what is needed is kept: the object is let go. In steps, where it takes long."""

    def finish(self) -> Steps[None] | None:
        """Take what was taken in as everything that exists. Returns steps to take, where it takes long."""


class Sink(Protocol):
    """What a list-watch feeds. Everything is called on the event loop and must not block it."""

    def listing(self) -> PendingList:
        """Begin a list."""

    def apply(self, kind: str, key: Key, obj: dict[str, Any]) -> None:
        """Take one change: ADDED, MODIFIED or DELETED."""


class ListWatch:
    """One collection, kept up to date until cancelled. `without`: what holds while it cannot be read, for the log."""

    def __init__(
        self,
        cluster: ApiClient,
        collection: Collection,
        sink: Sink,
        *,
        relist_interval: float,
        pulse: Pulse,
        without: str = "",
    ) -> None:
        self._cluster = cluster
        self._collection = collection
        self._sink = sink
        self._relist_interval = relist_interval
        self._pulse = pulse
        self._clock = pulse.clock
        self._without = {"meanwhile": without} if without else {}
        # Every change that the API server had made by then is in the sink, by the clock.
        self.heard = NEVER
        self._keys: set[Key] = set()
        self._pause = _FIRST_PAUSE
        self.resource_version = ""
        self.ghosts = 0
        # Since the last word, nothing could be read.
        self.failing = False

    @property
    def synced(self) -> bool:
        """Everything was listed at least once."""
        return self.heard != NEVER

    @property
    def age(self) -> float:
        """Seconds since the sink was last known to have every change; infinite before the first list."""
        return self._clock() - self.heard

    async def run(self) -> None:
        """List and watch for ever; a failure is logged and tried again after a pause that grows to 8 s, jittered."""
        while True:
            try:
                await self._list()
                await self._watch()
            except HistoryGoneError as gone:
                _log.info("watch expired, listing again", collection=self._collection.path, why=str(gone))
            except SilentWatchError:
                # Of a collection in which nothing happens no bookmark comes either, until something has.
                _log.info("watch silent, listing again", collection=self._collection.path)
            except OldWatchError as old:
                _log.info("watch may be old, listing again", collection=self._collection.path, why=str(old))
            except ClusterUnavailableError as error:
                # What could be read a moment ago, as like as not can be again: the watch of a definition that is new is
                # answered 429, for one. There is no need to act before it fails again.
                passing, self.failing = self.synced and self._pause == _FIRST_PAUSE, True
                (_log.info if passing else _log.warning)(
                    "cannot be read from the API server",
                    collection=self._collection.path,
                    error=str(error),
                    **self._without,
                )
            except Exception:  # noqa: BLE001 - the sink's defect; ending here would end every decision
                _log.exception("could not be loaded, listing again", collection=self._collection.path)
            else:
                continue
            await self._rest()

    async def _rest(self) -> None:
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    async def _list(self) -> None:
        # Each page is let go before the next is asked for: the objects of all would take more room than what is kept.
        listing, keys = self._sink.listing(), set[Key]()
        version, slices, began = "", Slices(patient=True), self._clock()
        async for page in self._cluster.pages(self._collection):
            version = page.resource_version
            for obj in page.items:
                key = key_of(obj)
                await slices.all(listing.take(key, obj))
                keys.add(key)
                await slices.turn()
        if self.synced:
            # What the watch should have reported and did not: a number that should stay 0 outside of gaps.
            self.ghosts += len(self._keys - keys)
        self._keys = keys
        await slices.all(listing.finish())
        self.resource_version = version
        # However long it took to come and to be taken up.
        self.heard = began
        self.failing = False

    async def _watch(self) -> None:
        """Follow watches from the list on, until it is time to list again."""
        until = self._clock() + self._relist_interval * random.uniform(0.85, 1.15)  # noqa: S311 - jitter
        while self._clock() < until:
            seconds = min(random.randint(*WATCH_SECONDS), max(1, int(until - self._clock())))  # noqa: S311 - jitter
            began, abreast = self._clock(), False
            stream = self._cluster.watch(self._collection, self.resource_version, silence=SILENCE, seconds=seconds)
            async with aclosing(stream):
                async for kind, obj in stream:
                    if kind == "BOOKMARK":
                        abreast = True
                    else:
                        key = key_of(obj)
                        (self._keys.discard if kind == "DELETED" else self._keys.add)(key)
                        self._sink.apply(kind, key, obj)
                    # After the sink took it, so that a revision never names what a decision could not see.
                    self.resource_version = obj["metadata"]["resourceVersion"]
                    self._pause = _FIRST_PAUSE
                    self._hear(began, abreast=abreast)
            if self._clock() - began < _SHORT_WATCH:
                await self._rest()
            else:
                self._pause = _FIRST_PAUSE

    def _hear(self, began: float, *, abreast: bool) -> None:
        """Take note that a watch that was begun then said something. `abreast`: and all that was before it.

        On the way of every event. Raises `OldWatchError`.
        """
        sure = self._pulse.sure
        if began < self._pulse.resumed:
            # What lay there is taken in first, since it may take something back, and a list may not be had.
            if sure > self._pulse.resumed:
                raise OldWatchError("the process was stopped")
        elif abreast:
            self.heard = max(self.heard, sure)
        elif sure - began > SILENCE:
            # Not every API server sends bookmarks.
            raise OldWatchError("no bookmark for a while")


def key_of(obj: dict[str, Any]) -> Key:
    """Return namespace ("" for what has none) and name."""
    metadata = obj["metadata"]
    # A namespace is kept once, however many objects it holds.
    return (sys.intern(metadata.get("namespace", "")), metadata["name"])
