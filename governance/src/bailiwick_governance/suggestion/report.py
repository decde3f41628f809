"""The report on a log: what is suggested for the policies in force, and what is not, and why.

Standing: over `trial`, under the command and `view`. Holds: the log is read once for its ledger, once for its uses, and
once for each replay; a log that says nothing of the policies is an error, never "nothing to suggest".
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_api import times
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.usage.scopes import RuleScope, ScopeState, ScopeUse, scopes_of
from bailiwick_governance.errors import UserError
from bailiwick_governance.records.derivations import texts_of_ledger
from bailiwick_governance.sources.policysides import Named
from bailiwick_governance.sources.policytexts import add_files
from bailiwick_governance.suggestion.evidence import CurrentAttribution, EvidenceWindow, RuleEvidence
from bailiwick_governance.suggestion.listings import PolicyListings
from bailiwick_governance.suggestion.policybook import Object, PolicyBook, PolicyInForce, PolicyName
from bailiwick_governance.suggestion.proposals import Proposal, ScopeKnowledge, proposals_for
from bailiwick_governance.suggestion.trial import LeftOut, ProposalTrial, group_by_policy
from bailiwick_governance.suggestion.unusedrules import UnusedRules
from bailiwick_governance.usage.logusage import LogUsage
from bailiwick_governance.usage.memory import UseMemory

_DAY: Final = 86_400.0
_WINDOW: Final = 90 * _DAY
_GAPS: Final = 100
"""A hundredth of the window may have no line of any chain, as in `unused`."""

LogReading = Callable[[str], tuple[LogAudit, Iterable[ChainLine]]]
"""Reads all of a log from its beginning, once more, for the purpose that people are shown."""


@dataclass(frozen=True)
class SuggestionRequest:
    """What is asked. `since` None: 90 days before the last line. `unused` None: as `proposals_for` has it.

    `latest`: as of `LogUsage`.
    """

    files: Named
    namespace: str | None = None
    since: float | None = None
    unused: UnusedRules | None = None
    approvers: Sequence[str] = ()
    latest: float = math.inf


@dataclass(frozen=True)
class SuggestionReport:
    """What is suggested, and what is not. `unknown` and `idle`: rules, as `namespace/policy/rule`.

    `specs`: the policies that change, as they would be. `replayed`: so many decisions stay the same.
    `began`: since when the policies are known to be in force. `uses`: what is known of each scope of the policies.
    """

    window: EvidenceWindow
    proposals: tuple[Proposal, ...]
    specs: Mapping[PolicyName, Object]
    left_out: tuple[LeftOut, ...]
    unknown: tuple[str, ...]
    idle: tuple[str, ...]
    missing: tuple[str, ...]
    counted: int
    replayed: int
    began: float | None
    uses: Mapping[RuleScope, tuple[ScopeUse, ScopeState]]

    @property
    def headline(self) -> str:
        """Return the answer: how much can be narrowed."""
        span = f"uses from {times.epoch_stamp(self.window.begin)} to {times.epoch_stamp(self.window.settled)}"
        if not self.proposals:
            return f"nothing to suggest by the {span}"
        held = f"diff says only narrower, and {self.replayed} decisions stay the same"
        return f"suggestions: {len(self.proposals)}, by the {span}; {held}"

    @property
    def untouched(self) -> tuple[str, ...]:
        """What was not used and nothing is suggested for."""
        changed = {f"{name}/{one.rule}" for name, some in group_by_policy(self.proposals).items() for one in some}
        return tuple(one for one in self.idle if one not in changed)


def report_on(request: SuggestionRequest, reading: LogReading) -> SuggestionReport:
    """Count the uses of a log, narrow to them, and try that. Raises `UserError`."""
    book = PolicyBook(request.files)
    policies = _policies(book, request.namespace)
    first, lines = reading("Reading the ledger")
    for _ in lines:
        pass
    window = _window(first, request)
    texts = texts_of_ledger(first)
    add_files(texts, request.files)
    listings = PolicyListings(texts, book)
    memory, attribution, evidence = UseMemory(), CurrentAttribution(texts, book), RuleEvidence(book, window, listings)
    audit, lines = reading("Counting uses")
    usage = LogUsage(memory, attribution, (window.end - window.begin) / _GAPS, evidence, request.latest)
    for line in lines:
        usage.add(line, audit.lines)
    losses = usage.end(audit)
    _refuse_empty(evidence, attribution, policies)

    def known(scope: RuleScope) -> ScopeKnowledge:
        use = memory.scopes.get(scope, ScopeUse())
        whole = memory.whole_since(scope.subject, window.begin)
        there = use.first_seen is not None and use.first_seen <= window.begin
        return ScopeKnowledge(use.state(window.begin, whole=whole), whole and there)

    def decisions() -> Iterator[tuple[bytes, Mapping[str, Any] | None]]:
        again, lines = reading("Replaying decisions")
        for line in lines:
            # Of the first reading, which knows the line that opens a chain wherever it stands; but a log can grow.
            yield line.text, first.chains.get(line.link.id, again.chains[line.link.id]).opening

    found = {one.name: proposals_for(one, evidence, known, request.unused, request.approvers) for one in policies}
    trial = ProposalTrial(book, texts, window.begin, listings)
    proposals = trial.passing([one for some in found.values() for one in some.proposals], decisions)
    return SuggestionReport(
        window,
        proposals,
        trial.specs(proposals),
        tuple(trial.left_out),
        tuple(f"{name}/{rule}" for name, one in found.items() for rule in one.unknown),
        tuple(f"{name}/{rule}" for name, one in found.items() for rule in one.idle),
        tuple(dict.fromkeys(loss.said for loss in losses if loss.until >= window.begin)),
        usage.counted,
        trial.replayed,
        min((use.first_seen for use in memory.scopes.values() if use.first_seen is not None), default=None),
        {
            scope: (memory.scopes.get(scope, ScopeUse()), known(scope).state)
            for one in policies
            for scope in scopes_of(one.compiled)
        },
    )


def _window(audit: LogAudit, request: SuggestionRequest) -> EvidenceWindow:
    """Return the window, which ends with the log. Raises `UserError`."""
    ends = [report.ended for report in audit.reports() if report.ended is not None and report.ended <= request.latest]
    if not ends:
        raise UserError("the log has no line of a chain of a time that has come")
    end = max(ends)
    begin = end - _WINDOW if request.since is None else request.since
    if begin >= end - _DAY:
        raise UserError(
            f"--since: the last line is from {times.epoch_stamp(end)}, and the day before it does not count:"
            " give an earlier time"
        )
    return EvidenceWindow(begin, end - _DAY, end)


def _policies(book: PolicyBook, namespace: str | None) -> list[PolicyInForce]:
    """Return the policies to look at. Raises `UserError`."""
    here = [one for one in book.policies.values() if namespace in {None, one.name.namespace}]
    if not here:
        known = ", ".join(sorted({one.name.namespace for one in book.policies.values()}))
        raise UserError(f"no policy in the files is in the namespace {namespace!r}: their namespaces are {known}")
    if not any(True for one in here for _ in scopes_of(one.compiled)):
        raise UserError("no rule of the policies lets a call through: there is nothing to narrow")
    return here


def _refuse_empty(evidence: RuleEvidence, attribution: CurrentAttribution, policies: Iterable[PolicyInForce]) -> None:
    """Refuse a log that says nothing of the policies. Raises `UserError`."""
    if not any(evidence.decisions[one.name.namespace, one.compiled.endpoint] for one in policies):
        others = evidence.decisions.total()
        raise UserError(f"the log has no decision of an endpoint of the policies, {others} of others")
    if not attribution.known:
        raise UserError(
            "the log has no decision by policies whose texts are known: give the operator's ledger of that time"
        )
