"""Figures of decisions: how many a minute by outcome, over 24 hours, and the commonest reasons of denials.

Holds: pure; memory does not grow with the records. A line that stands in several files counts as often, and lines that
cannot be read are counted.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bailiwick_api import times
from bailiwick_engine.reasons import EXPLAINED, Reason
from bailiwick_evidence.audit.lines import parse_line
from bailiwick_evidence.audit.placedlines import PlacedLines
from bailiwick_evidence.linekinds import DECISIONS
from bailiwick_governance.records.listedrecords import ALLOWED, OUTCOMES, ListedRecord

SLOT_SECONDS: Final = 900
SLOTS: Final = 96
_TOP: Final = 8
_MOST_REASONS: Final = 1_000
_CODES: Final = frozenset(Reason)


@dataclass(frozen=True, slots=True)
class DecisionSlot:
    """Decisions of a quarter of an hour. `begin`: in seconds since the epoch. `asked`: denied until it is approved."""

    begin: int
    allowed: int
    asked: int
    denied: int

    @property
    def time(self) -> str:
        """When it begins, in words."""
        return times.epoch_stamp(self.begin)

    @property
    def rates(self) -> tuple[str, str, str]:
        """Decisions a minute: allowed, needing an approval, denied."""
        per = SLOT_SECONDS / 60
        allowed, asked, denied = (f"{count / per:.2f}" for count in (self.allowed, self.asked, self.denied))
        return allowed, asked, denied


@dataclass(frozen=True, slots=True)
class ReasonFigure:
    """A reason of denials. `sentence`: empty for a code that this version does not know."""

    reason: str
    count: int
    sentence: str


@dataclass(frozen=True, slots=True)
class DecisionFigures:
    """The figures of 24 hours. `unread`: lines that are no line of a chain; `untimed`: decisions that say no time."""

    slots: tuple[DecisionSlot, ...]
    reasons: tuple[ReasonFigure, ...]
    allowed: int
    asked: int
    denied: int
    unread: int
    untimed: int
    newest: str

    @property
    def total(self) -> int:
        """Decisions of these hours."""
        return self.allowed + self.asked + self.denied


def decision_figures(lines: Iterable[tuple[str, int, bytes]], now: float) -> DecisionFigures:
    """Read lines, each with its file and number. Raises `UserError` where the files cannot be read."""
    last = int(now) // SLOT_SECONDS * SLOT_SECONDS
    first = last - (SLOTS - 1) * SLOT_SECONDS
    counts: Counter[tuple[int, str]] = Counter()
    reasons: Counter[str] = Counter()
    unread = untimed = 0
    newest = 0.0
    for line in PlacedLines().read(lines):
        found = line.line
        record = {} if found is None else parse_line(found.text)
        if found is None or not isinstance(record.get("kind"), str):
            unread += 1
            continue
        if record["kind"] not in DECISIONS:
            continue
        one = ListedRecord.from_line(found, record)
        if one.moment is None:
            untimed += 1
            continue
        newest = max(newest, one.moment)
        if not first <= one.moment < last + SLOT_SECONDS:
            continue
        counts[int(one.moment) // SLOT_SECONDS * SLOT_SECONDS, one.outcome] += 1
        if one.outcome != ALLOWED and (one.reason in reasons or len(reasons) < _MOST_REASONS):
            reasons[one.reason] += 1
    slots = tuple(
        DecisionSlot(begin, *(counts[begin, outcome] for outcome in OUTCOMES))
        for begin in range(first, last + 1, SLOT_SECONDS)
    )
    return DecisionFigures(
        slots,
        tuple(ReasonFigure(name, count, _sentence(name)) for name, count in reasons.most_common(_TOP)),
        sum(one.allowed for one in slots),
        sum(one.asked for one in slots),
        sum(one.denied for one in slots),
        unread,
        untimed,
        times.epoch_stamp(newest) if newest else "",
    )


def _sentence(code: str) -> str:
    return EXPLAINED[Reason(code)].sentence if code in _CODES else ""
