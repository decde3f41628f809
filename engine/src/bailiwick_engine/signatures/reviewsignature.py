"""Whether the signature of a review counts: one pure function for operator, decision point and audit.

Standing: the top of this room. Holds: only a signature of the reviewer's own enrolled key over this very grant, step,
decision and reason counts (invariant 30 of hack/invariants.py); where a step asks for `Required`, only one for which
the key verified its user.
"""

import json
from functools import lru_cache
from typing import Any, Final

from bailiwick_api.kinds.approvalgrant import GrantStep, Review
from bailiwick_engine.canonicaljson import NotCanonicalError
from bailiwick_engine.signatures.passkeyorigins import accepts_passkey
from bailiwick_engine.signatures.registrars import ReviewerTrust
from bailiwick_engine.signatures.sshsig import (
    USER_PRESENT,
    USER_VERIFIED,
    SignatureFormatError,
    SshSignature,
    parse_signature,
    verify,
)
from bailiwick_engine.signatures.statement import (
    REVIEW_NAMESPACE,
    ReviewedGrant,
    SignedReview,
    review_statement,
)

# Members of client data that say that the page stood inside another one, in lower case.
_FRAMED: Final = frozenset({"crossorigin", "toporigin"})
_KEPT: Final = 1_024


def asks_signature(step: GrantStep, review: Review) -> bool:
    """Tell whether a review counts only with a signature: a Deny counts without."""
    return step.signature is not None and review.decision == "Approve"


def signature_problem(
    grant: ReviewedGrant,
    review: Review,
    step: GrantStep,
    trust: ReviewerTrust,
    now: float,
    *,
    earliest: float | None = None,
) -> str | None:
    """Return why a review does not count for want of a signature, for a person; None where nothing is wrong.

    `now`: seconds since the epoch; to look back, when the review was counted. `earliest`: as of `ReviewerKey.in_time`.
    """
    if not asks_signature(step, review):
        return None
    if review.signature is None:
        return f"step {step.name} needs a signed review: approve in the console, or with --key"
    return signed_review_problem(
        grant,
        SignedReview.from_review(review),
        review.signature,
        trust,
        now,
        verified_user=step.signature == "Required",
        earliest=earliest,
    )


def signed_review_problem(
    grant: ReviewedGrant,
    review: SignedReview,
    text: str,
    trust: ReviewerTrust,
    now: float,
    *,
    verified_user: bool,
    earliest: float | None = None,
) -> str | None:
    """Return why this signature over a review does not count; None where it does."""
    if (problem := enrolment_problem(review.reviewer, text, trust, now, earliest)) is not None:
        return problem
    try:
        statement = review_statement(grant, review)
    except NotCanonicalError as error:
        return f"the review cannot be signed: {error}"
    return statement_problem(text, statement, trust.origins, verified_user=verified_user)


def enrolment_problem(
    reviewer: str, text: str, trust: ReviewerTrust, now: float, earliest: float | None = None
) -> str | None:
    """Return why the key of a signature is not one of this reviewer's at this time; None where it is.

    `earliest`: as of `ReviewerKey.in_time`.
    """
    if trust.keys is None:
        return f"the reviewers' keys cannot be used: {trust.problem}"
    if trust.keys.expires <= now:
        return "the file of reviewers' keys has expired: a registrar must sign a new one"
    try:
        key = _parsed_signature(text).key
    except SignatureFormatError as error:
        return f"the signature cannot be read: {error}"
    entry = trust.keys.key_of(reviewer, key)
    if entry is None:
        return f"key {key.fingerprint} is not enrolled for {reviewer}: a registrar must enrol it"
    if not entry.in_time(now, earliest):
        return f"key {key.fingerprint} of {reviewer} is not valid at this time: sign with another enrolled key"
    return None


def statement_problem(
    text: str, statement: bytes, origins: frozenset[str] | None, *, verified_user: bool
) -> str | None:
    """Return why a signature is not one over this statement, made as the step asks; None where it is.

    `origins`: where passkeys may be used; None: not known, so wherever they are enrolled for.
    """
    try:
        signature = _parsed_signature(text)
    except SignatureFormatError as error:
        return f"the signature cannot be read: {error}"
    if not _is_signed(text, statement):
        return "the signature is over something else than this review: sign the statement of this review"
    if signature.touch is not None and not signature.touch.flags & USER_PRESENT:
        return "the security key was not touched: sign again and touch it"
    if verified_user and (signature.touch is None or not signature.touch.flags & USER_VERIFIED):
        return "the step needs a key that verifies its user: use a passkey, or a security key with -O verify-required"
    return None if signature.assertion is None else _origin_problem(signature, origins)


def key_fingerprint(text: str) -> str | None:
    """Return the fingerprint of the key of a signature; None if it cannot be read."""
    try:
        return _parsed_signature(text).key.fingerprint
    except SignatureFormatError:
        return None


@lru_cache(_KEPT)
def _parsed_signature(text: str) -> SshSignature:
    """Read a signature. Raises `SignatureFormatError`."""
    return parse_signature(text)


@lru_cache(_KEPT)
def _is_signed(text: str, statement: bytes) -> bool:
    # To verify takes a good part of a millisecond, and a grant is judged at each call that it may be for.
    signature = _parsed_signature(text)
    return verify(signature, signature.key, REVIEW_NAMESPACE, statement)


def _origin_problem(signature: SshSignature, origins: frozenset[str] | None) -> str | None:
    """Return why an assertion was not made where passkeys may be used (WebAuthn section 7.2); None where it was."""
    assertion, rp_id = signature.assertion, signature.key.application
    if assertion is None or rp_id is None:
        return None
    members = _client_data(assertion.client_data)
    if members is None:
        return "the client data of the passkey is not plain JSON: sign again in another browser"
    if any(name.lower() in _FRAMED and (name, value) != ("crossOrigin", False) for name, value in members.items()):
        return "the passkey was used from a page inside another page: sign on the console's own page"
    if not accepts_passkey(origins, rp_id, assertion.origin):
        return (
            f"the passkey was used at {assertion.origin}, where none of {rp_id} is accepted: sign on the console's own"
            " page. --passkey-origin lists the origins of consoles"
        )
    return None


def _client_data(held: bytes) -> dict[str, Any] | None:
    """Return the members of client data; None where it is no JSON object, or where readers of it differ."""
    try:
        found = json.loads(held.decode(), object_pairs_hook=_distinct_names, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _distinct_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a name stands twice"
        raise ValueError(message)
    return found


def _refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which JSON does not have."""
    message = f"{name} is no JSON"
    raise ValueError(message)
