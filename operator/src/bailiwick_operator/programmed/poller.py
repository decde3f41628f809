"""Asks the decision point's processes which policies they serve, for as long as there is a policy to ask about.

Holds: one request for each process and round, about everything that is pending; the pauses grow while nothing changes,
and there is no round while nothing is pending. The findings go to the reconciler, which decides.
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
    """The present generation of a policy, how it is served as far as is known, and the work to queue on a change."""

    generation: int
    work: W
    serving: ServedGeneration | None


class ProgrammedPoller(Generic[W]):
    """Pending policies and the findings. Lives in one loop; `changed` is called for each whose answer changed."""

    def __init__(self, replicas: Replicas, asker: ReplicaClient, changed: Callable[[W], None]) -> None:
        self._replicas = replicas
        self._asker = asker
        self._changed = changed
        self._pending: dict[str, _PendingPolicy[W]] = {}
        # Served everywhere; kept until the status says so.
        self._settled: dict[str, _PendingPolicy[W]] = {}
        self._none_ready: ServedGeneration | None = None
        self._new = asyncio.Event()
        self._reported: str | None = None

    def want(self, uid: str, generation: int, work: W) -> None:
        """Ask about a policy from now on, until it is forgotten."""
        if self._find_policy(uid, generation) is None:
            serving = self.serving(uid, generation)
            self.forget(uid)
            self._pending[uid] = _PendingPolicy(generation, work, serving)
            self._new.set()

    def forget(self, uid: str) -> None:
        """Ask no longer about a policy: its status says that it is programmed, or it is gone."""
        self._pending.pop(uid, None)
        self._settled.pop(uid, None)

    def serving(self, uid: str, generation: int) -> ServedGeneration | None:
        """Return how it is served as far as is known; None where processes are ready and none was asked yet."""
        known = self._find_policy(uid, generation)
        return known.serving if known is not None else self._none_ready

    async def run(self) -> None:
        """Ask until cancelled."""
        pause = _FIRST
        while True:
            if not self._pending:
                self._new.clear()
                await self._new.wait()
                pause = _FIRST
            # Policies that come with it, or right after, are part of the same request.
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
        """Ask once about everything that is pending. Returns whether any answer changed."""
        # The ones that have waited longest first, in case there are more than fit in one request.
        asked = {uid: self._pending[uid].generation for uid in [*self._pending][:_MOST]}
        replies = await self._replies([*asked.items()])
        if replies is None:
            return False
        # If no process is ready, this is the finding for policies that no process was asked about yet.
        none_ready = tally(replies, ("", 0))
        self._none_ready = None if none_ready.ready else none_ready
        news = False
        for uid, generation in asked.items():
            pending = self._pending.pop(uid, None)
            if pending is None:
                continue
            serving = tally(replies, (uid, generation))
            # If it was edited while we asked, the answers are about the previous generation.
            current = pending.generation == generation
            (self._settled if current and serving.everywhere else self._pending)[uid] = pending
            if current and serving != pending.serving:
                pending.serving, news = serving, True
                self._changed(pending.work)
        return news

    def _find_policy(self, uid: str, generation: int) -> _PendingPolicy[W] | None:
        known = self._pending.get(uid) or self._settled.get(uid)
        return known if known is not None and known.generation == generation else None

    async def _replies(self, asked: list[tuple[str, int]]) -> list[Reply] | None:
        try:
            replicas = await self._replicas.find()
        except UnreachableError as error:
            # A status could not be written either.
            self._tell(str(error))
            return None
        except RefusedError as error:
            self._tell(str(error))
            return [Reply("", ready=False, silent=str(error))]
        self._tell(None)
        return await asyncio.gather(*(self._asker.ask(replica, asked) for replica in replicas))

    def _tell(self, why: str | None) -> None:
        if why is not None and why != self._reported:
            _LOG.warning("the processes of the decision point cannot be found", why=why)
        self._reported = why
