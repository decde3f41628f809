"""One pass over the record files: the newest decisions that are asked for, how many there are, and what is damaged.

Standing: over `query`. Holds: what is kept does not grow with the files; a line that cannot be read is shown with its
file and number, and so many more are counted; nothing is judged here, which the audit does.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from bailiwick_console.records.query import RecordFilter, RecordQuery
from bailiwick_evidence.audit.lines import parse_line
from bailiwick_evidence.audit.placedlines import PlacedLine, PlacedLines
from bailiwick_evidence.linekinds import BESIDE_DECISIONS, DECISIONS, POLICY_LIST, SEARCH
from bailiwick_governance.records.listedrecords import ListedRecord

MOST: Final = 1_000
"""So many decisions are kept of those that are asked for, the newest."""
MOST_LETTERS: Final = 8 << 20
"""So many letters all of them may have together."""
_MOST_DAMAGED: Final = 100
_MOST_REASONS: Final = 200
_BEGINS: Final = b'{"log":{"id":"'
_KNOWN: Final = BESIDE_DECISIONS | {POLICY_LIST, SEARCH}


@dataclass(frozen=True, slots=True)
class DamagedLine:
    """A line that is no record: where it stands, and what is wrong with it."""

    file: str
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class RecordScan:
    """What a pass found. `records`: the newest first; `cut`: there are older ones that are asked for.

    `matched` lines are asked for, of `decisions`; one that stands in several files counts as often, and is listed once.
    `damaged` of `damages`: the first of them. `reasons`: those that decisions have, in order of name.
    """

    records: tuple[ListedRecord, ...]
    cut: bool
    matched: int
    decisions: int
    lines: int
    damaged: tuple[DamagedLine, ...]
    damages: int
    reasons: tuple[str, ...]


@dataclass
class _Newest:
    """The newest records. A line that stands in several files is kept once."""

    heap: list[tuple[tuple[float, str, int], int, ListedRecord]] = field(default_factory=list)
    known: set[tuple[str, int]] = field(default_factory=set)
    cut: bool = False
    letters: int = 0

    def add(self, one: ListedRecord, number: int) -> None:
        place = (one.chain, one.seq)
        if place in self.known:
            return
        heapq.heappush(self.heap, (one.order, number, one))
        self.known.add(place)
        self.letters += one.letters
        while len(self.heap) > MOST or self.letters > MOST_LETTERS:
            self.cut = True
            gone = heapq.heappop(self.heap)[2]
            self.known.discard((gone.chain, gone.seq))
            self.letters -= gone.letters

    def listed(self) -> tuple[ListedRecord, ...]:
        return tuple(one for _, _, one in sorted(self.heap, key=lambda entry: entry[:2], reverse=True))


def scan(lines: Iterable[tuple[str, int, bytes]], asked: RecordQuery) -> RecordScan:
    """Read lines, each with its file and number. Raises `UserError` where the files cannot be read."""
    wanted = RecordFilter.of(asked)
    newest, reasons = _Newest(), set[str]()
    damaged: list[DamagedLine] = []
    matched = decisions = damages = 0
    placed = PlacedLines()
    for line in placed.read(lines):
        found = line.line
        record = {} if found is None else parse_line(found.text)
        kind = record.get("kind")
        if found is None or not isinstance(kind, str) or kind not in DECISIONS | _KNOWN:
            damages += 1
            if len(damaged) < _MOST_DAMAGED:
                damaged.append(DamagedLine(line.file, line.number, _why(line, kind)))
        elif kind in DECISIONS:
            one = ListedRecord.from_line(found, record)
            decisions += 1
            if len(reasons) < _MOST_REASONS:
                reasons.add(one.reason)
            if wanted.takes(one):
                matched += 1
                newest.add(one, -decisions)
    return RecordScan(
        newest.listed(),
        newest.cut,
        matched,
        decisions,
        placed.count,
        tuple(damaged),
        damages,
        tuple(sorted(reasons)),
    )


def _why(one: PlacedLine, kind: object) -> str:
    if one.line is not None and isinstance(kind, str):
        return f"a line of a kind that this version does not know: {kind}"
    if one.line is not None:
        return "a line of a chain that does not say what it is"
    if one.lost:
        return "the hash of a long line that is not here, or that there was no room to read"
    if one.text.startswith(_BEGINS):
        return "a line of a chain that is cut off, too long or damaged"
    if one.decision:
        return "it looks like a decision, and is in no chain"
    return "no line of a chain"
