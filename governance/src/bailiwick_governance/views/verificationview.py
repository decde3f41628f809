"""What the verification of a log came to: one verdict over chains, decisions, counts and reviews, as lines and as JSON.

Standing: over the other views of an audit; under `audit verify`, `audit merge` and `audit report`. Holds: data only;
there is one verdict, so that no reader of it calls intact what another one does not. What is said of all of the log
stands apart from what is said of its chains one by one, which several processes can have found; every text of others is
escaped.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
from bailiwick_governance.records.derivations import (
    LISTED,
    RETRACED,
    ContradictedRecord,
    DerivedRecords,
    UnprovenAllow,
    count_unproven,
)
from bailiwick_governance.views.auditview import chain_line, headline
from bailiwick_governance.views.clusterlogview import cluster_log_lines, cluster_log_object, cluster_upto
from bailiwick_governance.views.foldview import histories_line, histories_notes, histories_object, history_lines
from bailiwick_governance.views.nearview import NearView
from bailiwick_governance.views.reviewfoldview import review_lines, reviews_line, reviews_notes, reviews_object


@dataclass(frozen=True, slots=True)
class LogTotals:
    """What is said of all of the log. `outside`: lines in no chain; `torn`: lines that were cut, by themselves.

    `refused`: checkpoints that no witness cosigned. `chains`: how many reports there are. `derived`: decisions were
    derived again. `hints`: what would tell more. `unread`: texts of checkpoints that were not read to their end.
    `absent`: clusters whose keys were given, and of which no checkpoint is here. `strict`: an allow that cannot be
    derived is bad.
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
    unread: int = 0
    absent: tuple[str, ...] = ()
    strict: bool = False


@dataclass(frozen=True, slots=True)
class ContradictedLine:
    """A record that the engine contradicts, as it is printed. `order`: the number of its line among all lines.

    `code` says if it is one that no process of its own version writes.
    """

    order: int
    place: str
    said: str
    code: str
    near: tuple[tuple[tuple[str, str], ...], ...] = ()
    members: dict[str, Any] | None = None

    @classmethod
    def from_record(cls, one: ContradictedRecord) -> Self:
        """Return how a record is printed."""
        near = None if one.retrace is None else NearView.from_retrace(one.retrace)
        if near is None:
            return cls(one.order, one.place, one.said, one.kind.value)
        return cls(one.order, one.place, one.said, one.kind.value, tuple(map(tuple, near.lines())), near.objects())


@dataclass(frozen=True, slots=True)
class ChainResults:
    """What is said of chains one by one. `counts`: what their records came to, if decisions were derived.

    `unproven`: the first allows of each reason that could not be derived.
    """

    reports: tuple[ChainReport, ...]
    counts: dict[str, int]
    contradicted: tuple[ContradictedLine, ...]
    unproven: tuple[UnprovenAllow, ...] = ()

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
                one if number < RETRACED else ContradictedLine(one.order, one.place, one.said, one.code)
                for number, one in enumerate(contradicted)
            ),
            tuple(_first_of_each(sorted((one for part in parts for one in part.unproven), key=lambda one: one.order))),
        )


@dataclass(frozen=True, slots=True)
class LogVerification:
    """The whole answer. `logged`: what the log of all clusters came to; None: none was given."""

    totals: LogTotals
    results: ChainResults
    logged: ClusterLogReport | None = None

    @property
    def reports(self) -> tuple[ChainReport, ...]:
        """What became of each chain."""
        return self.results.reports

    @property
    def contradictions(self) -> int:
        """How many decisions, counts, reviews and properties of the log of all clusters are not as they must be."""
        totals = self.totals
        forged = 0 if self.logged is None else self.logged.forged
        return totals.histories.contradicted + len(totals.signed.findings) + len(self.results.contradicted) + forged

    @property
    def bad(self) -> bool:
        """Whether a person must look at the log: something was removed or changed, or cannot be what it says.

        So is a cluster that is absent or silent, or of whose ends the log of all clusters says nothing.
        """
        return self._forged or self._silent or self.incomplete or bool(self.totals.absent) or self._fails_unproven

    @property
    def incomplete(self) -> bool:
        """Whether there was no room to check all of it: added lines could hide something by that."""
        totals = self.totals
        return bool(totals.unread or totals.histories.left_out) or totals.signed.incomplete

    @property
    def _forged(self) -> bool:
        return bool(self.contradictions) or any(one.bad for one in self.reports)

    @property
    def unproven(self) -> int:
        """How many calls are on record as allowed by records that could not be derived."""
        return count_unproven(self.results.counts)

    @property
    def _fails_unproven(self) -> bool:
        return self.totals.strict and bool(self.unproven)

    @property
    def _silent(self) -> bool:
        logged = self.logged
        return logged is not None and (
            bool(logged.findings) or any(cluster_upto(one, self.reports) is None for one in logged.clusters)
        )

    @property
    def _unknown(self) -> tuple[str, ...]:
        """The clusters of whose ends nothing is known."""
        clusters = () if self.logged is None else self.logged.clusters
        unknown = {one.name for one in clusters if cluster_upto(one, self.reports) is None}
        return tuple(sorted(unknown.union(self.totals.absent)))

    @property
    def headline(self) -> str:
        """What can be said of all of it."""
        if self.incomplete and not self._forged:
            return "Not all of this log was checked, since there is too much of it: give fewer files."
        if self._unknown and not self._forged:
            return f"Nothing is known of what was removed or changed in {', '.join(map(visible, self._unknown))}."
        if self._fails_unproven and not self._forged:
            return f"Nothing shows that policies allow what this log says was allowed: {self.unproven} unproven."
        return headline(self.reports, self.upto, contradicted=self.contradictions)

    @property
    def upto(self) -> int | None:
        """Up to when removals and changes are detected, in seconds since the epoch; None if they never are.

        Of several clusters it is the earliest, since no cosignature of one says anything of another.
        """
        if self.logged is not None:
            each = [cluster_upto(cluster, self.reports) for cluster in self.logged.clusters]
        else:
            names = {one.cluster for one in self.reports if one.cluster is not None}
            each = [known_upto([one for one in self.reports if one.cluster == name]) for name in names]
        known = [upto for upto in each or [known_upto(self.reports)] if upto is not None]
        return min(known) if len(known) == max(1, len(each)) else None

    @property
    def intact(self) -> int:
        """How many chains are intact as far as a witness saw them."""
        return sum(report.intact for report in self.reports)

    @property
    def torn(self) -> int:
        """How many lines were cut off."""
        return self.totals.torn + sum(report.torn for report in self.reports)

    @property
    def notes(self) -> Iterator[str]:
        """Say what could not be found out, and what would help."""
        records = self._records
        yield from self.totals.hints
        if count := self.totals.unread:
            yield f"texts of checkpoints that were not read to their end, since too much in them is in vain: {count}"
        yield from () if records is None else records.notes
        yield from histories_notes(self.totals.histories)
        yield from reviews_notes(self.totals.signed)

    def lines(self) -> Iterator[Line]:
        """Yield the lines of the table."""
        totals, records = self.totals, self._records
        yield [(self.headline, "bold red" if self.bad else "bold")]
        yield [
            (f"Chains: {len(self.reports)}, intact as far as a witness saw: {self.intact}. Lines: {totals.lines}", ""),
            (f", repeated: {self._repeated}, torn: {self.torn}", ""),
            (f", in no chain: {totals.outside}.", ""),
        ]
        if records is not None:
            yield [(records.totals, "")]
        if totals.histories.lines or totals.histories.findings:
            yield [(histories_line(totals.histories), "")]
        if totals.signed.verified or totals.signed.reviews:
            yield [(reviews_line(totals.signed), "")]
        for name in totals.absent:
            said = (
                "no checkpoint that its witness cosigned is here, or with --since none of that time: give its files, or"
                " leave out its key"
            )
            yield [(f"Cluster {visible(name)}: ", "bold"), ("absent", "red"), (f": {said}", "")]
        if self.logged is not None:
            yield from cluster_log_lines(self.logged, self.reports)
        for report in self.reports:
            yield chain_line(report)
            for found in report.findings:
                yield [("  ", ""), (found.place, "red" if found.bad else "yellow"), (f": {visible(found.said)}", "")]
        for one in self.results.contradicted:
            yield [(f"{one.place}: ", ""), (one.code, "red"), (f": {visible(one.said)}", "")]
            for line in one.near:
                yield [("  ", ""), *line]
        yield from self.unproven_lines()
        yield from history_lines(totals.histories)
        yield from review_lines(totals.signed)

    def unproven_lines(self) -> Iterator[Line]:
        """Yield a line for each allow that is listed of those that could not be derived."""
        style = "red" if self.totals.strict else "yellow"
        for one in self.results.unproven:
            yield [(f"{one.place}: ", ""), (one.code, style), (f": {one.said}", "")]
        if more := self.unproven - len(self.results.unproven):
            yield [("and ", ""), (f"{more} more unproven", style), (f": {LISTED} of each reason are listed", "")]

    def object(self) -> dict[str, object]:
        """Return all of it as an object, without its kind."""
        totals, records, upto = self.totals, self._records, self.upto
        found: dict[str, object] = {
            "message": self.headline,
            "upTo": None if upto is None else times.epoch_stamp(upto),
            "totals": {
                "chains": len(self.reports),
                "intact": self.intact,
                "lines": totals.lines,
                "repeated": self._repeated,
                "torn": self.torn,
                "outside": totals.outside,
                "checkpointsRefused": totals.refused,
                "checkpointsNotRead": totals.unread,
            },
            "absentClusters": list(totals.absent),
            "chains": [_chain_object(report) for report in self.reports],
        }
        if records is not None:
            contradicted = [
                {"code": one.code, "line": one.place, "message": one.said} | (one.members or {})
                for one in self.results.contradicted
            ]
            unproven = [{"code": one.code, "line": one.place, "message": one.said} for one in self.results.unproven]
            found["records"] = records.object() | {"contradictedLines": contradicted, "unprovenLines": unproven}
        if totals.histories.lines or totals.histories.findings:
            found["histories"] = histories_object(totals.histories)
        if totals.signed.verified or totals.signed.reviews:
            found["reviews"] = reviews_object(totals.signed)
        if self.logged is not None:
            found["clusterLog"] = cluster_log_object(self.logged, self.reports)
        return found

    @property
    def _repeated(self) -> int:
        return sum(report.repeated for report in self.reports)

    @property
    def _records(self) -> DerivedRecords | None:
        """What the records came to; None: no decision was derived again."""
        if not self.totals.derived:
            return None
        records = DerivedRecords(PolicyTexts())
        records.counts.update(self.results.counts)
        return records


def _first_of_each(every: Iterable[UnprovenAllow]) -> Iterator[UnprovenAllow]:
    """Yield as many of each reason as one process lists."""
    counts: Counter[str] = Counter()
    for one in every:
        counts[one.code] += 1
        if counts[one.code] <= LISTED:
            yield one


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
