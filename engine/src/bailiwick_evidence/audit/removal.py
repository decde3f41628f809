"""Lines that were removed whole, and whose leaf hashes were kept: whether these prove that nothing else is missing.

Standing: above `chaintable` and `vouchers`, under `logaudit`, before a chain is judged. Holds: kept leaves count only
where the root over them and all lines that are here is one that was cosigned; else it is as if there were none.
"""

from collections.abc import Sequence
from dataclasses import replace

from bailiwick_evidence.audit.chaintable import ChainTable
from bailiwick_evidence.audit.claims import RootClaim
from bailiwick_evidence.audit.findings import ChainReport, FindingCode, LogFinding
from bailiwick_evidence.audit.leaves import LeafTable
from bailiwick_evidence.audit.vouchers import latest


def fill(log: ChainTable, kept: LeafTable, claims: Sequence[RootClaim], quorum: int = 1) -> None:
    """Put kept leaves in the place of lines that are not here, as far as a cosigned root proves them.

    `claims`: the checkpoints that vouch for the chain. So many witnesses as `quorum` says must have seen it.
    """
    most = latest(claims, quorum)
    if most is None:
        return
    filled = log.leaves.filled(kept)
    end = next((end for start, end in filled.runs()[:1] if start == 0), 0)
    sizes = [claim.size for claim in claims if claim.size <= min(end, most.size)]
    made = filled.roots(sizes)
    proven = max((claim.size for claim in claims if claim.size in made and made[claim.size] == claim.root), default=0)
    if proven:
        log.remember(kept, proven)


def told(report: ChainReport, log: ChainTable) -> ChainReport:
    """Return the report of a chain with what was removed from it."""
    if not log.removed:
        return report
    removed, count = [], 0
    for first, last in log.removed:
        said = f"{last - first + 1} lines are not here, and their leaves prove it"
        removed.append(LogFinding(FindingCode.REMOVED, said, first, last))
        count += last - first + 1
    return replace(report, lines=report.lines - count, removed=count, findings=(*removed, *report.findings))
