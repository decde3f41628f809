"""One watch of grants as one person, heard by each of their open pages.

Holds: it runs in a thread of its own only while somebody listens, and nothing of it outlives that; what may have been
missed is sent as a change of everything. A page learns that something changed, and never what: it asks for that.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from bailiwick_console.threads.calls import tell_loop
from bailiwick_governance.apiserver.cluster import ClusterClient, grants_path
from bailiwick_governance.errors import UserError

WATCHED_SECONDS: Final = 60.0
"""How long one watch lasts; so much later at most, a feed without listeners has ended."""
_PAUSE: Final = 1.0
_REMEMBERED: Final = 1024
_UNHEARD: Final = 256


@dataclass(frozen=True, slots=True)
class GrantChange:
    """A change, by the resourceVersion that it came with. `grant` is `namespace/name`; empty: any of them."""

    version: str
    grant: str = ""


class FeedListener:
    """One who listens. `heard` is filled on the event loop; None in it: there is nothing more to come."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[GrantChange | None] = asyncio.Queue(_UNHEARD)

    def tell(self, change: GrantChange | None) -> None:
        """Have it hear of a change. One that does not keep up hears of everything at once."""
        if self.heard.full():
            while not self.heard.empty():
                self.heard.get_nowait()
            change = None if change is None else GrantChange(change.version)
        self.heard.put_nowait(change)


class GrantFeed:
    """The watch of one person. All but the thread itself is on the event loop. `namespace` None: of all."""

    def __init__(self, cluster: ClusterClient, namespace: str | None) -> None:
        self.namespace = namespace
        self._cluster = cluster
        self._path = grants_path(namespace)
        self._listeners: set[FeedListener] = set()
        self._changes: deque[GrantChange] = deque(maxlen=_REMEMBERED)
        self._begun: asyncio.Future[None] | None = None

    async def listen(self, since: str = "") -> FeedListener:
        """Return somebody who hears whatever changes from now on, and first what did since the version `since`.

        Raises `UserError` where the API server does not allow the watch.
        """
        listener = FeedListener()
        self._listeners.add(listener)
        begun = self._begun or self._begin()
        try:
            await asyncio.shield(begun)
        except BaseException:
            self.leave(listener)
            raise
        for change in self._changes_since(since):
            listener.tell(change)
        return listener

    def leave(self, listener: FeedListener) -> None:
        """Stop listening."""
        self._listeners.discard(listener)

    def end(self) -> None:
        """Tell everybody that nothing more comes."""
        for listener in self._listeners:
            listener.tell(None)

    def _changes_since(self, since: str) -> Iterable[GrantChange]:
        if not since:
            return ()
        known = list(self._changes)
        at = next((place for place, one in enumerate(known) if one.version == since), None)
        return (
            known[at + 1 :]
            if at is not None
            else (
                GrantChange(
                    "",
                ),
            )
        )

    def _begin(self) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        self._changes.clear()
        begun: asyncio.Future[None] = loop.create_future()
        self._begun = begun
        # Listeners hear of a failure; without any, it is no news.
        begun.add_done_callback(lambda done: done.cancelled() or done.exception())

        call = partial(tell_loop, loop)

        def work() -> None:
            try:
                self._follow(call)
            except UserError as error:
                call(self._over, error)
            except Exception as error:  # noqa: BLE001 - whatever it is, those who listen must not wait for ever
                call(self._over, UserError(f"the watch failed: {type(error).__name__}"))
            else:
                call(self._over, None)

        threading.Thread(target=work, name="console-watch", daemon=True).start()
        return begun

    def _follow(self, call: Callable[..., None]) -> None:
        """Watch for as long as somebody listens; in the thread."""
        version = self._newest()
        call(self._ready)
        while self._listeners:
            begun = time.monotonic()
            for event in self._cluster.watch(self._path, version, WATCHED_SECONDS):
                if event.type == "GONE":
                    # What came between is lost.
                    version = self._newest()
                    call(self._publish, GrantChange(version))
                    break
                metadata = event.object["metadata"]
                version = str(metadata["resourceVersion"])
                if event.type != "BOOKMARK":
                    call(self._publish, GrantChange(version, f"{metadata['namespace']}/{metadata['name']}"))
                if not self._listeners:
                    return
            if time.monotonic() - begun < _PAUSE:
                # Something between us and the API server cuts watches off: it is asked no faster for that.
                time.sleep(_PAUSE)

    def _newest(self) -> str:
        return str(self._cluster.get(self._path, limit="1")["metadata"]["resourceVersion"])

    def _ready(self) -> None:
        if self._begun is not None and not self._begun.done():
            self._begun.set_result(None)

    def _publish(self, change: GrantChange) -> None:
        self._changes.append(change)
        for listener in self._listeners:
            listener.tell(change)

    def _over(self, error: UserError | None) -> None:
        begun, self._begun = self._begun, None
        if error is not None and begun is not None and not begun.done():
            begun.set_exception(error)
        elif error is not None:
            self.end()
        elif self._listeners:
            # They came when the thread had just seen that there was no listener.
            self._begin()
            for listener in self._listeners:
                listener.tell(GrantChange(""))
