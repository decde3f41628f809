"""How approvals ended, as the operator's ledger says: those of the period, and who reviewed them.

Standing: under `report`. Holds: pure; a line of any shape gives a grant, with what it says or that it does not say it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bailiwick_api.times import parse_time
from bailiwick_cli.auditreport.figures.period import ReportPeriod
from bailiwick_cli.auditreport.figures.reportedcall import CallReviews, cut, reviews_of
from bailiwick_governance.records.listedrecords import member_of, text_of


@dataclass(frozen=True, slots=True)
class GrantEnd:
    """A grant as it ended. `ended`: in seconds since the epoch. `uses`: how often it was used."""

    approval: str
    uid: str
    phase: str
    subject: str
    action: str
    resource: str
    ended: float
    uses: int
    reviews: CallReviews


def ended_grants(ledger: Iterable[Mapping[str, Any]], period: ReportPeriod) -> Iterator[GrantEnd]:
    """Yield the grants that ended in a period. `ledger`: the members of its lines about grants."""
    for members in ledger:
        moment = parse_time(members.get("ended")) or parse_time(members.get("time"))
        if moment is not None and period.has(moment.timestamp()):
            yield _grant(members, moment.timestamp())


def _grant(members: Mapping[str, Any], ended: float) -> GrantEnd:
    resource, uses, counted = members.get("resource"), members.get("uses"), members.get("counted")
    reviewers = frozenset(map(text_of, counted)) if isinstance(counted, list) else frozenset[str]()
    return GrantEnd(
        approval=cut(f"{text_of(members.get('namespace'))}/{text_of(members.get('name'))}"),
        uid=cut(text_of(members.get("uid"))),
        # It was deleted before it ended, by someone who has the right to.
        phase="Deleted" if members.get("deleted") is True else cut(text_of(members.get("phase"))),
        subject=cut(text_of(members.get("subject"))),
        action=cut(text_of(members.get("action"))),
        resource=cut(f"{member_of(resource, 'type')}/{member_of(resource, 'id')}"),
        ended=ended,
        uses=uses if isinstance(uses, int) and not isinstance(uses, bool) and uses > 0 else 0,
        reviews=reviews_of(members.get("reviews"), reviewers),
    )
