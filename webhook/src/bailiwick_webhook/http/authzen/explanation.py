"""Explanations, as the context of an answer carries them: each near rule clause by clause, and the nearest miss.

Holds: only what policies say and whether it held, and the numbers of histories; nothing of the call.
"""

from typing import Any

from bailiwick_engine.decision.explain import Explanation, RequiredChange, WeighedRule
from bailiwick_engine.decision.match import Standing
from bailiwick_engine.policy.dimensions.clause import Clause
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.truth import TOO_COSTLY, UNKNOWN
from bailiwick_webhook.pipeline.pdp import Decision

_STANDING = {Standing.APPLIES: "applies", Standing.SILENT: "silent", Standing.DENIES: "shut"}
_HELD = {True: "true", False: "false", UNKNOWN: "unknown", TOO_COSTLY: "unknown"}


def described(decision: Decision) -> dict[str, Any]:
    """Return the explanation of a decision, or why there is none to see."""
    explanation = decision.explanation
    if explanation is None:
        return {"withheld": "To see more, you need the verb get on endpointpolicies in the endpoint's namespace."}
    body: dict[str, Any] = {"rules": [_weighed(one) for one in explanation.near]}
    if explanation.refused is not None:
        body["refused"] = explanation.refused.value
    if explanation.incomplete:
        body["incomplete"] = True
    if explanation.histories:
        # `null`: not known.
        body["histories"] = {name: None if one is None else one.members for name, one in explanation.histories}
    if not decision.allowed and explanation.changes:
        body["nearest_miss"] = _miss(explanation)
    return body


def _weighed(one: WeighedRule) -> dict[str, Any]:
    return {
        **_place(one.rule),
        "effect": one.rule.effect.value,
        "party": one.party.id,
        "standing": _STANDING[one.standing],
        "clauses": [_clause(clause) for clause in one.clauses],
    }


def _miss(explanation: Explanation) -> dict[str, Any]:
    """`then` is what the call would come to with every change made."""
    return {
        "changes": [_change(change) for change in explanation.changes],
        "then": "approval_required" if explanation.approval else "allowed",
    }


def _change(change: RequiredChange) -> dict[str, Any]:
    if change.rule is None:
        place: dict[str, Any] = {"ceiling": change.entry}
    else:
        place = {**_place(change.rule), "effect": change.rule.effect.value}
    what = {"lift": True} if change.lift else {"meet": [_clause(clause) for clause in change.clauses]}
    return {**place, "party": change.party.id, **what}


def _place(rule: CompiledRule) -> dict[str, Any]:
    return {"policy": rule.policy.name, "rule": rule.name}


def _clause(clause: Clause) -> dict[str, Any]:
    body: dict[str, Any] = {"clause": clause.kind, "held": _HELD[clause.held]}
    if clause.name is not None:
        body["name"] = clause.name
    if clause.wanted:
        body["wanted"] = list(clause.wanted)
    if clause.message is not None:
        body["message"] = clause.message
    return body
