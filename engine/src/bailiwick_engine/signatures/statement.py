"""The statement that a reviewer signs: what of which grant they approve.

Standing: over `canonicaljson`. Holds: operator, decision point, audit, console and command line make the bytes here, so
that a signature over one review is a signature over no other.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_api.kinds.approvalgrant import Review
from bailiwick_engine.call import Json
from bailiwick_engine.canonicaljson import canonical, sha256

REVIEW_NAMESPACE: Final = "review@bailiwick.dev"
REVIEWERS_NAMESPACE: Final = "reviewers@bailiwick.dev"
"""In which registrars sign the file of reviewers' keys."""
ENROL_NAMESPACE: Final = "enrol@bailiwick.dev"
"""In which a person proves to a registrar that they hold a key."""
REVIEW_TYPE: Final = "https://bailiwick.dev/review/v1"


@dataclass(frozen=True, slots=True)
class ReviewedGrant:
    """The grant of a statement. `request`: its `request_digest`; `binding`: what reviews repeat."""

    namespace: str
    name: str
    uid: str
    request: str
    binding: str


@dataclass(frozen=True, slots=True)
class SignedReview:
    """A review as a statement has it. `reason` is the digest of the reviewer's words; None: there are none."""

    reviewer: str
    step: str
    group: str | None = None
    reason: str | None = None
    decision: str = "Approve"

    @classmethod
    def from_review(cls, review: Review) -> "SignedReview":
        """Return what a statement has of a review."""
        reason = None if review.reason is None else reason_digest(review.reason)
        return cls(review.reviewer, review.step, review.group, reason, review.decision)


def request_digest(grant: Mapping[str, Any]) -> str:
    """Return the digest of what a stored grant asks for. Raises `NotCanonicalError`.

    That is its `spec.request`. One by hand has names alone there, so it is also what the operator wrote that they stand
    for: `{"request": spec.request, "resolved": status.resolved}`.
    """
    request = grant["spec"]["request"]
    if request.get("origin") != "PreApproved":
        return sha256(request)
    return sha256({"request": request, "resolved": (grant.get("status") or {}).get("resolved")})


def reason_digest(reason: str) -> str:
    """Return `sha256:` and the hex SHA-256 of a reason in UTF-8."""
    return "sha256:" + hashlib.sha256(reason.encode()).hexdigest()


def review_statement(grant: ReviewedGrant, review: SignedReview) -> bytes:
    """Return the bytes to sign. Raises `NotCanonicalError`."""
    statement: dict[str, Json] = {
        "_type": REVIEW_TYPE,
        "namespace": grant.namespace,
        "grant": grant.name,
        "uid": grant.uid,
        "request": grant.request,
        "binding": grant.binding,
        "step": review.step,
        "decision": review.decision,
        "reviewer": review.reviewer,
    }
    if review.group is not None:
        statement["group"] = review.group
    if review.reason is not None:
        statement["reason"] = review.reason
    return canonical(statement)
