"""What processes said of uses, put together. Nobody is asked here.

Holds: of days the latest stays, and counts of a candidate are added over all memories of processes, those that ended
too; no more is kept than of policies that there are.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from bailiwick_operator.reconcile.usage import PolicyUse

_MOST_MEMORIES: Final = 256
_NOTHING: Final = (0, 0)


@dataclass(frozen=True, slots=True)
class ReplicaUsage:
    """What one process said. `memory`: which counts are of one life of it. Days are since the epoch, in UTC."""

    memory: str
    used: dict[str, int] = field(default_factory=dict)
    shadows: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Of a candidate: generation, calls that were compared, and those that differed."""


@dataclass(slots=True)
class _CandidateCounts:
    """Of one generation, by memory. `ended`: what is added of those that there are too many of."""

    generation: int
    by_memory: dict[str, tuple[int, int]] = field(default_factory=dict)
    ended: tuple[int, int] = _NOTHING


class UsageMemory:
    """What is known. Lives in one loop."""

    def __init__(self) -> None:
        self._days: dict[str, int] = {}
        self._counts: dict[str, _CandidateCounts] = {}

    def day(self, uid: str) -> int:
        """Return the day of the last use that was told of a policy; 0: none was."""
        return self._days.get(uid, 0)

    def of(self, uid: str, generation: int) -> PolicyUse:
        """Return what was told of a policy; counts of this generation alone."""
        counts = self._counts.get(uid)
        if counts is None or counts.generation != generation:
            return PolicyUse(self.day(uid))
        told = (counts.ended, *counts.by_memory.values())
        return PolicyUse(self.day(uid), sum(one for one, _ in told), sum(other for _, other in told))

    def known(self) -> set[str]:
        """Return the uids of the policies of which something was told."""
        return self._days.keys() | self._counts.keys()

    def take(self, report: ReplicaUsage, asked: Collection[str]) -> None:
        """Take in what a process said of the policies that it was asked about."""
        for uid, day in report.used.items():
            if uid in asked and day > self.day(uid):
                self._days[uid] = day
        for uid, (generation, compared, different) in report.shadows.items():
            if uid not in asked:
                continue
            counts = self._counts.get(uid)
            if counts is None or counts.generation < generation:
                counts = self._counts[uid] = _CandidateCounts(generation)
            if counts.generation == generation:
                _count(counts, report.memory, (compared, different))

    def forget(self, uid: str) -> None:
        """Forget a policy that is gone."""
        self._days.pop(uid, None)
        self._counts.pop(uid, None)


def _count(counts: _CandidateCounts, memory: str, told: tuple[int, int]) -> None:
    before = counts.by_memory.pop(memory, _NOTHING)
    counts.by_memory[memory] = (max(before[0], told[0]), max(before[1], told[1]))
    if len(counts.by_memory) > _MOST_MEMORIES:
        # Of whom nothing was heard for longest.
        gone = counts.by_memory.pop(next(iter(counts.by_memory)))
        counts.ended = (counts.ended[0] + gone[0], counts.ended[1] + gone[1])
