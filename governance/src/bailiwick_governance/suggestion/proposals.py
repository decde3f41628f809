"""Proposals: from what a rule was used for to changes of it, as operations on its policy.

Standing: over `evidence`. Holds: pure. A rule keeps its actions and resources unless all of its uses are known; a
subject stays in the rule unless all of its uses are known. A Deny, and what gives nothing, is never touched.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bailiwick_engine.cel.members import Path
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.model import CompiledRule, Effect
from bailiwick_evidence.usage.scopes import RuleScope, ScopeState
from bailiwick_evidence.usage.sightings import MOST_LISTED, EntrySeen
from bailiwick_governance.suggestion import operations
from bailiwick_governance.suggestion.evidence import RuleEvidence, RuleSeen, gives
from bailiwick_governance.suggestion.operations import Operation
from bailiwick_governance.suggestion.policybook import Object, PolicyInForce, PolicyName
from bailiwick_governance.suggestion.unusedrules import UnusedRules

_MOST_NAMES: Final = 64
_MOST_CONDITIONS: Final = 16
_NAME_LENGTH: Final = 63


class Part(StrEnum):
    """What of a policy a proposal changes."""

    ACTIONS = "actions"
    RESOURCES = "resources"
    CONDITIONS = "conditions"
    SUBJECTS = "subjects"
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class ScopeKnowledge:
    """What is known of a scope. `whole`: since the beginning of the window it was there, and every use is known."""

    state: ScopeState
    whole: bool


Knowledge = Callable[[RuleScope], ScopeKnowledge]


@dataclass(frozen=True)
class Proposal:
    """One change of one rule. `changes` come before the `removals` of a policy, which begin with the last rule."""

    policy: PolicyName
    rule: str
    at: int
    part: Part
    now: str
    then: str
    changes: tuple[Operation, ...]
    seen: RuleSeen
    removals: tuple[Operation, ...] = ()

    @property
    def place(self) -> tuple[PolicyName, str]:
        """Of which rule it is."""
        return self.policy, self.rule


@dataclass(frozen=True)
class PolicyProposals:
    """What is proposed for one policy. `unknown`: rules of which not all uses are known; `idle`: those not used."""

    proposals: tuple[Proposal, ...]
    unknown: tuple[str, ...]
    idle: tuple[str, ...]


def proposals_for(
    policy: PolicyInForce,
    evidence: RuleEvidence,
    known: Knowledge,
    unused: UnusedRules | None,
    approvers: Sequence[str],
) -> PolicyProposals:
    """Return what does for the uses of a policy. `approvers`: the groups of which one person has to say yes."""
    found: list[Proposal] = []
    unknown: list[str] = []
    idle: list[str] = []
    for name, (at, rule) in policy.rules.items():
        if not gives(policy, name):
            continue
        one = _RuleProposals(policy, at, rule, evidence.uses_of(policy.name, name), known)
        if one.idle:
            idle.append(name)
            found += one.when_idle(unused, approvers)
            continue
        if not one.whole:
            unknown.append(name)
        found += one.proposals(unused, approvers)
    return PolicyProposals(tuple(found), tuple(unknown), tuple(idle))


@dataclass(frozen=True)
class _RuleProposals:
    policy: PolicyInForce
    at: int
    rule: CompiledRule
    seen: RuleSeen
    known: Knowledge

    @property
    def raw(self) -> Object:
        """The rule as it is written."""
        found: Object = self.policy.raw["rules"][self.at]
        return found

    @property
    def path(self) -> str:
        return f"/spec/rules/{self.at}"

    @property
    def whole(self) -> bool:
        """Every use of the rule is known."""
        return all(self._knowledge_of(key).whole for key in self.rule.subjects)

    @property
    def idle(self) -> bool:
        """Whether the rule has no use, as far as the log goes back."""
        return all(self._knowledge_of(key).state is ScopeState.UNUSED for key in self.rule.subjects)

    @property
    def asking(self) -> bool:
        """It asks for approvals already."""
        return self.rule.effect is not Effect.ALLOW

    def proposals(self, unused: UnusedRules | None, approvers: Sequence[str]) -> Iterator[Proposal]:
        """Yield what would do for a rule that somebody used, or may have used."""
        if self.whole and self.seen.uses:
            yield from self._actions()
            yield from self._resources()
            yield from self._bounds()
        yield from self._subjects(unused, approvers)

    def when_idle(self, unused: UnusedRules | None, approvers: Sequence[str]) -> Iterator[Proposal]:
        """Yield what becomes of a rule without a use."""
        if unused is UnusedRules.REMOVE:
            gone = (operations.expect(f"{self.path}/name", self.rule.name), operations.remove(self.path))
            yield self._proposal(Part.RULE, self.rule.effect.value, "no rule", (), gone)
        elif unused is UnusedRules.APPROVAL and not self.asking:
            changes = (
                operations.replace(f"{self.path}/effect", Effect.REQUIRE_APPROVAL.value),
                operations.add(f"{self.path}/approval", approval(approvers)),
            )
            then = f"{Effect.REQUIRE_APPROVAL} of {', '.join(approvers)}"
            yield self._proposal(Part.RULE, self.rule.effect.value, then, self._with_tests("effect", *changes))

    def _actions(self) -> Iterator[Proposal]:
        now = tuple(self.raw["actions"])
        then = self.seen.actions.narrow_patterns(_MOST_NAMES)
        if then and then != now:
            changes = self._with_tests("actions", operations.replace(f"{self.path}/actions", list(then)))
            yield self._proposal(Part.ACTIONS, ", ".join(now), ", ".join(then), changes)

    def _resources(self) -> Iterator[Proposal]:
        now: Sequence[Object] = self.raw["resources"]
        kept = [(raw, seen) for raw, seen in zip(now, self.seen.entries, strict=True) if seen.ids.count]
        then = [_entry(raw, seen) for raw, seen in kept]
        if then and then != list(now):
            changes = self._with_tests("resources", operations.replace(f"{self.path}/resources", then))
            yield self._proposal(Part.RESOURCES, _resources(now), _resources(then), changes)

    def _bounds(self) -> Iterator[Proposal]:
        """Yield bounds on numbers that the rule's conditions read. The rule need not bound them itself."""
        conditions: Sequence[Object] = self.raw.get("conditions") or ()
        names = [one["name"] for one in conditions]
        for path, largest in self.seen.largest.items():
            if largest.count < MOST_LISTED or (bound := largest.upper_bound) is None or len(names) >= _MOST_CONDITIONS:
                continue
            expression = f"{'.'.join(path)} <= {bound}"
            before = [float(found[1]) for one in conditions if (found := _bound(path).fullmatch(one["expression"]))]
            if any(one <= float(bound) for one in before):
                continue
            names.append(_fresh(f"at-most-{path[-1]}", names))
            change = operations.add(f"{self.path}/conditions/-", {"name": names[-1], "expression": expression})
            now = " && ".join(one["expression"] for one in conditions)
            yield self._proposal(Part.CONDITIONS, now, f"... && {expression}", self._with_tests("conditions", change))

    def _subjects(self, unused: UnusedRules | None, approvers: Sequence[str]) -> Iterator[Proposal]:
        now: list[str] = list(self.raw["subjects"])
        idle = [
            one
            for one in now
            if all(
                self._knowledge_of(key).state is ScopeState.UNUSED for key in self.policy.keys[one] & self.rule.subjects
            )
        ]
        then = [one for one in now if one not in idle]
        if not idle or not then or unused is UnusedRules.KEEP:
            return
        changes = self._with_tests("subjects", operations.replace(f"{self.path}/subjects", then))
        said = ", ".join(then)
        if unused is UnusedRules.APPROVAL and not self.asking:
            names = [*self.policy.rules]
            asks = {
                **self.raw,
                "name": _fresh(f"{self.rule.name}-ask", names),
                "effect": Effect.REQUIRE_APPROVAL.value,
                "subjects": idle,
                "approval": approval(approvers),
            }
            changes = (*changes, operations.add("/spec/rules/-", asks))
            said = f"{said}; {', '.join(idle)} with an approval of {', '.join(approvers)}"
        yield self._proposal(Part.SUBJECTS, ", ".join(now), said, changes)

    def _knowledge_of(self, key: Key) -> ScopeKnowledge:
        return self.known(RuleScope(*self.policy.name, self.rule.name, key))

    def _with_tests(self, member: str, *changes: Operation) -> tuple[Operation, ...]:
        """Return changes behind tests that the rule is the one that was looked at."""
        tests = [operations.expect(f"{self.path}/name", self.rule.name)]
        if member in self.raw:
            tests.append(operations.expect(f"{self.path}/{member}", self.raw[member]))
        return (*tests, *changes)

    def _proposal(
        self, part: Part, now: str, then: str, changes: tuple[Operation, ...], removals: tuple[Operation, ...] = ()
    ) -> Proposal:
        place = (self.policy.name, self.rule.name, self.at)
        return Proposal(*place, part, now, then, changes, self.seen, removals)


def patch(proposals: Sequence[Proposal]) -> tuple[Operation, ...]:
    """Return the patch of one policy: changes in the order of rules, then what is removed, the last rule first."""
    found: dict[str, Operation] = {}
    changes = [one for proposal in proposals for one in proposal.changes]
    removed = sorted((one for one in proposals if one.removals), key=lambda one: -one.at)
    for operation in (*changes, *(one for proposal in removed for one in proposal.removals)):
        # Of one test for all changes of a rule.
        repeated = f"{operation}" if operation["op"] == "test" else f"{len(found)}"
        found.setdefault(repeated, operation)
    return tuple(found.values())


def approval(approvers: Sequence[str]) -> Object:
    """Return what an approval by one person of these groups takes."""
    return {"steps": [{"name": "unused", "kind": "Human", "groups": list(approvers)}]}


def _entry(raw: Object, seen: EntrySeen) -> Object:
    """Return an entry of resources that does for its uses."""
    made: Object = {**raw, "ids": list(seen.ids.narrow_patterns(_MOST_NAMES))}
    if seen.properties:
        made["properties"] = {name: list(values.narrow_values()) for name, values in seen.properties.items()}
    return made


def _resources(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return entries as people write them: `customer/1, 2 (env: prod)`."""
    told = []
    for one in entries:
        properties = [f"{name}: {', '.join(values)}" for name, values in (one.get("properties") or {}).items()]
        told.append(f"{one['type']}/{', '.join(one['ids'])}" + (f" ({'; '.join(properties)})" if properties else ""))
    return "; ".join(told)


def _bound(path: Path) -> re.Pattern[str]:
    """Return the pattern of a bound as it is written here."""
    return re.compile(re.escape(".".join(path)) + r" <= (-?[0-9]+(?:\.[0-9]+)?)")


def _fresh(name: str, taken: Sequence[str]) -> str:
    """Return a label that is not taken, made of a name."""
    label = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[: _NAME_LENGTH - 3].strip("-")
    return next(
        one for one in (label, *(f"{label}-{number}" for number in range(2, len(taken) + 3))) if one not in taken
    )
