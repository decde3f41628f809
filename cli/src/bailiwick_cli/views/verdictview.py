"""A verdict and its explanation, as people and scripts read them: of `check`, and of a decision that is on record.

Holds: every text of others is escaped; nothing is decided here.
"""

from collections.abc import Iterator
from typing import Any, Final

from bailiwick_cli.errors import Exit
from bailiwick_engine.approval.display import visible
from bailiwick_engine.decision.explain import Explanation, RequiredChange
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.reasons import Reason
from bailiwick_governance.display import Line
from bailiwick_governance.grants.grantview import gate_terms
from bailiwick_governance.views.nearview import clause_text, rule_name

EFFECTS: Final = {
    Exit.OK: ("allow", "green"),
    Exit.NO: ("deny", "red"),
    Exit.FAILURE: ("deny", "red"),
    Exit.PENDING: ("approval required", "yellow"),
}
# An approval is there; what is missing is its token, as the reason says.
_BY_TOKEN: Final = {Reason.APPROVAL_TOKEN_REQUIRED, Reason.APPROVAL_TOKEN_INVALID}


def verdict_lines(verdict: Verdict, explanation: Explanation, code: Exit) -> Iterator[Line]:
    """Yield effect, reason, rule and the nearest miss."""
    effect, style = EFFECTS[code]
    yield [(effect, f"bold {style}"), (f"  {verdict.reason.value}", "")]
    yield [(visible(verdict.sentence), "")]
    if verdict.rule is not None:
        yield [("Rule: ", "bold"), (f"{rule_name(verdict.rule)} ({verdict.rule.effect.value})", "")]
    for grant in verdict.grants[:1]:
        yield [("Approval: ", "bold"), (visible(grant.name), "")]
    if verdict.pending is not None:
        yield [("Pending: ", "bold"), (visible(verdict.pending.name), "")]
    if code is Exit.OK:
        return
    if verdict.gate is not None and verdict.reason not in _BY_TOKEN:
        yield [("To allow it: ", "bold"), (gate_terms(verdict.gate), "")]
    if explanation.changes:
        yield [("Nearest miss, and what would have to change:", "bold")]
        for change in explanation.changes:
            yield from (([("  " + line, "")]) for line in _change_lines(change))
        then = "the call would still need an approval" if explanation.approval else "the call would be allowed"
        yield [(f"  Then {then}.", "")]


def _change_lines(change: RequiredChange) -> Iterator[str]:
    where = "the delegation ceiling" if change.rule is None else rule_name(change.rule)
    if change.lift:
        yield f"{where} forbids the call"
    for clause in change.clauses:
        yield f"{where}: {clause_text(clause)}"


def verdict_object(verdict: Verdict, explanation: Explanation, code: Exit) -> dict[str, Any]:
    """Return the answer as an object; it is not one of the API server's."""
    body: dict[str, Any] = {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "Check",
        "effect": {Exit.OK: "allow", Exit.PENDING: "approvalRequired"}.get(code, "deny"),
        "reason": verdict.reason.value,
        "message": verdict.sentence,
    }
    if verdict.rule is not None:
        body["rule"] = {"policy": verdict.rule.policy.name, "rule": verdict.rule.name}
    if verdict.grants:
        body["grant"] = verdict.grants[0].name
    if verdict.pending is not None:
        body["pending"] = verdict.pending.name
    if verdict.gate is not None and code is not Exit.OK:
        body["approval"] = {
            "steps": [step.model_dump(exclude_none=True) for step in verdict.gate.steps],
            "windowSeconds": verdict.gate.window_seconds,
            "maxUses": verdict.gate.max_uses,
        }
    if explanation.changes and code is not Exit.OK:
        body["nearestMiss"] = {
            "changes": [line for change in explanation.changes for line in _change_lines(change)],
            "then": "approvalRequired" if explanation.approval else "allow",
        }
    return body
