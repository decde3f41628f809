"""Decision points whose every call to the API server a test answers, one by one.

Standing: under `test_grant_life`, over `lifeserver`. Holds: the pipeline, consumer and opener are the real ones; a
`Flight` runs only when it is told to, from one call to the next, without an event loop.
"""

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, cast

from bailiwick_api.accounts import Installation
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.approvals.consumer import Consumer
from bailiwick_webhook.approvals.livereads import LiveReads
from bailiwick_webhook.approvals.opener import Opener
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.pipeline.pdp import Pdp
from property.approvals.lifeserver import Op, Server, Wire
from support.objects import Object
from support.pdp.alone import StaticStore

INSTALLATION: Final = Installation()


class NoTurns:
    """Everybody at once: what holds must hold without turns, which need an event loop."""

    def hold(self, key: tuple[str, str]) -> AbstractAsyncContextManager[None]:
        return nullcontext()


class EachReads:
    """A look for everybody, at once: what holds must hold however often and when it is looked."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def read(self, place: tuple[str, str], since: float | None = None) -> ApiResponse | None:
        try:
            return await self._wire.read_grant(*place)
        except ClusterUnavailableError:
            return None


class Replica:
    """A decision point. Its store is the API server's log as far as it has heard."""

    def __init__(self, server: Server, snapshot: Snapshot, skew: float) -> None:
        self.server, self.snapshot, self.skew = server, snapshot, skew
        self.start()

    def start(self) -> None:
        """Begin with a list; nothing else outlives a process."""
        store: Any = StaticStore(())
        store.snapshot = self.snapshot
        self.store, self.heard = store, len(self.server.log)
        for stored in self.server.stored.values():
            self._take("ADDED", stored)
        wire = cast("Any", Wire())
        opener = Opener(wire, store, INSTALLATION, self.now)
        reads = cast("LiveReads", EachReads(wire))
        consumer = Consumer(wire, self.now, cast("Any", NoTurns()), reads)
        self.pdp = Pdp(store, consumer, opener, wire, INSTALLATION, self.now)

    def now(self) -> float:
        return self.server.now + self.skew

    def hear(self, events: int) -> None:
        for kind, stored in self.server.log[self.heard : self.heard + events]:
            self._take(kind, stored)
        self.heard = min(self.heard + events, len(self.server.log))

    def _take(self, kind: str, stored: Object) -> None:
        self.store.grants.apply(kind, (stored["metadata"]["namespace"], stored["metadata"]["name"]), stored)


@dataclass
class Flight:
    """One request to a replica: where it stands, and what it saw last of the API server."""

    replica: int
    request_id: str | None
    work: Coroutine[Any, Any, Any]
    opens: bool = False
    op: Op | None = None
    answer: Any = None
    """What the API server answered, while that is on its way."""
    done: bool = False
    read: Object | None = None
    read_at: float = 0.0
    recorded: bool = False
    result: Any = None

    def go_on(self, step: Callable[[], Op]) -> None:
        """Run to the next call, or to the end."""
        self.done, self.answer = False, None
        try:
            self.op = step()
        except StopIteration as end:
            self.op, self.result = None, end.value
