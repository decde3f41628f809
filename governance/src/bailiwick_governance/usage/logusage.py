"""A log as it is counted: which scopes each line shows in force, and which it used.

Standing: under the command. Holds: what is missing of a log, and what is not known of a line, is kept in mind, so
that nothing is found unused for it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from bailiwick_evidence.audit.findings import FindingCode, LogFinding
from bailiwick_evidence.audit.lines import ChainLine, parse_line
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.linekinds import BESIDE_DECISIONS, DECISIONS, POLICY_LIST, SEARCH
from bailiwick_evidence.usage.attribution import CallUse, UseAttribution
from bailiwick_governance.usage.memory import UseMemory
from bailiwick_governance.usage.presence import ScopePresence

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


class LogUsage:
    """Counts a log into a memory. `counted`: decisions that were; `unread`: lines that cannot be read.

    `gap`: so many seconds may have no line of any chain. `listener`: who looks closer at what was used.
    """

    def __init__(
        self, memory: UseMemory, attribution: UseAttribution, gap: float, listener: UseListener | None = None
    ) -> None:
        self.memory = memory
        self._gap = gap
        self.counted = self.unread = 0
        self._attribution = attribution
        self._listener = listener
        self._firsts: dict[str, float] = {}
        self._presence = ScopePresence()

    def add(self, line: ChainLine) -> None:
        """Take a line of a chain."""
        record = parse_line(line.text)
        kind = record.get("kind")
        if kind == POLICY_LIST:
            self._attribution.texts.add_list(record)
        elif line.link.seq < self.memory.chains.get(line.link.id, 0):
            return
        elif kind in DECISIONS:
            self._decision(record, line.link.id)
        elif kind not in BESIDE_DECISIONS and kind != SEARCH:
            self.unread += 1

    def end(self, audit: LogAudit) -> list[LogLoss]:
        """Take the end of all files; returns what is missing of them."""
        findings: list[tuple[LogFinding, float | None]] = []
        self._presence.remember(self.memory, self._attribution.in_force)
        spans: list[tuple[float, float]] = []
        for report in audit.reports():
            before = self.memory.chains.get(report.chain, 0)
            first = self._firsts.get(report.chain)
            # What stood before the first line that is here was written before it.
            findings += [
                (one, first if one.code is FindingCode.GAP and one.first == 0 else None)
                for one in report.findings
                if _is_missing(one, before)
            ]
            log = audit.chains.get(report.chain)
            if log is not None:
                self.memory.chains[report.chain] = max(before, log.leaves.size)
            began = first if report.began is None else report.began
            if began is not None and report.ended is not None:
                # Of a chain that goes on there were lines before.
                began = began if not before or self.memory.covered is None else self.memory.covered
                spans.append((min(began, report.ended), report.ended))
        for begin, end in sorted(spans):
            self.memory.cover(begin, end, self._gap)
        return self._add_losses(findings, audit.torn + audit.unchained)

    def _add_losses(self, findings: Iterable[tuple[LogFinding, float | None]], unread: int) -> list[LogLoss]:
        """Keep in mind what is missing. It may be anywhere, unless it is known up to when."""
        covered = self.memory.covered or 0.0
        self.unread += unread
        found = [LogLoss(one.said, covered if until is None else until) for one, until in findings]
        if self.unread:
            found.append(LogLoss(f"{self.unread} lines cannot be read", covered))
        for loss in found:
            self.memory.lose(loss.until)
        return found

    def _decision(self, record: Mapping[str, Any], chain: str) -> None:
        now, endpoint = record.get("now"), record.get("endpoint")
        used = self._attribution.use(record)
        if used is None or not isinstance(now, float | int) or not isinstance(endpoint, str):
            self.unread += 1
            return
        self.counted += 1
        self._firsts[chain] = min(now, self._firsts.get(chain, now))
        self._add_presence(chain, endpoint, record, now)
        for scope in used.scopes:
            self.memory.scope(scope).use(now)
        for subject in used.doubtful:
            self.memory.doubt(subject, now)
        if self._listener is not None and not self._listener(record, used):
            self.unread += 1

    def _add_presence(self, chain: str, endpoint: str, record: Mapping[str, Any], now: float) -> None:
        listed: object = record.get("policies")
        digest = record.get("policies_digest")
        if isinstance(digest, str):
            listed = self._attribution.texts.find_list(digest)
        if isinstance(listed, Mapping):
            self._presence.take(chain, endpoint, listed, now)


def _is_missing(finding: LogFinding, before: int) -> bool:
    """Tell whether a finding means that lines are missing, and not only those that were counted `before`."""
    if finding.code not in _MISSING:
        return False
    return not (finding.code is FindingCode.GAP and finding.last is not None and finding.last < before)
