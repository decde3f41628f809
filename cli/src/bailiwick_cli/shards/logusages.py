"""The uses that a shard counted, and the sum of the shards of `unused`.

Standing: under `unused` and `audit merge`. Holds: what one chain says of another, and gaps between all of them, are
judged only of the sum.
"""

from dataclasses import dataclass
from typing import Self

from bailiwick_cli.errors import CliError
from bailiwick_cli.shards.shardfile import ShardSet, part_of, refuse_other_chains
from bailiwick_engine.keys import Key
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.usage.scopes import RuleScope, ScopeUse
from bailiwick_governance.usage.logusage import ChainUsage, LogLoss, LogUsage, conclude
from bailiwick_governance.usage.memory import UseMemory
from bailiwick_governance.usage.presence import ScopeRun


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """What is said of all of the log. `window` and `gap` in seconds; `scopes`: of the policies, in order.

    `unread`: lines that cannot be read, of whichever chain they are. `chains`: how many there are. `notes`: what else
    is to be said.
    """

    window: float
    gap: float
    scopes: tuple[RuleScope, ...]
    unread: int
    chains: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UsageShare:
    """What the chains of one process say. `uses`: each scope with its last use, and how often it was used.

    `doubtful`: whose uses are not known, with the last time. `unread`: lines of these chains that cannot be read.
    """

    uses: tuple[tuple[RuleScope, float | None, int], ...]
    doubtful: dict[Key, float]
    unread: int
    runs: tuple[ScopeRun, ...]
    chains: tuple[ChainUsage, ...]

    @classmethod
    def from_usage(cls, usage: LogUsage, audit: LogAudit) -> Self:
        """Return what was counted."""
        memory = usage.memory
        return cls(
            tuple((scope, use.last_use, use.uses) for scope, use in memory.scopes.items()),
            memory.doubtful,
            usage.unread + audit.torn_in_chains,
            tuple(usage.runs()),
            tuple(usage.chains(audit)),
        )


def joined(shards: ShardSet) -> tuple[UsageTotals, UseMemory, list[LogLoss]]:
    """Return what all shards counted, and what is missing of the log. Raises `CliError`."""
    totals, memory = part_of(shards.whole, UsageTotals), UseMemory()
    parts = [part_of(share, UsageShare) for share in shards.shares]
    refuse_other_chains([[chain.rank[2] for chain in part.chains] for part in parts], totals.chains)
    for part in parts:
        for scope, last, uses in part.uses:
            _join(memory.scope(scope), last, uses)
        for subject, moment in part.doubtful.items():
            memory.doubt(subject, moment)
    losses = conclude(
        memory,
        (run for part in parts for run in part.runs),
        (chain for part in parts for chain in part.chains),
        totals.unread + sum(part.unread for part in parts),
        totals.gap,
    )
    if memory.covered is None:
        raise CliError("no line of a chain in the log of these shards")
    return totals, memory, losses


def _join(use: ScopeUse, last: float | None, uses: int) -> None:
    if last is not None:
        use.last_use = last if use.last_use is None else max(use.last_use, last)
    use.uses += uses
