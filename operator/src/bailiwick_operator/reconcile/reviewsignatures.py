"""The signatures of a grant's reviews: which of them count, which never will, and which wait for the keys. Pure.

Standing: under `approvalgrant`, over the engine's one judgement of a signature. Holds: while the file of reviewers'
keys cannot be used, a signed review is neither counted nor void: it waits. So does one by a key that may not have begun
yet, by what is known of the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from bailiwick_api.kinds.approvalgrant import ApprovalGrant, ApprovalGrantStatus
from bailiwick_engine.approval.quorum import binding_of
from bailiwick_engine.canonicaljson import NotCanonicalError
from bailiwick_engine.compile.acceptance import shorten
from bailiwick_engine.signatures.registrars import ReviewerTrust
from bailiwick_engine.signatures.reviewsignature import asks_signature, signature_problem
from bailiwick_engine.signatures.statement import ReviewedGrant, request_digest
from bailiwick_operator.reconcile.conditions import Status

_MOST: Final = 1_024
_TOLD: Final = 2
_AGAIN: Final = "; then request a new grant, because this review is void"


@dataclass(frozen=True, slots=True)
class ReviewSignatures:
    """By reviewer, what is wrong with the signature; and whose reviews wait until keys can be used, with the reason."""

    problems: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    waiting: frozenset[str] = frozenset()
    why: str = ""

    def count(self, reviewer: str) -> bool:
        """Tell whether the signature of this reviewer's review counts."""
        return reviewer not in self.problems and reviewer not in self.waiting

    def refused(self, model: ApprovalGrant, status: ApprovalGrantStatus) -> list[Status]:
        """Return the entries of `status.voided` for reviews that were not judged before."""
        judged = {entry.reviewer for entry in (*(status.counted or ()), *(status.voided or ()))}
        return [
            {"reviewer": review.reviewer, "message": shorten(self.problems[review.reviewer] + _AGAIN, _MOST)}
            for review in model.spec.reviews or ()
            if review.reviewer in self.problems and review.reviewer not in judged
        ]

    @property
    def note(self) -> str:
        """A note for people about the reviews that wait or do not count; "" if there are none."""
        if self.waiting:
            return f"; signed reviews wait, because the reviewers' keys cannot be used: {self.why}"
        return "".join(
            f"; the review by {name} does not count: {why}" for name, why in [*self.problems.items()][:_TOLD]
        )


_NONE: Final = ReviewSignatures()


def signatures_of(
    grant: Mapping[str, Any], model: ApprovalGrant, trust: ReviewerTrust, now: datetime, earliest: datetime | None
) -> ReviewSignatures:
    """Judge the signatures of a grant's reviews. `grant` is as stored, `model` the same as parsed.

    `now`: the latest time that it can be. `earliest`: the earliest; None: as `now`.
    """
    request, steps = model.spec.request, {step.name: step for step in model.spec.request.steps}
    signing = [
        (review, step)
        for review in model.spec.reviews or ()
        if (step := steps.get(review.step)) is not None and asks_signature(step, review)
    ]
    if not signing:
        return _NONE
    if trust.keys is None or trust.keys.expires <= now.timestamp():
        why = trust.problem or "the file has expired: a registrar must sign a new one"
        return ReviewSignatures(waiting=frozenset(review.reviewer for review, _ in signing), why=why)
    metadata = grant["metadata"]
    try:
        digest = request_digest(grant)
    except NotCanonicalError as error:
        return ReviewSignatures({review.reviewer: str(error) for review, _ in signing})
    binding = binding_of(request, metadata["uid"])
    reviewed = ReviewedGrant(metadata["namespace"], metadata["name"], metadata["uid"], digest, binding)
    problems: dict[str, str] = {}
    early: list[str] = []
    for review, step in signing:
        problem = signature_problem(reviewed, review, step, trust, now.timestamp())
        if problem is not None:
            problems[review.reviewer] = problem
        elif earliest is not None:
            problem = signature_problem(reviewed, review, step, trust, now.timestamp(), earliest=earliest.timestamp())
            if problem is not None:
                early.append(review.reviewer)
    why = f"the key of {', '.join(early)} becomes valid at about this time" if early else ""
    return ReviewSignatures(problems, frozenset(early), why)
