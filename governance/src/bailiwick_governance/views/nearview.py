"""Near misses: what each rule that came near lacks first, and the values that conditions read.

Standing: for `explain`, and for what `audit verify` finds contradicted. Holds: what is sealed stays sealed: of a
condition that reads it neither outcome nor value is shown; every text of others is escaped.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bailiwick_engine.approval.display import visible
from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.members import DATA, HISTORY, Path
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.explain import Explanation, WeighedRule, explain
from bailiwick_engine.decision.hops import seen
from bailiwick_engine.decision.match import Standing
from bailiwick_engine.historynumbers import HistoryNumbers, HistoryReadings
from bailiwick_engine.policy.dimensions.clause import Clause
from bailiwick_engine.policy.dimensions.condition import CONDITION_CLAUSE
from bailiwick_engine.policy.dimensions.resource import PROPERTY_CLAUSE
from bailiwick_engine.policy.model import CompiledCondition, CompiledRule
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_evidence.derive.choices import meets
from bailiwick_evidence.derive.derive import Retrace
from bailiwick_governance.display import Line

SEALED: Final = "sealed"
_MOST: Final = 200
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class NearView:
    """What was weighed of a call. `sealed` are attributes whose values are lost; `history`: the numbers, by name."""

    endpoint: CompiledEndpoint
    call: Call
    now: float
    explanation: Explanation
    sealed: frozenset[Path] = frozenset()
    history: Mapping[str, HistoryNumbers] = field(default_factory=dict)

    @classmethod
    def from_retrace(cls, retrace: Retrace) -> "NearView | None":
        """Return what was weighed of a call on record; None where no rule was looked at."""
        endpoint, call = retrace.endpoint, retrace.call
        if endpoint is None:
            return None
        snapshot = Snapshot({(call.namespace, call.endpoint): endpoint})
        readings = HistoryReadings(retrace.history, rules_alone=True)
        found = explain(snapshot, call, Circumstances(retrace.now, history=readings))
        return None if found is None else cls(endpoint, call, retrace.now, found, retrace.sealed, retrace.history)

    def lines(self) -> Iterator[Line]:
        """Yield the conditions of what decided, then a line for each rule that came near."""
        for one in self._deciding():
            for clause in one.clauses:
                if clause.kind == CONDITION_CLAUSE:
                    yield [(f"  {rule_name(one.rule)}{self._for(one)}: {self._condition(one, clause)}", "")]
        near = list(self._near())
        if near:
            yield [("Rules that came near, and what each lacks first:", "bold")]
            for one, clause in near:
                named = f"{rule_name(one.rule)} ({one.rule.effect.value}{self._for(one)})"
                yield [(f"  {named}: {self._clause_line(one, clause)}", "")]
        if self.explanation.incomplete:
            yield [("  There are more rules than are looked at.", "")]

    def objects(self) -> dict[str, Any]:
        """Return the same for JSON."""
        return {
            "conditions": [
                self._object(one, clause)
                for one in self._deciding()
                for clause in one.clauses
                if clause.kind == CONDITION_CLAUSE
            ],
            "near": [self._object(one, clause) for one, clause in self._near()],
        }

    def _deciding(self) -> list[WeighedRule]:
        return [one for one in self.explanation.near if one.standing is not Standing.SILENT]

    def _near(self) -> Iterator[tuple[WeighedRule, Clause]]:
        for one in self.explanation.near:
            if one.standing is Standing.SILENT:
                first = next((clause for clause in one.clauses if not clause.met or self._hides(one, clause)), None)
                if first is not None:
                    yield one, first

    def _for(self, one: WeighedRule) -> str:
        """Name the party, where there are several."""
        return f", for {visible(one.party.id)}" if self.call.actors else ""

    def _clause_line(self, one: WeighedRule, clause: Clause) -> str:
        if clause.kind == CONDITION_CLAUSE:
            return self._condition(one, clause)
        name = f" {visible(clause.name)}" if clause.name else ""
        return f"{clause.kind}{name} is {SEALED}" if self._hides(one, clause) else clause_text(clause)

    def _condition(self, one: WeighedRule, clause: Clause) -> str:
        values = ", ".join(f"{name} {value}" for name, value in self._values(one, clause).items())
        read = f"; read: {values}" if values else ""
        if self._hides(one, clause):
            wanted = visible(" ".join(clause.wanted[0].split()))
            return f"condition {visible(clause.name or '')} is not known: {wanted}{read}"
        if clause.held is True:
            wanted = visible(" ".join(clause.wanted[0].split()))
            return f"condition {visible(clause.name or '')} holds: {wanted}{read}"
        return f"{clause_text(clause)}{read}"

    def _object(self, one: WeighedRule, clause: Clause) -> dict[str, Any]:
        hidden = self._hides(one, clause)
        body: dict[str, Any] = {
            "policy": one.rule.policy.name,
            "rule": one.rule.name,
            "effect": one.rule.effect.value,
            "party": one.party.id,
            "dimension": clause.kind,
            "held": SEALED if hidden else clause.held if isinstance(clause.held, bool) else "unknown",
            "wanted": list(clause.wanted),
        }
        if clause.name:
            body["name"] = clause.name
        if clause.kind == CONDITION_CLAUSE:
            body["read"] = self._values(one, clause)
        return body

    def _hides(self, one: WeighedRule, clause: Clause) -> bool:
        """Tell whether a clause depends on what is sealed."""
        if clause.kind == PROPERTY_CLAUSE:
            return ("resource", "properties", clause.name) in self.sealed
        found = _condition_of(one, clause)
        return found is not None and any(meets(read, path) for read in found.reads for path in self.sealed)

    def _values(self, one: WeighedRule, clause: Clause) -> dict[str, str]:
        """Return what a condition reads, by name: `= JSON`, `is missing` or `is sealed`."""
        found = _condition_of(one, clause)
        if found is None or not isinstance(self.call.subject, Party):
            return {}
        actor = one.party if any(one.party is party for party in self.call.actors) else None
        inputs = seen(self.endpoint, self.call, self.call.subject, self.now, actor)
        known: dict[str, str] = {}
        for path in sorted(found.reads):
            if any(meets(path, hidden) for hidden in self.sealed):
                known[_spell(path)] = f"is {SEALED}"
            else:
                known[_spell(path)] = _show(self._value_at(path, inputs))
        return known

    def _value_at(self, path: Path, inputs: Mapping[str, Any]) -> object:
        if path[0] == HISTORY:
            numbers = self.history.get(path[1])
            return _ABSENT if numbers is None else _member(numbers.members, path[2:])
        if path[0] != DATA:
            return _member(inputs, path)
        held = self.endpoint.data.get(path[1]) if len(path) > 1 else None
        return _ABSENT if held is None or held.value is None else _member(held.value, path[2:])


def _condition_of(one: WeighedRule, clause: Clause) -> CompiledCondition | None:
    if clause.kind != CONDITION_CLAUSE:
        return None
    return next((condition for condition in one.rule.conditions if condition.name == clause.name), None)


def _member(value: object, path: Sequence[str]) -> object:
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return _ABSENT
        value = value[part]
    return value


def _spell(path: Path) -> str:
    steps = (f".{part}" if part.isidentifier() else f"[{json.dumps(part)}]" for part in path[1:])
    return visible(path[0] + "".join(steps))


def _show(value: object) -> str:
    if value is _ABSENT:
        return "is missing"
    text = visible(json.dumps(value, default=str))
    return f"= {text}" if len(text) <= _MOST else f"= {text[:_MOST]}…"


def clause_text(clause: Clause) -> str:
    """Return what a clause is about, that it does not hold, and what the policy asks for."""
    name = f" {visible(clause.name)}" if clause.name else ""
    wanted = ", ".join(visible(" ".join(one.split())) for one in clause.wanted)
    held = "does not hold" if clause.held is False else "is unknown"
    said = f" ({visible(clause.message)})" if clause.message else ""
    return f"{clause.kind}{name} {held}" + (f"; expected: {wanted}" if wanted else "") + said


def rule_name(rule: CompiledRule) -> str:
    """Return policy and rule."""
    return f"{visible(rule.policy.name)}/{visible(rule.name)}"
