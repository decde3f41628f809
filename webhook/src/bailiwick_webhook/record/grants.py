"""A grant in a record: its state when it was used or opened, and on whose word it let the call through.

Standing: under `line`. Holds: nothing that is shown to reviewers of the call is in it, only what binds the grant.
"""

from typing import Any

from bailiwick_api.times import stamp
from bailiwick_engine.approval import quorum
from bailiwick_engine.approval.grants import Grant


def grant_members(grant: Grant, evaluation_id: str, *, reviewed: bool) -> dict[str, Any]:
    """Return the state of a grant. `reviewed`: it was used, so that its reviews let the call through."""
    request, status = grant.request, grant.status
    uses = status.uses or 0
    # What a grant that was written by hand leaves to the operator.
    resolved = {(one.policy, one.rule): one.rule_digest for one in (status.resolved.rules if status.resolved else ())}
    taken = any(use.evaluation_id == evaluation_id for use in status.use_records or ())
    told: dict[str, Any] = {
        "name": grant.name,
        "uid": grant.uid,
        "uses": status.uses,
        # A call that is repeated finds its use taken.
        "uses_before": uses - taken,
        "max_uses": request.max_uses,
        "phase": grant.phase,
        "binding": {"mode": request.binding.mode, "digest": request.binding.digest},
        "rules": [
            {
                "policy": rule.policy,
                "rule": rule.rule,
                "digest": rule.rule_digest or resolved.get((rule.policy, rule.rule)),
            }
            for rule in request.rules
        ],
        "steps": [
            {"name": step.name, "policy": step.policy, "kind": step.kind, "groups": step.groups, "count": step.count}
            for step in request.steps
        ],
    }
    if reviewed:
        counted = quorum.counted_reviewers(status)
        told["reviews"] = [
            {
                "reviewer": review.reviewer,
                "step": review.step,
                "group": review.group,
                "time": None if (time := counted[review.reviewer]) is None else stamp(time),
                "reason": review.reason,
            }
            for review in grant.reviews
            if review.reviewer in counted
        ]
    return told
