"""The sizes of a chain that were signed, from each of which a later one can be proven to go on.

Standing: under `chainlog`. Holds: what is kept of a size is a logarithm of it, and a line that is added costs the same
however many there are; no flood of questions makes a size go that was signed less than a minute ago.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Final, NamedTuple

from bailiwick_evidence.merkle import Forest, consistency

MOST: Final = 128
_CROWD: Final = MOST // 2
_SECONDS: Final = 1.0
"""Between two sizes, where there is a crowd of them already."""


class ProvenSize(NamedTuple):
    """How many lines there are, the root over them, and the proof that those that were named are their beginning."""

    size: int
    root: bytes
    proof: list[bytes]


class ProvableSizes:
    """The tree of a chain, as far as it stands. `clock` is monotonic, in seconds. Not for two threads at once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # The whole tree at each size, and the lines between it and the next one; behind the last, up to now.
        self._trees = [Forest()]
        self._between = [Forest()]
        self._marked = float("-inf")

    @property
    def sizes(self) -> tuple[int, ...]:
        """From which of them there is a proof, from the smallest."""
        return tuple(tree.size for tree in self._trees)

    def add(self, lines: Forest) -> None:
        """Take what stands behind what there is."""
        self._between[-1].extend(lines)

    def prove(self, size: int) -> ProvenSize | None:
        """Return the size of now, or of a second ago, with a proof from another one; None if that is not kept."""
        self._mark()
        latest = self._trees[-1]
        if size == 0:
            return ProvenSize(latest.size, latest.root, [])
        at = bisect_left(self._trees, size, key=lambda tree: tree.size)
        if at == len(self._trees) or self._trees[at].size != size:
            return None
        since = Forest(size)
        for lines in self._between[at:-1]:
            since.extend(lines)
        return ProvenSize(latest.size, latest.root, consistency(self._trees[at], since))

    def _mark(self) -> None:
        """Keep the size of now."""
        latest, grown = self._trees[-1], self._between[-1]
        now = self._clock()
        if grown.size == latest.size or (len(self._trees) > _CROWD and now - self._marked < _SECONDS):
            return
        tree = latest.copy()
        tree.extend(grown)
        self._trees.append(tree)
        self._between.append(Forest(tree.size))
        self._marked = now
        if len(self._trees) > MOST:
            del self._trees[0], self._between[0]
