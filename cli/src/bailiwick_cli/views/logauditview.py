"""How the audit of a log is printed: a table for people, and JSON.

Standing: under `audit verify` and `audit merge`. Holds: what is said of all of the log stands apart from what is said
of its chains one by one, which several processes can have found; every text of others is escaped.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from bailiwick_api import times
from bailiwick_engine.approval.display import visible
from bailiwick_evidence.audit.findings import ChainReport
from bailiwick_evidence.audit.historyfold import HistoryReport
from bailiwick_evidence.audit.logaudit import known_upto
from bailiwick_evidence.audit.reviewfold import ReviewReport
from bailiwick_evidence.clusterlog.clusterlog import ClusterLogReport
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_governance.display import Line
from bailiwick_governance.records.derivations import RETRACED, ContradictedRecord, DerivedRecords
from bailiwick_governance.views.auditview import chain_line, headline
from bailiwick_governance.views.clusterlogview import cluster_log_lines, cluster_log_object
from bailiwick_governance.views.foldview import histories_line, histories_notes, histories_object, history_lines
from bailiwick_governance.views.nearview import NearView
from bailiwick_governance.views.reviewfoldview import review_lines, reviews_line, reviews_notes, reviews_object


@dataclass(frozen=True, slots=True)
class LogTotals:
    """What is said of all of the log. `outside`: lines in no chain; `torn`: lines that were cut, by themselves.

    `refused`: checkpoints that no witness cosigned. `chains`: how many reports there are. `derived`: decisions were
    derived again. `hints`: what would tell more.
    """

    lines: int
    outside: int
    torn: int
    refused: int
    chains: int
    derived: bool
    histories: HistoryReport
    signed: ReviewReport
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContradictedLine:
    """A record that the engine contradicts, as it is printed. `order`: the number of its line among all lines."""

    order: int
    place: str
    said: str
    near: tuple[tuple[tuple[str, str], ...], ...] = ()
    members: dict[str, Any] | None = None

    @classmethod
    def from_record(cls, one: ContradictedRecord) -> Self:
        """Return how a record is printed."""
        near = None if one.retrace is None else NearView.from_retrace(one.retrace)
        if near is None:
            return cls(one.order, one.place, one.said)
        return cls(one.order, one.place, one.said, tuple(map(tuple, near.lines())), near.objects())


@dataclass(frozen=True, slots=True)
class ChainResults:
    """What is said of chains one by one. `counts`: what their records came to, if decisions were derived."""

    reports: tuple[ChainReport, ...]
    counts: dict[str, int]
    contradicted: tuple[ContradictedLine, ...]

    @classmethod
    def joined(cls, parts: Sequence["ChainResults"]) -> Self:
        """Return the results of several processes as those of one."""
        counts: Counter[str] = Counter()
        for part in parts:
            counts.update(part.counts)
        contradicted = sorted((one for part in parts for one in part.contradicted), key=lambda one: one.order)
        return cls(
            tuple(sorted((one for part in parts for one in part.reports), key=ChainReport.rank)),
            dict(counts),
            tuple(
                one if number < RETRACED else ContradictedLine(one.order, one.place, one.said)
                for number, one in enumerate(contradicted)
            ),
        )


class LogAuditView:
    """The whole answer. `bad`: a person must look at the log. `logged`: the log of all clusters, if it was given."""

    def __init__(self, totals: LogTotals, results: ChainResults, logged: ClusterLogReport | None = None) -> None:
        self._totals = totals
        self._results = results
        self._logged = logged
        self._records: DerivedRecords | None = None
        if totals.derived:
            self._records = DerivedRecords(PolicyTexts())
            self._records.counts.update(results.counts)
        self._contradictions = totals.histories.contradicted + len(totals.signed.findings) + len(results.contradicted)
        self._contradictions += 0 if logged is None else logged.forged
        silent = logged is not None and bool(logged.findings)
        self.bad = bool(self._contradictions) or silent or totals.signed.bad or any(one.bad for one in results.reports)

    @property
    def notes(self) -> Iterator[str]:
        """Say what could not be found out, and what would help."""
        yield from self._totals.hints
        yield from () if self._records is None else self._records.notes
        yield from histories_notes(self._totals.histories)
        yield from reviews_notes(self._totals.signed)

    def lines(self) -> Iterator[Line]:
        """Yield the lines of the table."""
        totals, results = self._totals, self._results
        style = "bold red" if self.bad else "bold"
        yield [(headline(results.reports, contradicted=self._contradictions), style)]
        intact = sum(report.intact for report in results.reports)
        yield [
            (f"Chains: {len(results.reports)}, intact as far as a witness saw: {intact}. Lines: {totals.lines}", ""),
            (f", repeated: {sum(report.repeated for report in results.reports)}, torn: {self._torn}", ""),
            (f", in no chain: {totals.outside}.", ""),
        ]
        if self._records is not None:
            yield [(self._records.totals, "")]
        if totals.histories.lines or totals.histories.findings:
            yield [(histories_line(totals.histories), "")]
        if totals.signed.verified or totals.signed.reviews:
            yield [(reviews_line(totals.signed), "")]
        if self._logged is not None:
            yield from cluster_log_lines(self._logged, results.reports)
        for report in results.reports:
            yield chain_line(report)
            for found in report.findings:
                yield [("  ", ""), (found.place, "red" if found.bad else "yellow"), (f": {visible(found.said)}", "")]
        for one in results.contradicted:
            yield [(f"{one.place}: ", ""), ("contradicted", "red"), (f": {visible(one.said)}", "")]
            for line in one.near:
                yield [("  ", ""), *line]
        yield from history_lines(totals.histories)
        yield from review_lines(totals.signed)

    def object(self) -> dict[str, object]:
        """Return all of it as an object."""
        totals, reports = self._totals, self._results.reports
        upto = known_upto(reports)
        found: dict[str, object] = {
            "apiVersion": "cli.bailiwick.dev/v1alpha1",
            "kind": "LogAudit",
            "message": headline(reports, contradicted=self._contradictions),
            "upTo": None if upto is None else times.epoch_stamp(upto),
            "totals": {
                "chains": len(reports),
                "intact": sum(report.intact for report in reports),
                "lines": totals.lines,
                "repeated": sum(report.repeated for report in reports),
                "torn": self._torn,
                "outside": totals.outside,
                "checkpointsRefused": totals.refused,
            },
            "chains": [_chain_object(report) for report in reports],
        }
        if self._records is not None:
            contradicted = [
                {"line": one.place, "message": one.said} | (one.members or {}) for one in self._results.contradicted
            ]
            found["records"] = self._records.object() | {"contradictedLines": contradicted}
        if totals.histories.lines or totals.histories.findings:
            found["histories"] = histories_object(totals.histories)
        if totals.signed.verified or totals.signed.reviews:
            found["reviews"] = reviews_object(totals.signed)
        if self._logged is not None:
            found["clusterLog"] = cluster_log_object(self._logged, reports)
        return found

    @property
    def _torn(self) -> int:
        return self._totals.torn + sum(report.torn for report in self._results.reports)


def _chain_object(report: ChainReport) -> dict[str, object]:
    findings = []
    for one in report.findings:
        entry: dict[str, object] = {"code": one.code.value, "bad": one.bad, "message": one.said}
        if one.first is not None:
            entry |= {"first": one.first, "last": one.last}
        findings.append(entry)
    cluster = {} if report.cluster is None else {"cluster": report.cluster}
    return {
        "chain": report.chain,
        **cluster,
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
