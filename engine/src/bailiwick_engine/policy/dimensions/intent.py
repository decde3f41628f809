"""The intent: for which declared purposes (`context.intent`) a rule holds.

Holds: who calls chooses the purpose, so that another one keeps a gate shut, and no Deny has any.
"""

from collections.abc import Iterable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_api.kinds.endpointpolicy import Rule
from bailiwick_engine.call import Call
from bailiwick_engine.cel.members import Path
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.dimensions.atom import CallAtom, CallDraft
from bailiwick_engine.policy.dimensions.clause import CallView, Clause, plain_clause
from bailiwick_engine.policy.dimensions.dimension import (
    Aspect,
    Dimension,
    Limit,
    RecordReader,
    no_attributes,
    weightless,
)
from bailiwick_engine.problem import Problem
from bailiwick_engine.reasons import Reason

INTENT_CLAUSE: Final = "intent"


@dataclass(frozen=True, eq=False, kw_only=True)
class IntentPart:
    """The purposes of a rule; None: any, and none."""

    __slots__ = ()

    intents: frozenset[str] | None = None

    def accepts(self, intent: str | None) -> bool:
        """Tell whether the rule takes a call of this declared purpose."""
        return self.intents is None or intent in self.intents


def _problems(rule: Rule, path: str) -> Iterable[Problem]:
    if rule.effect == "Deny" and rule.intents:
        yield Problem(f"{path}.intents", "a Deny rule cannot have intents")


def _refusal(rule: IntentPart, call: Call, _now: float) -> Reason | None:
    intents = rule.intents
    # As `accepts`, without the call: this is on a decision's way.
    return None if intents is None or call.intent in intents else Reason.INTENT_MISMATCH


def _limit(rule: IntentPart) -> Limit | None:
    return None if rule.intents is None else _refusal


def _clauses(rule: IntentPart, view: CallView) -> Iterable[Clause]:
    if rule.intents is not None:
        yield plain_clause(INTENT_CLAUSE, held=rule.accepts(view.call.intent), wanted=sorted(rule.intents))


def atom_of(intent: str, label: str) -> CallAtom:
    """Return the atom of one purpose."""

    def put(draft: CallDraft) -> CallDraft:
        return draft.with_context("intent", intent)

    return CallAtom(label, put)


def _atoms(rules: Sequence[IntentPart], _keys: AbstractSet[Key], _now: float) -> Sequence[CallAtom]:
    """Return every purpose that is listed, and none, which no list accepts, as any other purpose."""
    lists = [rule.intents for rule in rules if rule.intents is not None]
    if not lists:
        return (CallAtom(),)
    return (*(atom_of(name, name) for name in sorted(frozenset[str]().union(*lists))), CallAtom("other"))


def _record_reader(rules: Sequence[IntentPart], paths: AbstractSet[Path]) -> RecordReader | None:
    if all(rule.intents is None for rule in rules) and not any(
        path[0] == "context" and path[1:2] in {(), ("intent",)} for path in paths
    ):
        return None

    def read(record: Mapping[str, Any]) -> object:
        return record.get("intent")

    return read


INTENT: Final = Dimension(
    name="intent",
    part=IntentPart,
    written=frozenset({"intents"}),
    aspect=Aspect.CALL,
    compile=lambda source: {"intents": frozenset(source.rule.intents) if source.rule.intents else None},
    problems=_problems,
    limit=_limit,
    limits_with=(Reason.INTENT_MISMATCH,),
    clauses=_clauses,
    meaning=lambda rule, _: rule.intents,
    atoms=_atoms,
    # Every record has a member for it.
    reads=no_attributes,
    record_reader=_record_reader,
    weight=weightless,
)
