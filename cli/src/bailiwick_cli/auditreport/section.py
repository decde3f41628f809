"""A section of the report in words: sentences, a chart and a table; and how a text of others becomes a cell.

Standing: under everything that says what stands in a section. Holds: data only. Every cell is escaped, and marked where
it reads as another text; what a table leaves out is counted below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bailiwick_api import times
from bailiwick_cli.auditreport.figures.reportedcall import CallReviews
from bailiwick_cli.auditreport.figures.toprows import CountedRow, TopList
from bailiwick_governance.display import counted, quote
from bailiwick_governance.lookalikes import warnings

Row = tuple[str, ...]
NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class ReportChart:
    """Counts over time. `names`: of the slots; `series`: each with its label and its counts, by slot."""

    title: str
    names: tuple[str, ...]
    series: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table. `rest`: what it leaves out, in a sentence; "": nothing. `numbers`: which columns have numbers."""

    headers: Row
    rows: tuple[Row, ...]
    rest: str = ""
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A section. `points`: sentences that stand each for itself."""

    title: str
    sentences: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    chart: ReportChart | None = None
    tables: tuple[ReportTable, ...] = field(default=())


def cell(text: str) -> str:
    """Return a text of others as a cell has it."""
    marks = warnings(text)
    return quote(text) + (f" [{'; '.join(marks)}]" if marks else "")


def parties_cell(parties: Sequence[str]) -> str:
    """Return whom a call is for, and through whom."""
    return " through ".join(cell(one) for one in parties)


def reviews_cell(reviews: CallReviews) -> str:
    """Return who reviewed, each with the step; a denial is named as one, and what is left out is counted."""
    listed = [
        f"{cell(one.reviewer)} ({cell(one.step)}{'' if one.decision == 'Approve' else f': {cell(one.decision)}'})"
        for one in reviews.listed
    ]
    rest = f" and {reviews.more:,} more" if reviews.more else ""
    return (", ".join(listed) or NONE) + rest


def count_cell(row: CountedRow[Any]) -> str:
    """Return how often; where there may have been more, that it is the least."""
    return f"at least {row.count:,}" if row.partial else f"{row.count:,}"


def span_cell(row: CountedRow[Any]) -> str:
    """Return when the first and the last one was."""
    first, last = times.epoch_stamp(row.first), times.epoch_stamp(row.last)
    return first if first == last else f"{first} to {last}"


def rest_of(top: TopList[Any]) -> str:
    """Say what a list leaves out."""
    if not top.more and not top.dropped:
        return ""
    least = "at least " if top.dropped else ""
    why = " There were more rows than there is room for." if top.dropped else ""
    return f"And {least}{counted(top.more, 'more row')}, with {counted(top.more_counted, 'decision')} together.{why}"


def rest_of_rows(rows: Sequence[object], most: int) -> str:
    """Say how many rows are left out behind so many."""
    return f"And {counted(len(rows) - most, 'more row')}." if len(rows) > most else ""
