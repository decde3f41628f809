"""The sum of the shards of `audit verify`.

Standing: under `audit merge`, over `shardfile`. Holds: each chain that any shard knows of is judged, once, by its own
shard.
"""

from bailiwick_cli.shards.shardfile import ShardSet, part_of, refuse_other_chains
from bailiwick_governance.views.verificationview import ChainResults, LogTotals, LogVerification


def joined(shards: ShardSet) -> LogVerification:
    """Return what came of all chains. Raises `CliError`."""
    totals = part_of(shards.whole, LogTotals)
    parts = [part_of(share, ChainResults) for share in shards.shares]
    refuse_other_chains([[report.chain for report in part.reports] for part in parts], totals.chains)
    return LogVerification(totals, ChainResults.joined(parts))
