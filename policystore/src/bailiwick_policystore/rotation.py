"""Rotation: the work of many shares, each in turn for a moment, so that none is held up by how much another has.

Standing: under `queue`, whose shares are namespaces. Holds: pure; a share that has little to do waits for at most one
turn of each other share that has work, or one step if that is longer, whatever those still have before them; a share
that took longer than its turn makes that up by turns that it misses.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from bailiwick_engine.steps import Steps

S = TypeVar("S")

TURN_SECONDS: Final = 0.002
"""Seconds of a turn. One step may take longer."""


@dataclass(slots=True)
class _Line:
    """The jobs of one share, and how long it may still take: less than nothing while it makes something up.

    `since`: when it worked last, or was made.
    """

    since: float
    credit: float = 0.0
    jobs: deque[Steps[None]] = field(default_factory=deque)


class FairRotation(Generic[S]):
    """Jobs by share. `clock` is monotonic, in seconds. Lives in one thread."""

    def __init__(self, clock: Callable[[], float], turn: float = TURN_SECONDS) -> None:
        self._clock = clock
        self._turn = turn
        self._lines: dict[S, _Line] = {}
        self._order: deque[S] = deque()

    def __len__(self) -> int:
        """How many shares have work."""
        return len(self._order)

    def add(self, share: S, job: Steps[None]) -> None:
        """Have a job done, after all others of its share."""
        line = self._lines.get(share)
        if line is None:
            line = self._lines[share] = _Line(self._clock())
        if not line.jobs:
            # In the time that it rested it made up as much.
            line.credit = min(0.0, line.credit + self._clock() - line.since)
            self._order.append(share)
        line.jobs.append(job)

    def turn(self) -> bool:
        """Work for about a turn for the next share that may. Returns whether there is work left.

        What a job raises is raised here, and that job is over.
        """
        while self._order:
            line = self._lines[self._order[0]]
            # A share that is alone owes the others nothing.
            line.credit = self._turn if len(self._order) == 1 else min(line.credit + self._turn, self._turn)
            if line.credit > 0:
                self._take(line)
                break
            self._order.rotate(-1)
        return bool(self._order)

    def _take(self, line: _Line) -> None:
        """Work for the share that is first, and put it last."""
        now = began = self._clock()
        until = began + line.credit
        try:
            while line.jobs and now < until:
                if not _stepped(line.jobs):
                    line.jobs.popleft()
                now = self._clock()
        except BaseException:
            line.jobs.popleft()
            raise
        finally:
            line.since = self._clock()
            line.credit -= line.since - began
            if line.jobs:
                self._order.rotate(-1)
            else:
                self._order.popleft()
            if not self._order:
                self._lines.clear()


def _stepped(jobs: deque[Steps[None]]) -> bool:
    """Take one step of the first job; False where it has come to its end."""
    try:
        next(jobs[0])
    except StopIteration:
        return False
    return True
