"""Reviews that are signed: the statement of one, what a person is shown of it, and what its signature is worth here.

Standing: above `signing`, for terminal and console alike. Holds: pure; the engine makes the statement and judges the
signature, as it does in the cluster.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bailiwick_engine.canonicaljson import NotCanonicalError
from bailiwick_engine.signatures.reviewsignature import signed_review_problem, statement_problem
from bailiwick_engine.signatures.sshsig import SignatureFormatError, parse_signature
from bailiwick_engine.signatures.statement import (
    ReviewedGrant,
    SignedReview,
    reason_digest,
    request_digest,
    review_statement,
)
from bailiwick_governance.display import Line, legible
from bailiwick_governance.errors import UserError
from bailiwick_governance.grants.grantview import GrantStepView, GrantView, moment
from bailiwick_governance.grants.steps import StepChoice
from bailiwick_governance.signing.enrolledkeys import EnrolledKeys

REQUIRED: Final = "Required"
_UNVERIFIED: Final = "yellow"


def statement(grant: GrantView, username: str, choice: StepChoice, reason: str) -> bytes:
    """Return the bytes that a reviewer signs to approve a step. Raises `UserError` where there are none."""
    review = SignedReview(username, choice.step.name, choice.group, reason_digest(reason) if reason else None)
    try:
        return review_statement(reviewed_grant(grant), review)
    except NotCanonicalError as error:
        raise UserError(f"this approval cannot be signed: {error}") from error


def reviewed_grant(grant: GrantView) -> ReviewedGrant:
    """Return what a statement has of a grant. Raises `NotCanonicalError`."""
    return ReviewedGrant(grant.namespace, grant.name, grant.uid, request_digest(grant.raw), grant.binding)


def statement_rows(signed: bytes) -> tuple[Line, ...]:
    """Return each member of a statement, to be shown before it is signed."""
    members: dict[str, str] = json.loads(signed)
    return tuple([(legible(name), ""), (legible(value), "bold")] for name, value in members.items())


def signature_problem_here(
    grant: GrantView, entry: Mapping[str, Any], step: GrantStepView, keys: EnrolledKeys, now: float
) -> str | None:
    """Return why the signature of a review would not count by these keys at a time; None where it would."""
    reason = entry.get("reason")
    review = SignedReview(
        entry["reviewer"],
        entry["step"],
        entry.get("group"),
        None if reason is None else reason_digest(reason),
        entry["decision"],
    )
    try:
        of_grant = reviewed_grant(grant)
        if keys.trust.keys is not None:
            required = step.signature == REQUIRED
            return signed_review_problem(of_grant, review, entry["signature"], keys.trust, now, verified_user=required)
        signed = review_statement(of_grant, review)
    except NotCanonicalError as error:
        return str(error)
    return statement_problem(entry["signature"], signed, None, verified_user=step.signature == REQUIRED)


def signature_pieces(grant: GrantView, entry: Mapping[str, Any], keys: EnrolledKeys) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of the signature of a review; nothing where none is asked for and none is there."""
    steps = {step.name: step for step in grant.steps}
    step = steps.get(entry["step"])
    signature = entry.get("signature")
    if step is None or (signature is None and step.signature is None) or entry["decision"] != "Approve":
        return
    if signature is None:
        yield "; not signed", "red"
        return
    try:
        fingerprint = parse_signature(signature).key.fingerprint
    except SignatureFormatError:
        yield "; its signature cannot be read", "red"
        return
    yield f"; signed by {fingerprint}", ""
    if (problem := signature_problem_here(grant, entry, step, keys, _judged_at(grant, entry))) is not None:
        yield f" (not verified: {legible(problem)})", "red"
    elif keys.trust.keys is None:
        yield f" (over this review; whose key it is, is not known here: {legible(keys.trust.problem)})", _UNVERIFIED
    elif not keys.judged:
        yield " (verified by keys that no registrar known here has signed)", _UNVERIFIED
    else:
        yield " (verified)", "green"


def _judged_at(grant: GrantView, entry: Mapping[str, Any]) -> float:
    """Return the time to judge a signature by: when the review was counted, else now."""
    for counted in grant.status.get("counted") or ():
        if counted["reviewer"] == entry["reviewer"] and counted.get("time"):
            return moment(counted["time"])
    return grant.now
