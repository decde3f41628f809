"""Doubtful lines: joined from pieces of which other lines could be made, until a cosigned root says which one was here.

Standing: above `chaintable` and `claims`, under `logaudit`. Holds: a line leaves doubt only with a root that witnesses
cosigned over it and all lines before it; lines that were read whole are never exchanged. The work is bounded: what is
not tried stays in doubt.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bailiwick_evidence.audit.chaintable import ChainTable
from bailiwick_evidence.audit.claims import RootClaim
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.merkle import Forest, leaf_hash

_TRIED: Final = 100_000
"""How many lines of candidates are hashed for one chain, at most."""


def settle(log: ChainTable, claims: Sequence[RootClaim]) -> list[ChainLine]:
    """Return the doubtful lines that were certainly here, in order; the chain has them in doubt no more."""
    found = _witnessed_lines(log, claims)
    for line in found:
        log.settle(line)
    return found


def _witnessed_lines(log: ChainTable, claims: Sequence[RootClaim]) -> list[ChainLine]:
    by_number: dict[int, dict[bytes, ChainLine]] = {}
    for leaf, line in log.doubtful.items():
        by_number.setdefault(line.link.seq, {})[leaf] = line
    first = min(by_number)
    start, end = next(iter(log.leaves.runs()), (0, 0))
    if start or first > end:
        return []
    below, tried = Forest(), 0
    below.append_leaves(log.leaves.hashes_between(0, first))
    # The largest one first: a line names those before it.
    for claim in sorted(claims, key=lambda one: one.size, reverse=True):
        # No line that was read whole follows them: it would have named the one before it.
        for leaf in by_number.get(claim.size - 1, ()):
            tried += claim.size - first
            if tried > _TRIED:
                return []
            lines = [*_lines_to(leaf, claim.size - 1, first, by_number)][::-1]
            forest = below.copy()
            forest.append_leaves(leaf_hash(line.text) for line in lines)
            if forest.size == claim.size and forest.root == claim.root:
                return lines
    return []


def _lines_to(
    leaf: bytes, number: int, first: int, by_number: Mapping[int, Mapping[bytes, ChainLine]]
) -> Iterator[ChainLine]:
    """Yield a line and those before it, each as the one behind it names it, as far as they are here."""
    wanted: bytes | None = leaf
    while wanted is not None and number >= first and (line := by_number.get(number, {}).get(wanted)) is not None:
        yield line
        wanted, number = line.link.prev, number - 1
