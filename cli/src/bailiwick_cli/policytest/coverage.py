"""Coverage: which rules decided something, which conditions were seen both ways, which actions were asked about.

Holds: what a condition says, it is asked itself, with what the engine saw of the call; what is unknown is neither way.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bailiwick_engine.call import Call
from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.decision.match import Standing
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.truth import UNKNOWN

RuleKey = tuple[str, str, str]
"""Namespace, policy and rule."""


@dataclass(slots=True)
class RuleCoverage:
    """What was seen of one rule. `outcomes`: of each condition, what it said; `actions`: those that it lists."""

    actions: tuple[str, ...]
    decisive: bool = False
    outcomes: dict[str, set[bool]] = field(default_factory=dict)


class Coverage:
    """Of all tests of a run."""

    def __init__(self) -> None:
        self._rules: dict[RuleKey, RuleCoverage] = {}
        self._asked: dict[str, set[str]] = {}

    def know(self, rules: Iterable[CompiledRule]) -> None:
        """Take note of the rules that there are."""
        for rule in rules:
            names = (*sorted(rule.actions.exact), *(f"{prefix}*" for prefix in sorted(rule.actions.prefixes)))
            every = (*names, *(("*",) if rule.actions.everything else ()))
            known = self._rules.setdefault(_key(rule), RuleCoverage(every))
            for condition in rule.conditions:
                known.outcomes.setdefault(condition.name, set())

    def add(self, call: Call, verdict: Verdict, hops: Iterable[Hop]) -> None:
        """Take note of a call that was decided."""
        self._asked.setdefault(call.namespace, set()).add(call.action.name)
        gate = set() if verdict.gate is None else {(rule.policy, rule.rule) for rule in verdict.gate.rules}
        audited = {(policy, rule) for policy, rule, _ in verdict.audit}
        for hop in hops:
            for finding in hop.findings:
                rule = finding.rule
                known = self._rules[_key(rule)]
                decides = rule is verdict.rule or rule.place in gate or rule.place in audited
                known.decisive |= decides and finding.standing is not Standing.SILENT
                for condition in rule.conditions:
                    outcome = UNKNOWN if hop.seen is None else condition.outcome(hop.seen)
                    if isinstance(outcome, bool):
                        known.outcomes[condition.name].add(outcome)

    @property
    def rules(self) -> dict[RuleKey, RuleCoverage]:
        """Return what is known of each rule, in order of names."""
        return dict(sorted(self._rules.items()))

    def gaps(self) -> Iterator[str]:
        """Yield what no test shows, a line each."""
        for key, rule in self.rules.items():
            place = "/".join(key)
            if not rule.decisive:
                yield f"{place}: the rule never decides"
            for name, outcomes in rule.outcomes.items():
                missing = [wanted for wanted in (True, False) if wanted not in outcomes]
                if missing:
                    said = " nor ".join("true" if one else "false" for one in missing)
                    yield f"{place}: the condition {name} is never {said}"
            for action in rule.actions:
                if not any(asked in NameSet.of((action,)) for asked in self._asked.get(key[0], ())):
                    yield f"{place}: the action {action} is never tested"


def _key(rule: CompiledRule) -> RuleKey:
    return (rule.policy.namespace, rule.policy.name, rule.name)
