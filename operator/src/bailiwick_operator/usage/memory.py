"""Adds up what processes reported of uses. Pure: no process is asked here.

Holds: the latest day is kept, and the counts of a candidate are added over all memories of processes, including those
that ended; nothing is kept of policies that do not exist.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from bailiwick_operator.reconcile.usage import PolicyUse

_MOST_MEMORIES: Final = 256
_NOTHING: Final = (0, 0)


@dataclass(frozen=True, slots=True)
class ReplicaUsage:
    """What one process reported. `memory` names one life of it, whose counts belong together.

    Days are since the epoch, in UTC.
    """

    memory: str
    used: dict[str, int] = field(default_factory=dict)
    shadows: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Of a candidate: generation, calls that were compared, and those that differed."""


@dataclass(slots=True)
class _CandidateCounts:
    """Of one generation, by memory. `ended`: the sum of the memories that were dropped because there were too many."""

    generation: int
    by_memory: dict[str, tuple[int, int]] = field(default_factory=dict)
    ended: tuple[int, int] = _NOTHING


class UsageMemory:
    """What is known. Lives in one loop."""

    def __init__(self) -> None:
        self._days: dict[str, int] = {}
        self._counts: dict[str, _CandidateCounts] = {}

    def day(self, uid: str) -> int:
        """Return the day of the last reported use of a policy; 0: none was reported."""
        return self._days.get(uid, 0)

    def policy_use(self, uid: str, generation: int) -> PolicyUse:
        """Return the reported use of a policy; counts of this generation alone."""
        counts = self._counts.get(uid)
        if counts is None or counts.generation != generation:
            return PolicyUse(self.day(uid))
        parts = (counts.ended, *counts.by_memory.values())
        return PolicyUse(
            self.day(uid), sum(compared for compared, _ in parts), sum(different for _, different in parts)
        )

    def uids(self) -> set[str]:
        """Return the uids of the policies of which something was reported."""
        return self._days.keys() | self._counts.keys()

    def take(self, report: ReplicaUsage, asked: Collection[str]) -> None:
        """Take in what a process reported of the policies that it was asked about."""
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


def _count(counts: _CandidateCounts, memory: str, reported: tuple[int, int]) -> None:
    before = counts.by_memory.pop(memory, _NOTHING)
    counts.by_memory[memory] = (max(before[0], reported[0]), max(before[1], reported[1]))
    if len(counts.by_memory) > _MOST_MEMORIES:
        # The one that has been silent for longest.
        gone = counts.by_memory.pop(next(iter(counts.by_memory)))
        counts.ended = (counts.ended[0] + gone[0], counts.ended[1] + gone[1])
