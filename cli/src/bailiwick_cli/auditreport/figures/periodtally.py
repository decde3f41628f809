"""The tally of a period: what the lines of a log come to, one after the other.

Standing: under `report`. Holds: its memory is bounded, whatever the lines say: sums, slots, and the commonest rows of
each kind. A line that is not counted in the period is counted as left out, with why.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_cli.auditreport.figures.linenumbers import LineNumbers
from bailiwick_cli.auditreport.figures.period import ReportPeriod
from bailiwick_cli.auditreport.figures.reportedcall import (
    BY_APPROVAL,
    BY_RULE,
    AuditedCall,
    CallRefusal,
    ReportedUse,
    RuleAllowance,
)
from bailiwick_cli.auditreport.figures.toprows import TopRows
from bailiwick_evidence.audit.lines import ChainLine, parse_line
from bailiwick_evidence.chainentry import lost_count
from bailiwick_evidence.linekinds import BESIDE_DECISIONS, DECISIONS, POLICY_LIST, SEARCH
from bailiwick_governance.records.listedrecords import ASKED, DENIED, ListedRecord, moment_of

OUTCOMES: Final = (BY_RULE, BY_APPROVAL, ASKED, DENIED)
REQUESTS: Final = "requests"
USES: Final = "uses"
_REQUEST: Final = "request"
_CHECKPOINT: Final = "checkpoint"
_OTHERS: Final = BESIDE_DECISIONS | {POLICY_LIST}
_MOST_CHAINS: Final = 100_000
_LONGEST_ID: Final = 64


@dataclass(slots=True)
class LeftOutLines:
    """Lines that are in no figure of the period, and why. `unread`: of kinds that this version does not know."""

    before: int = 0
    after: int = 0
    untimed: int = 0
    dry_runs: int = 0
    unread: int = 0


class PeriodTally:
    """Counts lines. `outcomes` and `events`: by slot and name. `chains`: decisions in the period, by chain.

    `numbers`: of their lines, by chain. `lost`: by chain, the largest number of lost records that the operator's ledger
    has of it.
    """

    def __init__(self, period: ReportPeriod) -> None:
        self.period = period
        self.outcomes: Counter[tuple[int, str]] = Counter()
        self.events: Counter[tuple[int, str]] = Counter()
        self.chains: Counter[str] = Counter()
        self.numbers: dict[str, LineNumbers] = {}
        self.lost: dict[str, int] = {}
        self.left_out = LeftOutLines()
        self.searches = 0
        self.first: float | None = None
        self.last: float | None = None
        self.uses: TopRows[ReportedUse] = TopRows()
        self.rules: TopRows[RuleAllowance] = TopRows()
        self.refusals: TopRows[CallRefusal] = TopRows()
        self.reasons: TopRows[tuple[str]] = TopRows()

    def add(self, line: ChainLine) -> None:
        """Count a line of a chain."""
        record = parse_line(line.text)
        kind = record.get("kind")
        if kind in DECISIONS:
            self._decision(line, record)
        elif kind == SEARCH:
            moment = moment_of(record)
            self.searches += moment is not None and self.period.has(moment)
        elif kind == _CHECKPOINT:
            self._checkpoint(record)
        elif kind not in _OTHERS:
            self.left_out.unread += 1

    def total(self, outcome: str) -> int:
        """Return how many decisions of the period have an outcome."""
        return sum(count for (_, name), count in self.outcomes.items() if name == outcome)

    @property
    def decisions(self) -> int:
        """How many decisions are in the period, dry runs left out."""
        return self.outcomes.total()

    def _decision(self, line: ChainLine, record: Mapping[str, Any]) -> None:
        listed = ListedRecord.from_line(line, record)
        moment = listed.moment
        if moment is None:
            self.left_out.untimed += 1
            return
        if not self.period.has(moment):
            self.left_out.before += moment < self.period.begin
            self.left_out.after += moment >= self.period.end
            return
        if record.get("dry_run") is True:
            # It used, requested and counted nothing: nothing was done.
            self.left_out.dry_runs += 1
            return
        self.first = moment if self.first is None else min(self.first, moment)
        self.last = moment if self.last is None else max(self.last, moment)
        self.chains[line.link.id] += 1
        self.numbers.setdefault(line.link.id, LineNumbers()).add(line.link.seq)
        slot, call = self.period.slot(moment), AuditedCall.from_record(listed, record)
        self.outcomes[slot, call.outcome] += 1
        if record.get("kind") == _REQUEST:
            self.events[slot, REQUESTS] += 1
        if call.use is not None:
            self.events[slot, USES] += 1
            self.uses.add(call.use, moment)
        elif call.outcome == BY_RULE:
            self.rules.add(call.rule_use, moment)
        else:
            self.refusals.add(call.refusal, moment)
            self.reasons.add((call.reason,), moment)

    def _checkpoint(self, record: Mapping[str, Any]) -> None:
        chain, lost = record.get("chain"), lost_count(record.get("lost"))
        if not isinstance(chain, str) or len(chain) > _LONGEST_ID or not lost:
            return
        if chain in self.lost or len(self.lost) < _MOST_CHAINS:
            self.lost[chain] = max(lost, self.lost.get(chain, 0))
