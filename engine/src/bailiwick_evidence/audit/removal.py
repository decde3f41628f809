"""Removed lines whose leaf hashes were kept: whether the hashes prove that nothing else is missing.

Standing: above `chaintable` and `vouchers`, under `logaudit`, before a chain is judged. Holds: kept leaves count only
if the root over them and all present lines is a cosigned one; otherwise they are ignored.
"""

from collections.abc import Sequence
from dataclasses import replace

from bailiwick_evidence.audit.chaintable import ChainTable
from bailiwick_evidence.audit.claims import RootClaim
from bailiwick_evidence.audit.findings import ChainReport, FindingCode, LogFinding
from bailiwick_evidence.audit.leaves import LeafTable
from bailiwick_evidence.audit.vouchers import latest


def fill(log: ChainTable, kept: LeafTable, claims: Sequence[RootClaim], quorum: int = 1) -> None:
    """Replace missing lines by kept leaves, as far as a cosigned root proves them.

    `claims`: the checkpoints that vouch for the chain. `quorum`: how many witnesses must have seen it.
    """
    most = latest(claims, quorum)
    if most is None:
        return
    filled = log.leaves.filled_from(kept)
    end = next((end for start, end in filled.runs()[:1] if start == 0), 0)
    sizes = [claim.size for claim in claims if claim.size <= min(end, most.size)]
    made = filled.roots(sizes)
    proven = max((claim.size for claim in claims if claim.size in made and made[claim.size] == claim.root), default=0)
    if proven:
        log.remember(kept, proven)


def report_removal(report: ChainReport, log: ChainTable) -> ChainReport:
    """Return the report of a chain with findings for its removed lines."""
    if not log.removed:
        return report
    removed, count = [], 0
    for first, last in log.removed:
        said = f"{last - first + 1} lines were removed, and their leaves prove that no other line is missing"
        removed.append(LogFinding(FindingCode.REMOVED, said, first, last))
        count += last - first + 1
    return replace(report, lines=report.lines - count, removed=count, findings=(*removed, *report.findings))
