"""The justification of an approval request (AuthZEN ARAP, `business_justification`): whether it will do for a gate.

Standing: decision point, operator and command line ask here. Holds: pure; a reason that is blank is none.
"""

from bailiwick_api.kinds.approvalgrant import MAX_REASON
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.cel.expressions import matches_whole


def reason_problem(gate: Gate, reason: str | None) -> str | None:
    """Return what is wrong with the requester's reason, in a sentence; None where it will do for every rule."""
    if reason is None or not reason.strip():
        return "a reason is required" if any(wanted.required for wanted in gate.reasons) else None
    if len(reason) > MAX_REASON:
        return f"the reason must have at most {MAX_REASON} characters"
    for wanted in gate.reasons:
        if wanted.pattern and matches_whole(wanted.pattern, reason) is not True:
            return f"the reason must match {wanted.pattern}"
    return None
