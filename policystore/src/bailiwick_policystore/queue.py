"""Queue: the namespaces that have something to do, each in its turn, for as long as it has.

Standing: over `rotation`, which is pure; the place that runs work on policies in a loop. Holds: work of one
namespace is never begun twice at a time; what raises ends the work of one namespace and of no other, and the owner
has it tried again.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from bailiwick_engine.steps import Steps
from bailiwick_policystore.rotation import FairRotation
from bailiwick_policystore.slices import Slices

_AGAIN_SECONDS: Final = 1.0
# After a start, work takes all the time that it can get until it is done for the first time, or for so long.
_START_SECONDS: Final = 60.0
NOTING: Final = ""
"""The share in which what came into force is noted. No namespace has such a name."""
FREEING: Final = "/freeing"
"""The share in which what is no longer needed is freed: another one, so that nothing else waits until all is."""

_log = structlog.get_logger()


class NamespaceQueue:
    """Lives in one loop. `work` returns the steps in which a namespace does what it has to do, until there is nothing.

    `resume` rouses all namespaces that have something to do, after a defect. `clock` is monotonic, in seconds.
    `resting`: once what was there at the start is done, work leaves most of the processor's time to others.
    """

    def __init__(
        self,
        work: Callable[[str], Steps[None]],
        resume: Callable[[], None],
        clock: Callable[[], float],
        *,
        resting: bool = False,
    ) -> None:
        self._work = work
        self._resume = resume
        self._clock = clock
        self._resting = resting
        self._rotation: FairRotation[str] = FairRotation(clock)
        self._working: set[str] = set()
        self._woken = asyncio.Event()

    @property
    def busy(self) -> bool:
        """There is work left. For tests: `run` says so to `between`."""
        return bool(self._working) or len(self._rotation) > 0

    def rouse(self, namespace: str) -> None:
        """Have a namespace look at what it has to do."""
        if namespace not in self._working:
            self._working.add(namespace)
            self._rotation.add(namespace, self._steps(namespace))
        self._woken.set()

    def add(self, share: str, steps: Steps[None]) -> None:
        """Have work done that is of no namespace, in a share of its own."""
        self._rotation.add(share, steps)
        self._woken.set()

    def wake(self) -> None:
        """Have `between` called though there may be nothing to do."""
        self._woken.set()

    async def run(self, between: Callable[[bool], None]) -> None:
        """Do all work, for ever. `between` is called after each turn, with whether there is work left."""
        started, done = self._clock() + _START_SECONDS, False
        while True:
            await self._woken.wait()
            self._woken.clear()
            going, slices = True, Slices(patient=True)
            while going:
                going = self._turn()
                between(going)
                slices.resting = self._resting and (done or self._clock() > started)
                # Calls that come meanwhile are answered.
                await slices.turn()
            done = True

    def drain(self, namespace: str) -> Steps[None]:
        """Do work until a namespace has none; others have their turns meanwhile."""
        while namespace in self._working:
            self._turn()
            yield

    def _turn(self) -> bool:
        """Work for a turn. Returns whether there is work left."""
        try:
            return self._rotation.turn()
        except Exception:  # noqa: BLE001 - a defect; what it was about goes on to wait, so that it denies
            _log.exception("policies of a namespace could not be loaded, trying again")
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._resume)
        return True

    def _steps(self, namespace: str) -> Steps[None]:
        try:
            yield from self._work(namespace)
        finally:
            self._working.discard(namespace)
