"""What the verification of a log came to: one verdict over chains, decisions, counts and reviews, also as JSON.

Standing: over the other views of an audit; under `audit verify` and `audit report`. Holds: data only. There is one
verdict: no reader of it calls intact what another one does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bailiwick_api import times
from bailiwick_evidence.audit.findings import ChainReport
from bailiwick_evidence.audit.historyfold import HistoryReport
from bailiwick_evidence.audit.logaudit import LogAudit, known_upto
from bailiwick_evidence.audit.reviewfold import ReviewReport
from bailiwick_governance.records.derivations import ContradictedRecord, DerivedRecords
from bailiwick_governance.views.auditview import headline, hints
from bailiwick_governance.views.foldview import histories_notes, histories_object
from bailiwick_governance.views.nearview import NearView
from bailiwick_governance.views.reviewfoldview import reviews_notes, reviews_object


@dataclass(frozen=True, slots=True)
class LogVerification:
    """What was read, and what came of it. `records` None: no decision was derived again.

    `checkpoints`: some were given beside the files.
    """

    audit: LogAudit
    reports: tuple[ChainReport, ...]
    records: DerivedRecords | None
    histories: HistoryReport
    signed: ReviewReport
    checkpoints: bool

    @property
    def contradicted(self) -> int:
        """How many decisions, counts and reviews are not as they must be."""
        records = 0 if self.records is None else len(self.records.contradicted)
        return self.histories.contradicted + len(self.signed.findings) + records

    @property
    def bad(self) -> bool:
        """Whether something was removed or changed, or cannot be what it says."""
        return bool(self.contradicted) or self.signed.bad or any(report.bad for report in self.reports)

    @property
    def headline(self) -> str:
        """What can be said of all of it."""
        return headline(self.reports, contradicted=self.contradicted)

    @property
    def upto(self) -> int | None:
        """Up to when removals and changes are detected, in seconds since the epoch; None if they never are."""
        return known_upto(self.reports)

    @property
    def intact(self) -> int:
        """How many chains are intact as far as a witness saw them."""
        return sum(report.intact for report in self.reports)

    @property
    def repeated(self) -> int:
        """How many lines stand more than once."""
        return sum(report.repeated for report in self.reports)

    @property
    def notes(self) -> Iterator[str]:
        """Say what could not be found out, and what would tell more."""
        yield from hints(self.audit, checkpoints=self.checkpoints)
        yield from () if self.records is None else self.records.notes
        yield from histories_notes(self.histories)
        yield from reviews_notes(self.signed)

    def object(self) -> dict[str, object]:
        """Return it as an object, without its kind."""
        upto = self.upto
        body: dict[str, object] = {
            "message": self.headline,
            "upTo": None if upto is None else times.epoch_stamp(upto),
            "totals": {
                "chains": len(self.reports),
                "intact": self.intact,
                "lines": self.audit.lines,
                "repeated": self.repeated,
                "torn": self.audit.torn,
                "outside": self.audit.foreign,
                "checkpointsRefused": self.audit.book.refused,
            },
            "chains": [_chain_object(report) for report in self.reports],
        }
        if self.records is not None:
            body["records"] = self.records.object() | {
                "contradictedLines": [_contradiction_object(one) for one in self.records.contradicted]
            }
        if self.histories.lines or self.histories.findings:
            body["histories"] = histories_object(self.histories)
        if self.signed.verified or self.signed.reviews:
            body["reviews"] = reviews_object(self.signed)
        return body


def _contradiction_object(one: ContradictedRecord) -> dict[str, object]:
    near = None if one.retrace is None else NearView.from_retrace(one.retrace)
    return {"line": one.place, "message": one.said} | ({} if near is None else near.objects())


def _chain_object(report: ChainReport) -> dict[str, object]:
    findings = []
    for one in report.findings:
        entry: dict[str, object] = {"code": one.code.value, "bad": one.bad, "message": one.said}
        if one.first is not None:
            entry |= {"first": one.first, "last": one.last}
        findings.append(entry)
    return {
        "chain": report.chain,
        "pod": report.pod,
        "intact": report.intact,
        "lines": report.lines,
        "removed": report.removed,
        "witnessed": report.witnessed,
        "upTo": None if report.upto is None else times.epoch_stamp(report.upto),
        "began": None if report.began is None else times.epoch_stamp(report.began),
        "ended": None if report.ended is None else times.epoch_stamp(report.ended),
        "closed": report.closed,
        "findings": findings,
    }
