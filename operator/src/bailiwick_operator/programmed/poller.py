"""Asks the decision point's processes which policies they serve, for as long as there is a policy to ask about.

Holds: one request for each process and round, about everything that is pending; rounds come later and later while
nothing changes, and none comes when nothing is pending. What was found is handed to the reconciler, which decides.
"""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.kube import RefusedError
from bailiwick_operator.programmed.replicas import ReplicaClient, Replicas
from bailiwick_operator.reconcile.programmed import Reply, ServedGeneration, tally

W = TypeVar("W", bound=Hashable)

_LOG: Final = structlog.get_logger(__name__)
_FIRST: Final = 0.1
_LAST: Final = 5.0
# A process takes no more in one request.
_MOST: Final = 10_000


@dataclass(slots=True)
class _PendingPolicy(Generic[W]):
    """What is to be known about the present generation of a policy, and who is to be told."""

    generation: int
    work: W
    serving: ServedGeneration | None


class ProgrammedPoller(Generic[W]):
    """What is pending and what was found. Lives in one loop; `changed` is told whose answer is another now."""

    def __init__(self, replicas: Replicas, asker: ReplicaClient, changed: Callable[[W], None]) -> None:
        self._replicas = replicas
        self._asker = asker
        self._changed = changed
        self._pending: dict[str, _PendingPolicy[W]] = {}
        # Served everywhere, and kept until the status says so.
        self._settled: dict[str, _PendingPolicy[W]] = {}
        self._nobody: ServedGeneration | None = None
        self._new = asyncio.Event()
        self._told: str | None = None

    def want(self, uid: str, generation: int, work: W) -> None:
        """Ask about a policy from now on, until it is forgotten."""
        if self._known(uid, generation) is None:
            serving = self.serving(uid, generation)
            self.forget(uid)
            self._pending[uid] = _PendingPolicy(generation, work, serving)
            self._new.set()

    def forget(self, uid: str) -> None:
        """Ask no longer about a policy: its status says that it is programmed, or it is gone."""
        self._pending.pop(uid, None)
        self._settled.pop(uid, None)

    def serving(self, uid: str, generation: int) -> ServedGeneration | None:
        """Return how it is served as far as is known; None where nobody was asked yet, and there is somebody."""
        known = self._known(uid, generation)
        return known.serving if known is not None else self._nobody

    async def run(self) -> None:
        """Ask until cancelled."""
        pause = _FIRST
        while True:
            if not self._pending:
                self._new.clear()
                await self._new.wait()
                pause = _FIRST
            # What comes with it, or right after, is asked about in the same request.
            await asyncio.sleep(_FIRST)
            self._new.clear()
            pause = _FIRST if await self.look() else min(2 * pause, _LAST)
            try:
                async with asyncio.timeout(pause):
                    await self._new.wait()
                pause = _FIRST
            except TimeoutError:
                pass

    async def look(self) -> bool:
        """Ask once about everything that is pending. Returns whether anything is other than it was."""
        # Those that were not asked about for longest first, in case there are more than are asked about at once.
        asked = {uid: self._pending[uid].generation for uid in [*self._pending][:_MOST]}
        replies = await self._replies([*asked.items()])
        if replies is None:
            return False
        # What a policy that nobody asked about yet would come to, where nobody is there to be asked.
        nobody = tally(replies, ("", 0))
        self._nobody = None if nobody.ready else nobody
        news = False
        for uid, generation in asked.items():
            pending = self._pending.pop(uid, None)
            if pending is None:
                continue
            found = tally(replies, (uid, generation))
            # Edited while we asked: the answers are about what it was.
            current = pending.generation == generation
            (self._settled if current and found.everywhere else self._pending)[uid] = pending
            if current and found != pending.serving:
                pending.serving, news = found, True
                self._changed(pending.work)
        return news

    def _known(self, uid: str, generation: int) -> _PendingPolicy[W] | None:
        known = self._pending.get(uid) or self._settled.get(uid)
        return known if known is not None and known.generation == generation else None

    async def _replies(self, asked: list[tuple[str, int]]) -> list[Reply] | None:
        try:
            replicas = await self._replicas.find()
        except UnreachableError as error:
            # Nor could a status be written.
            self._tell(str(error))
            return None
        except RefusedError as error:
            self._tell(str(error))
            return [Reply("", ready=False, silent=str(error))]
        self._tell(None)
        return await asyncio.gather(*(self._asker.ask(replica, asked) for replica in replicas))

    def _tell(self, why: str | None) -> None:
        if why is not None and why != self._told:
            _LOG.warning("the processes of the decision point cannot be found", why=why)
        self._told = why
