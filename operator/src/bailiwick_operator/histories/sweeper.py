"""Retention of histories: at intervals, delete those that count nothing any more.

Standing: over `reconcile.historyretention`, which says when that is. Holds: a history is deleted only as the very
version that was judged, so a write in between wins; only if its end is past by the API server's clock and by one that
was trusted when it was judged; never more than `PER_SECOND`. One that cannot be judged is kept and counted. Only
metadata is read, and no failure ends the process or costs a whole interval.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import structlog

from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.kube import HISTORIES_PATH, Object, OperatorClient, RefusedError
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.reconcile.historyretention import NamespaceTurns, keep_until

_LOG: Final = structlog.get_logger(__name__)
INTERVAL: Final = 600.0
"""Seconds between two rounds."""
RETRY: Final = 5.0
"""Seconds after a round that did not end; each further one waits twice as long, at most `INTERVAL`."""
PER_SECOND: Final = 10
MOST: Final = 6_000
"""Deletions of a round: as many as there is time for between two rounds."""
_CLOCKS: Final = "the clocks of the operator and of the API server do not agree"
Outcome = Literal["deleted", "changed", "refused"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("deleted", "changed", "refused")


class HistorySweeper:
    """Lives in the main loop."""

    def __init__(
        self,
        kube: OperatorClient,
        clock: Clock,
        *,
        interval: float = INTERVAL,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._interval = interval
        self._sleep = sleep
        self.problem: str | None = None
        """Why the last round did not end, for a person; None where it did."""
        self.steps = 0
        """How many pages were read and deletions tried. For the health of the process."""
        self.objects = 0
        """How many histories there were at the last look."""
        self.undated = 0
        """How many of them do not say in a readable way until when they count. They are kept."""
        self.outcomes: Counter[Outcome] = Counter()
        """What became of deletions."""

    async def run(self) -> None:
        """Look at intervals, until cancelled."""
        retry = RETRY
        while True:
            more = await self.round()
            if self.problem is None:
                retry = RETRY
                if not more:
                    await self._sleep(self._interval)
            else:
                # A clock that is not trusted yet, or an API server that is busy, is soon well again.
                await self._sleep(min(retry, self._interval))
                retry = min(2 * retry, self._interval)

    async def round(self) -> bool:
        """Look once, and delete. Returns whether more can be deleted at once."""
        self.steps += 1
        problem: str | None = None
        ended: list[Object] = []
        try:
            ended, doubted = await self._ended()
            problem = _CLOCKS if doubted else None
            for metadata in ended:
                if not self._clock.check():
                    problem = _CLOCKS
                    break
                # One that cannot be deleted keeps no other one.
                problem = await self._delete(metadata) or problem
                await self._sleep(1 / PER_SECOND)
        except (UnreachableError, RefusedError) as error:
            problem = str(error)
        self._report(problem)
        return problem is None and len(ended) == MOST

    async def _ended(self) -> tuple[list[Object], bool]:
        """Return the metadata of histories that have ended, at most `MOST`, in turn by namespace.

        Also whether more of them have by the API server's time alone, with which ours does not agree.
        """
        turns: NamespaceTurns[Object] = NamespaceTurns(MOST)
        objects = undated = 0
        doubted = False
        async for page in self._kube.metadata_pages(HISTORIES_PATH):
            self.steps += 1
            # By each page's own time: the next one may be of an API server whose clock is right again.
            earliest = self._clock.trusted_earliest()
            surely = None if earliest is None else earliest.timestamp()
            for item in page.items:
                objects += 1
                end = keep_until(item)
                if end is None:
                    undated += 1
                # The server's own time: it was certainly not earlier when it answered.
                elif page.date is None or end > page.date:
                    continue
                elif surely is None:
                    doubted = True
                elif end <= surely:
                    turns.add(item["metadata"]["namespace"], item["metadata"])
        self.objects, self.undated = objects, undated
        return turns.taken(), doubted

    async def _delete(self, metadata: Object) -> str | None:
        """Delete one; return what is wrong where that is refused."""
        self.steps += 1
        answer = await self._kube.delete_history(metadata)
        outcome: Outcome = "deleted" if answer.ok or answer.missing else "changed" if answer.conflict else "refused"
        self.outcomes[outcome] += 1
        if outcome != "refused":
            return None
        return f"history {metadata['namespace']}/{metadata['name']} cannot be deleted: {answer.message}"

    def _report(self, problem: str | None) -> None:
        if problem != self.problem:
            if problem is None:
                _LOG.info("histories that count no more are deleted again")
            else:
                _LOG.warning("histories that count no more are not deleted: trying again", problem=problem)
        self.problem = problem
