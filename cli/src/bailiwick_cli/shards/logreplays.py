"""A replay as a shard has it, and the sum of the shards of `replay`.

Standing: under `replay` and `audit merge`. Holds: a sum that depends on which process counted first is refused.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Self

from bailiwick_cli.errors import CliError
from bailiwick_cli.replay.tally import MOST_DAYS, MOST_GROUPS, ReplayGroup, ReplaySample, ReplayTally
from bailiwick_cli.shards.shardfile import ShardSet, part_of
from bailiwick_evidence.replay.outcomes import ReplayClass


@dataclass(frozen=True, slots=True)
class ReplayTotals:
    """What is said of all of the log. `unread`: lines that cannot be read; `foreign`: lines that look like no record.

    `fail_on`: the words of the gate. `names`: of the log files.
    """

    unread: int
    foreign: int
    fail_on: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupCount:
    """One group of a tally, with its first samples, and the classes that are possible in it."""

    group: ReplayGroup
    count: int
    samples: tuple[ReplaySample, ...]
    possible: frozenset[ReplayClass]


@dataclass(frozen=True, slots=True)
class ReplayShare:
    """The tally of one process, as JSON has it. `asked`: day, step and count of new approvals."""

    codes: dict[str, int]
    groups: tuple[GroupCount, ...]
    may: dict[ReplayClass, int]
    asked: tuple[tuple[str, str, int], ...]
    elsewhere: int
    others: int
    first: float | None
    last: float | None
    old_ns: int
    new_ns: int

    @classmethod
    def from_tally(cls, tally: ReplayTally) -> Self:
        """Return a tally. Raises `CliError` if it had no room for all."""
        _refuse_overflow(tally)
        groups = tuple(
            GroupCount(
                group, count, tuple(tally.samples.get(group, ())), tally.possible.get(group, frozenset[ReplayClass]())
            )
            for group, count in tally.groups.items()
        )
        asked = tuple((day, step, count) for (day, step), count in tally.asked.items())
        return cls(
            dict(tally.codes),
            groups,
            dict(tally.may),
            asked,
            tally.elsewhere,
            tally.others,
            tally.first,
            tally.last,
            tally.old_ns,
            tally.new_ns,
        )

    def tally(self) -> ReplayTally:
        """Return it as it was counted."""
        return ReplayTally(
            codes=Counter(self.codes),
            groups=Counter({one.group: one.count for one in self.groups}),
            samples={one.group: [*one.samples] for one in self.groups if one.samples},
            may=Counter(self.may),
            possible={one.group: one.possible for one in self.groups if one.possible},
            asked=Counter({(day, step): count for day, step, count in self.asked}),
            elsewhere=self.elsewhere,
            others=self.others,
            first=self.first,
            last=self.last,
            old_ns=self.old_ns,
            new_ns=self.new_ns,
        )


def joined(shards: ShardSet) -> tuple[ReplayTotals, ReplayTally]:
    """Return what all shards counted. Raises `CliError`."""
    tally = ReplayTally()
    for share in shards.shares:
        tally.join(part_of(share, ReplayShare).tally())
    _refuse_overflow(tally)
    return part_of(shards.whole, ReplayTotals), tally


def _refuse_overflow(tally: ReplayTally) -> None:
    if tally.overflowed or len(tally.groups) > MOST_GROUPS or len(tally.asked) > MOST_DAYS:
        raise CliError(
            f"more than {MOST_GROUPS} groups of subject, action and class, or {MOST_DAYS} of day and step: a divided"
            " replay of them is not exact. Use --since, fewer files, or one process"
        )
