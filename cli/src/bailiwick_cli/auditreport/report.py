"""The report of a period, before it is written: the verdict of the verification, figures, and what is missing.

Standing: over the tally, under everything that writes the report. Holds: the verdict is the one of `audit verify`; the
report is good where that is, and never for a reason of its own.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bailiwick_api import times
from bailiwick_cli.auditreport.figures.endedgrants import GrantEnd, ended_grants
from bailiwick_cli.auditreport.figures.period import ReportPeriod
from bailiwick_cli.auditreport.figures.periodtally import PeriodTally
from bailiwick_cli.auditreport.figures.reportedcall import CallReview
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.audit.vouchers import LEDGER
from bailiwick_evidence.chainentry import lost_count
from bailiwick_governance.display import counted
from bailiwick_governance.views.verificationview import LogVerification

_APPROVE: Final = "Approve"
_DENY: Final = "Deny"


class ReportVerdict(StrEnum):
    """What the page says first."""

    INTACT = "Intact"
    """Nothing was removed or changed, up to a time."""
    CHANGED = "Not intact"
    """Something was removed or changed, or no witness saw it."""
    UNKNOWN = "Not known"
    """No witness saw any of it."""


@dataclass(frozen=True, slots=True)
class ReportSources:
    """What the report stands on. `witnesses`: the keys that were trusted; `limits`: what flags left out.

    `written`: when, in seconds since the epoch; `version`: of Bailiwick.
    """

    cluster: str | None
    files: tuple[str, ...]
    witnesses: tuple[str, ...]
    quorum: int
    limits: tuple[str, ...]
    written: float
    version: str


@dataclass(frozen=True, slots=True)
class ReviewerFigures:
    """What a person reviewed, of approvals that were used or ended in the period."""

    reviewer: str
    approved: int
    denied: int
    approvals: int


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All of it. `audit`: the logs as they were read. `top`: rows of a table.

    `ended`: the approvals that ended in the period, the newest first.
    """

    audit: LogAudit
    verification: LogVerification
    tally: PeriodTally
    ended: tuple[GrantEnd, ...]
    sources: ReportSources
    top: int

    @property
    def period(self) -> ReportPeriod:
        """What the figures are of."""
        return self.tally.period

    @property
    def verdict(self) -> ReportVerdict:
        """What the page says first."""
        if self.verification.bad:
            return ReportVerdict.CHANGED
        return ReportVerdict.UNKNOWN if self.verification.upto is None else ReportVerdict.INTACT

    @property
    def covered(self) -> bool:
        """Whether nothing was removed or changed up to the end of the period."""
        upto = self.verification.upto
        return self.verdict is ReportVerdict.INTACT and upto is not None and upto >= self.period.end

    @property
    def coverage(self) -> str:
        """What the verdict means for the figures."""
        upto, end = self.verification.upto, times.epoch_stamp(self.period.end)
        match self.verdict:
            case ReportVerdict.CHANGED:
                return "Do not rely on the figures: lines may be missing or changed. What was found stands below."
            case ReportVerdict.UNKNOWN:
                return "Nothing vouches for the figures: no witness whose key was given saw these logs."
            case _ if upto is not None and not self.covered:
                return (
                    f"The period ends after that, at {end}. What happened from {times.epoch_stamp(upto)} on may be"
                    " missing or changed."
                )
        return f"The period ends before that, at {end}."

    @property
    def unseen_decisions(self) -> int:
        """How many decisions in the figures stand in lines that no witness saw, whatever time they give."""
        seen = {one.chain: one.witnessed or 0 for one in self.verification.reports}
        return sum(numbers.count_from(seen.get(chain, 0)) for chain, numbers in self.tally.numbers.items())

    @property
    def unseen_ends(self) -> int:
        """How many approvals ended in the period by lines alone that no witness saw."""
        return sum(1 for _ in ended_grants(self.audit.unseen_grants.values(), self.period))

    @property
    def doubt(self) -> str:
        """What of the figures no witness saw, though the logs are intact; empty: nothing, or all of it."""
        decisions, ends = self.unseen_decisions, self.unseen_ends
        parts = [counted(decisions, "decision")] if decisions else []
        parts += [counted(ends, "end of an approval", "ends of approvals")] if ends else []
        listed = " and ".join(parts)
        if self.verdict is not ReportVerdict.INTACT or not listed:
            return ""
        return (
            f"No witness saw the lines of {listed} in the figures, whatever time they give: who could write the logs"
            " may have added them."
        )

    @property
    def losses(self) -> dict[str, int]:
        """How many records each log lost, by what its last line and the operator's ledger say."""
        found = Counter(self.tally.lost)
        for name, log in self.audit.chains.items():
            found[name] = max(found[name], lost_count((log.closing or {}).get("lost")) or 0)
        return {name: lost for name, lost in sorted(found.items()) if lost}

    @property
    def phases(self) -> Counter[str]:
        """How many approvals ended in each way."""
        return Counter(one.phase for one in self.ended)

    @property
    def reviewers(self) -> list[ReviewerFigures]:
        """Who reviewed, the busiest first. A review counts once, in however many lines it stands."""
        reviews: dict[str, set[tuple[str, CallReview]]] = {}
        reviewed = [(row.key.approval + row.key.uid, row.key.reviews.listed) for row in self.tally.uses.rows()]
        reviewed += [(grant.approval + grant.uid, grant.reviews.listed) for grant in self.ended]
        for approval, listed in reviewed:
            for review in listed:
                reviews.setdefault(review.reviewer, set()).add((approval, review))
        every = [_figures(reviewer, listed) for reviewer, listed in reviews.items()]
        return sorted(every, key=lambda one: (-one.approved - one.denied, one.reviewer))

    @property
    def caveats(self) -> Iterator[str]:
        """Say what the page cannot say, a sentence each. Texts of others are as they came."""
        audit, left = self.audit, self.tally.left_out
        starts = [report.began for report in self.verification.reports if report.began is not None]
        if starts and min(starts) > self.period.begin:
            yield f"No log begins before {times.epoch_stamp(min(starts))}: of the time before, the page says nothing."
        if not any((log.opening or {}).get("component") == LEDGER for log in audit.chains.values()):
            yield (
                "There is no operator's ledger among the logs: how approvals ended, and which requests were denied, is"
                " not known. Give the ledger too."
            )
        if lost := sum(self.losses.values()):
            yield f"Not written, so that nothing is known of them: {counted(lost, 'record')}."
        if audit.unchained:
            yield f"In no chain, so that they prove nothing, and not counted: {counted(audit.unchained, 'decision')}."
        if audit.torn:
            yield f"Cut off, and not counted: {counted(audit.torn, 'line')}."
        if left.unread:
            yield f"Of a kind that this version does not know, and not counted: {counted(left.unread, 'line')}."
        if left.untimed:
            yield f"In no period, since they say no time: {counted(left.untimed, 'decision')}."
        yield from self.sources.limits
        yield from self.verification.notes


def _figures(reviewer: str, reviews: set[tuple[str, CallReview]]) -> ReviewerFigures:
    decisions = Counter(review.decision for _, review in reviews)
    return ReviewerFigures(reviewer, decisions[_APPROVE], decisions[_DENY], len({grant for grant, _ in reviews}))
