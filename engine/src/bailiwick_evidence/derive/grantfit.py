"""Grant fit: whether the grant in a record can have let the call through that gate.

Standing: under `derive`. Holds: rules, steps and reviews are compared with the engine's own requirements for a grant.
Only the decision point attests that the grant existed, was in time and was not revoked.
"""

from typing import Any, Final

from bailiwick_api.kinds.approvalgrant import GrantStep, Request, Review
from bailiwick_engine.approval import quorum
from bailiwick_engine.approval.gates import Gate, plain_steps
from bailiwick_engine.approval.grants import excluded_reviewers
from bailiwick_engine.call import Call, Party
from bailiwick_evidence.derive.shape import GrantState

_USED: Final = frozenset({"Active", "Consumed"})


def grant_fits(grant: GrantState, digest: str | None, gate: Gate, call: Call) -> bool:
    """Tell whether a used grant is for this gate, with all steps complete, and bound to `digest`."""
    if grant.phase not in _USED or not 0 < (grant.uses or 0) <= grant.max_uses or grant.max_uses < 1:
        return False
    if not 0 <= (grant.uses or 0) - grant.uses_before <= 1:
        return False
    if {rule.digest for rule in grant.rules} != {rule.rule_digest for rule in gate.rules}:
        return False
    if grant.binding.mode == "Exact" and (digest is None or grant.binding.digest != digest):
        return False
    steps = [
        GrantStep.model_construct(
            name=step.name,
            policy=step.policy,
            kind=step.kind,
            groups=None if step.groups is None else list(step.groups),
            count=step.count,
            signature=step.signature,
        )
        for step in grant.steps
    ]
    if plain_steps(steps) != plain_steps(gate.steps) or not isinstance(call.subject, Party):
        return False
    reviews = [
        Review.model_construct(
            reviewer=one.reviewer, step=one.step, group=one.group, decision="Approve", binding=grant.uid, reason=None
        )
        for one in grant.reviews or ()
    ]
    asked: dict[str, Any] = {"steps": steps}
    return quorum.tally(
        Request.model_construct(**asked),
        reviews,
        binding=grant.uid,
        barred=excluded_reviewers(call, call.subject),
        # The installation defines which usernames are people; no record contains that.
        is_person=lambda _: True,
        # Signatures are verified with the registrars' keys, by `audit.reviewfold`.
        is_signed=lambda _review, _step: True,
    ).met
