"""Figures of requests: how many wait and for how long, how many can be used, and what was used today.

Holds: pure; by the grants that are stored, so a use of a grant that was deleted since is in no figure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bailiwick_console.grants.inbox import InboxList
from bailiwick_governance.grants.grantview import GrantView, moment

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
AGES: Final = (
    ("less than 15 minutes", 15 * _MINUTE),
    ("15 minutes to an hour", _HOUR),
    ("1 to 4 hours", 4 * _HOUR),
    ("4 to 24 hours", 24 * _HOUR),
    ("more than a day", float("inf")),
)
"""Names of ages, each with its end in seconds."""


@dataclass(frozen=True, slots=True)
class AgeFigure:
    """How many requests have waited for so long: for this person, and in all."""

    label: str
    mine: int
    total: int


@dataclass(frozen=True, slots=True)
class RequestFigures:
    """The figures. `day`: of the uses, in UTC; `left_out`: grants that cannot be read, and are in no figure."""

    review: int
    waiting: int
    active: int
    uses: int
    day: str
    ages: tuple[AgeFigure, ...]
    left_out: int

    @property
    def most(self) -> int:
        """The largest figure of an age, at least 1."""
        return max(1, *(one.total for one in self.ages))


def request_figures(lists: Mapping[InboxList, Sequence[GrantView]], left_out: int, now: float) -> RequestFigures:
    """Return the figures of an inbox at a moment, in seconds since the epoch."""
    # A grant of one's own stands in two lists.
    grants = {grant.uid: grant for listed in lists.values() for grant in listed}
    pending = [grant for grant in grants.values() if grant.phase == "Pending"]
    mine = {grant.uid for grant in lists[InboxList.REVIEW]}
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return RequestFigures(
        review=len(mine),
        waiting=len(pending),
        active=len(lists[InboxList.ACTIVE]),
        uses=sum(_uses(grant, today.timestamp()) for grant in grants.values()),
        day=f"{today:%Y-%m-%d}",
        ages=tuple(_ages(pending, mine, now)),
        left_out=left_out,
    )


def _ages(pending: Sequence[GrantView], mine: set[str], now: float) -> Iterable[AgeFigure]:
    begin = float("-inf")
    for label, end in AGES:
        here = [grant for grant in pending if begin <= now - moment(grant.raw["metadata"]["creationTimestamp"]) < end]
        yield AgeFigure(label, sum(grant.uid in mine for grant in here), len(here))
        begin = end


def _uses(grant: GrantView, since: float) -> int:
    return sum(moment(use["time"]) >= since for use in grant.status.get("useRecords") or ())
