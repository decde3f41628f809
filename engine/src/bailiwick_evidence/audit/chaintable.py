"""The lines that were read of one chain, in any order: hashes, references that do not fit yet, second versions.

Standing: above `leaves`, under `logaudit`, which adds lines, and `judgement`, which reports on the chain. Holds: a line
that is added again, byte for byte, changes nothing.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple

from bailiwick_api import times
from bailiwick_evidence.audit.leafpages import LeafPages
from bailiwick_evidence.audit.leaves import LeafTable
from bailiwick_evidence.audit.lines import ChainLine, is_beginning, parse_line
from bailiwick_evidence.chain import ChainLink
from bailiwick_evidence.merkle import leaf_hash

NOTHING: Final = b""
"""Replaces the hash of the previous line if a line names none."""

BRIEF_LINES: Final = 1_000
"""A chain with more lines is never taken for a short one, whatever its times say."""

BEGINNING: Final = 256
"""So much of a line is kept to read its time."""
_TIME: Final = re.compile(rb'"time":"([0-9T:.+Z-]{19,40})"')


class OtherLine(NamedTuple):
    """Another line of the same number: its hash, and the hash that it names."""

    leaf: bytes
    prev: bytes


class ChainTable:
    """The lines that were read of a chain. `unfit`: by number, the hash that a line names, if the line before differs.

    `others`: further lines of the same number. `repeated` and `torn` count lines that were repeated or cut off.
    `opening` and `closing` are the chain's first and last line, parsed, and `closed` is the number of the last.
    `polled`: the operator passed its own checkpoint to the process. `removed`: first and last numbers of lines of which
    only the leaves are here. `strays`: how many lines name the chain in a form that no process writes.
    """

    __slots__ = (
        "_again",
        "_last",
        "_times",
        "closed",
        "closing",
        "doubtful",
        "id",
        "leaves",
        "newest",
        "oldest",
        "opening",
        "others",
        "polled",
        "removed",
        "repeated",
        "strays",
        "torn",
        "unfit",
    )

    def __init__(self, name: str, pages: LeafPages | None = None) -> None:
        self.id = name
        self.leaves = LeafTable(pages)
        self.unfit: dict[int, bytes] = {}
        self.others: dict[int, list[OtherLine]] = {}
        self.doubtful: dict[bytes, ChainLine] = {}
        self.removed: list[tuple[int, int]] = []
        self.repeated = self.torn = self.strays = 0
        self.opening: Mapping[str, Any] | None = None
        self.closing: Mapping[str, Any] | None = None
        self.closed: int | None = None
        self.oldest = self.newest = b""
        self.polled = False
        # The numbers and hashes in `others`, to find a line there at once.
        self._again: set[tuple[int, bytes]] = set()
        self._last = (-1, NOTHING)
        self._times: dict[int, float] = {}

    @property
    def start_time(self) -> float | None:
        """When the first line was written, by its own time, in seconds since the epoch."""
        return line_time(self.oldest)

    @property
    def end_time(self) -> float | None:
        """When the line with the highest number was written, by its own time."""
        return line_time(self.newest)

    @property
    def lifetime(self) -> float | None:
        """The minimum number of seconds from the first line to the last, even if the clock was set back.

        None if that is unknown: there are too many lines, or the first or last one has no time.
        """
        if not {0, self.leaves.size - 1} <= self._times.keys():
            return None
        told = [self._times[seq] for seq in sorted(self._times)]
        return sum(max(0.0, after - before) for before, after in pairwise(told))

    def add(self, link: ChainLink, line: bytes) -> bool:
        """Add a line with its link. Returns whether it is the first line with its number."""
        seq, leaf = link.seq, leaf_hash(line)
        prev = NOTHING if link.prev is None else link.prev
        held = self.leaves.get(seq) if seq < self.leaves.size else None
        if held is not None:
            self._add_again(seq, held, OtherLine(leaf, prev), line)
            return False
        if not self.leaves.count or seq >= self.leaves.size:
            self.newest = line[:BEGINNING]
        if seq == 0:
            self.oldest = line[:BEGINNING]
        self.leaves.set(seq, leaf)
        if self.leaves.count > BRIEF_LINES:
            self._times.clear()
        elif (moment := line_time(line[:BEGINNING])) is not None:
            self._times[seq] = moment
        before, expected = self._last
        if before != seq - 1:
            expected = (NOTHING if seq == 0 else self.leaves.get(seq - 1)) or NOTHING
        if prev != expected or (seq and not prev):
            self.unfit[seq] = prev
        if self.unfit and self.unfit.get(seq + 1) == leaf:
            del self.unfit[seq + 1]
        self._last = (seq, leaf)
        return True

    def fits(self, link: ChainLink, line: bytes) -> bool | None:
        """Tell whether a line that was joined from two pieces is the one that was here; None if it may be."""
        leaf, held = leaf_hash(line), self.leaves.get(link.seq)
        if self.leaves.get(link.seq + 1) is not None:
            return self.unfit.get(link.seq + 1, held) == leaf
        if held is not None:
            return held == leaf
        before = self.leaves.get(link.seq - 1) if link.seq else None
        return None if before is None or before == link.prev else False

    def doubt(self, link: ChainLink, line: bytes) -> None:
        """Add a line that may have been here, or may be joined from pieces of two lines."""
        self.doubtful[leaf_hash(line)] = ChainLine(link, line)
        self.add(link, line)

    def settle(self, line: ChainLine) -> None:
        """Take a doubtful line for the one that was here."""
        seq, leaf = line.link.seq, leaf_hash(line.text)
        others = (index for index, one in enumerate(self.others.get(seq, ())) if one.leaf == leaf)
        if (index := next(others, None)) is not None:
            self.choose(seq, index)
        del self.doubtful[leaf]
        if seq == 0:
            self.oldest = line.text[:BEGINNING]
        if seq == self.leaves.size - 1:
            self.newest = line.text[:BEGINNING]

    def remember(self, kept: LeafTable, below: int) -> None:
        """Add kept leaves for missing lines with numbers below this one."""
        ends = [(0, 0), *((start, end) for start, end in self.leaves.runs() if start < below), (below, below)]
        for (_, end), (start, _) in pairwise(ends):
            for seq, leaf in enumerate(kept.hashes_between(end, start), end):
                self.leaves.set(seq, leaf)
            if end < start:
                self.removed.append((end, start - 1))
                if self.unfit.get(start) == self.leaves.get(start - 1):
                    del self.unfit[start]

    def believe(self) -> None:
        """Read the first and the last line, if it was doubtful and has turned out to be the right one."""
        for leaf, line in self.doubtful.items():
            seq = line.link.seq
            if self.leaves.get(seq) == leaf and (seq == 0 or seq == self.leaves.size - 1):
                members = parse_line(line.text)
                if seq == 0 and members.get("kind") == "open":
                    self.opening = members
                elif members.get("kind") == "close":
                    self.closing, self.closed = members, seq

    @property
    def unread(self) -> int:
        """How many lines were read whole and stand beside another one of their number, which alone was handed on."""
        return sum(one.leaf not in self.doubtful for others in self.others.values() for one in others)

    def forks(self) -> list[int]:
        """Return, in order, the numbers that two different lines have."""
        found = []
        for seq, others in self.others.items():
            leaves = {self.leaves.get(seq), *(one.leaf for one in others)}
            if len(leaves - self.doubtful.keys()) > 1:
                found.append(seq)
        return sorted(found)

    def _add_again(self, seq: int, held: bytes, other: OtherLine, line: bytes) -> None:
        if other.leaf == held or (seq, other.leaf) in self._again:
            self.repeated += 1
        elif is_beginning(line):
            # The beginning of an earlier line.
            self.torn += 1
        else:
            self._again.add((seq, other.leaf))
            self.others.setdefault(seq, []).append(other)

    def _fit(self, seq: int, line: OtherLine) -> None:
        before = NOTHING if seq == 0 else self.leaves.get(seq - 1)
        self.unfit.pop(seq, None)
        if line.prev != before:
            self.unfit[seq] = line.prev
        if self.unfit.get(seq + 1) == line.leaf:
            del self.unfit[seq + 1]

    def choose(self, seq: int, index: int) -> None:
        """Replace the first line with a number by another one, and keep the first one among the others."""
        leaf = self.leaves.get(seq) or NOTHING
        before = NOTHING if seq == 0 else (self.leaves.get(seq - 1) or NOTHING)
        first = OtherLine(leaf, self.unfit.get(seq, before))
        chosen, self.others[seq][index] = self.others[seq][index], first
        self.leaves.set(seq, chosen.leaf)
        after = self.unfit.get(seq + 1, leaf)
        self._fit(seq, chosen)
        if self.leaves.get(seq + 1) is not None:
            self.unfit.pop(seq + 1, None)
            if after != chosen.leaf:
                self.unfit[seq + 1] = after

    def remove(self, seq: int) -> None:
        """Remove the first line with a number; another line with that number replaces it."""
        self.unfit.pop(seq, None)
        self.leaves.drop(seq)
        if others := self.others.pop(seq, []):
            self.leaves.set(seq, others[0].leaf)
            self._fit(seq, others[0])
            if others[1:]:
                self.others[seq] = others[1:]


def line_time(line: bytes) -> float | None:
    """Return when a line was written, by its own time near its beginning, in seconds since the epoch."""
    found = _TIME.search(line)
    moment = None if found is None else times.parse_time(found[1].decode())
    seconds = None if moment is None else moment.timestamp()
    return seconds if times.is_moment(seconds) else None
