"""A log as it is counted: which scopes each line shows in force, and which it used.

Standing: under the command. Holds: what is missing of a log, and what is not known of a line, is kept in mind, so
that nothing is found unused for it. A time that has not come says nothing of when there are lines: else one line of the
year 9999 would cover all years to come.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from bailiwick_api import times
from bailiwick_evidence.audit.findings import FindingCode, LogFinding
from bailiwick_evidence.audit.lines import ChainLine, parse_line
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.linekinds import BESIDE_DECISIONS, DECISIONS, POLICY_LIST, SEARCH, is_plain_evaluation
from bailiwick_evidence.usage.attribution import CallUse, UseAttribution
from bailiwick_governance.usage.memory import UseMemory
from bailiwick_governance.usage.presence import ScopePresence, ScopeRun, remember

_MISSING: Final = frozenset(
    {FindingCode.GAP, FindingCode.TRUNCATED, FindingCode.MISSING, FindingCode.ALTERED, FindingCode.FORKED}
    | {FindingCode.LOST, FindingCode.CONTRADICTED}
)


UseListener = Callable[[Mapping[str, Any], CallUse], bool]
"""Takes each decision, with its record and what it used; says whether it could read that."""


class LogLoss(NamedTuple):
    """What is missing of a log, and up to when uses may be missing for it, in seconds since the epoch."""

    said: str
    until: float


class ChainUsage(NamedTuple):
    """What a chain says of how much of the log is here. `rank`: the place of its report among those of all chains.

    `missing`: what is missing of it, each with up to when uses may be missing for it; None: they may be anywhere.
    `lines`: its number of lines; None: none is here. `span`: from when to when there are lines.
    """

    rank: tuple[bool, float, str]
    missing: tuple[tuple[str, float | None], ...]
    lines: int | None
    span: tuple[float, float] | None


class LogUsage:
    """Counts a log into a memory. `counted`: decisions that were; `unread`: lines that cannot be read.

    `gap`: so many seconds may have no line of any chain. `listener`: who looks closer at what was used. `latest`: a
    later time has not come, in seconds since the epoch.
    """

    def __init__(
        self,
        memory: UseMemory,
        attribution: UseAttribution,
        gap: float,
        listener: UseListener | None = None,
        latest: float = math.inf,
    ) -> None:
        self.memory = memory
        self._gap = gap
        self.counted = self.unread = 0
        self._attribution = attribution
        self._listener = listener
        self._latest = latest
        self._firsts: dict[str, float] = {}
        self._lasts: dict[str, float] = {}
        self._ahead: set[str] = set()
        self._presence = ScopePresence()

    def learn(self, line: ChainLine) -> None:
        """Take a line that is counted elsewhere, of which only lists of policies are wanted."""
        if not is_plain_evaluation(line.text) and (record := parse_line(line.text)).get("kind") == POLICY_LIST:
            self._attribution.texts.add_list(record)

    def add(self, line: ChainLine, order: int) -> None:
        """Take a line of a chain. `order`: its number among all lines."""
        record = parse_line(line.text)
        kind = record.get("kind")
        if kind == POLICY_LIST:
            self._attribution.texts.add_list(record)
        elif line.link.seq < self.memory.chains.get(line.link.id, 0):
            return
        elif kind in DECISIONS:
            self._decision(record, line.link.id, order)
        elif kind not in BESIDE_DECISIONS and kind != SEARCH:
            self.unread += 1

    def end(self, audit: LogAudit) -> list[LogLoss]:
        """Take the end of all files; returns what is missing of them."""
        self.unread += audit.torn_in_chains + audit.unread_apart
        return conclude(self.memory, self.runs(), self.chains(audit), self.unread, self._gap)

    def runs(self) -> Iterator[ScopeRun]:
        """Yield which scopes were in force when, by the lines that were counted."""
        return self._presence.runs(self._attribution.in_force)

    def chains(self, audit: LogAudit) -> Iterator[ChainUsage]:
        """Yield what each chain that is judged says of how much is here."""
        for report in audit.reports():
            before = self.memory.chains.get(report.chain, 0)
            first = self._firsts.get(report.chain)
            # What stood before the first line that is here was written before it.
            missing = tuple(
                (one.said, first if one.code is FindingCode.GAP and one.first == 0 else None)
                for one in report.findings
                if _is_missing(one, before)
            )
            log = audit.chains.get(report.chain)
            began = first if report.began is None else report.began
            ended, span = report.ended, None
            if report.chain in self._ahead or max(began or 0.0, ended or 0.0) > self._latest:
                missing = (*missing, (f"chain {report.chain} has lines of a time that has not come", None))
                # What it says of when it was written does not count, but by the decisions that were counted.
                began, ended = first, self._lasts.get(report.chain)
            if began is not None and ended is not None:
                # Of a chain that goes on there were lines before.
                began = began if not before or self.memory.covered is None else self.memory.covered
                span = (min(began, ended), ended)
            yield ChainUsage(report.rank(), missing, None if log is None else log.leaves.size, span)

    def _decision(self, record: Mapping[str, Any], chain: str, order: int) -> None:
        now, endpoint = record.get("now"), record.get("endpoint")
        used = self._attribution.use(record)
        if used is None or not times.is_moment(now) or not isinstance(endpoint, str):
            self.unread += 1
            return
        if now > self._latest:
            self._ahead.add(chain)
            return
        self.counted += 1
        self._firsts[chain] = min(now, self._firsts.get(chain, now))
        self._lasts[chain] = max(now, self._lasts.get(chain, now))
        self._add_presence(chain, endpoint, record, now, order)
        for scope in used.scopes:
            self.memory.scope(scope).use(now)
        for subject in used.doubtful:
            self.memory.doubt(subject, now)
        if self._listener is not None and not self._listener(record, used):
            self.unread += 1

    def _add_presence(self, chain: str, endpoint: str, record: Mapping[str, Any], now: float, order: int) -> None:
        listed: object = record.get("policies")
        digest = record.get("policies_digest")
        if isinstance(digest, str):
            listed = self._attribution.texts.find_list(digest)
        if isinstance(listed, Mapping):
            self._presence.take(chain, endpoint, listed, now, order)


def conclude(
    memory: UseMemory, runs: Iterable[ScopeRun], chains: Iterable[ChainUsage], unread: int, gap: float
) -> list[LogLoss]:
    """Put into a memory of uses how much of the log is here; returns what is missing. See `LogUsage` for `gap`."""
    remember(memory, runs)
    missing: list[tuple[str, float | None]] = []
    spans: list[tuple[float, float]] = []
    for chain in sorted(chains, key=lambda one: one.rank):
        missing += chain.missing
        name = chain.rank[2]
        if chain.lines is not None:
            memory.chains[name] = max(memory.chains.get(name, 0), chain.lines)
        if chain.span is not None:
            spans.append(chain.span)
    for begin, end in sorted(spans):
        memory.cover(begin, end, gap)
    covered = memory.covered or 0.0
    # What is missing may be anywhere, unless it is known up to when.
    found = [LogLoss(said, covered if until is None else until) for said, until in missing]
    if unread:
        found.append(LogLoss(f"{unread} lines cannot be read", covered))
    for loss in found:
        memory.lose(loss.until)
    return found


def _is_missing(finding: LogFinding, before: int) -> bool:
    """Tell whether a finding means that lines are missing, and not only those that were counted `before`."""
    if finding.code not in _MISSING:
        return False
    return not (finding.code is FindingCode.GAP and finding.last is not None and finding.last < before)
