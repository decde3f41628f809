"""A key that every reviewer of a test file has, so that the engine verifies their signatures as it always does.

Holds: each process makes one of its own, which is enrolled nowhere, so that what it signs counts in a test alone.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_engine.signatures.publickey import SK_ED25519, encode_key, parse_public_key
from bailiwick_engine.signatures.registrars import ReviewerTrust
from bailiwick_engine.signatures.reviewerkeys import ReviewerKey, ReviewerKeys
from bailiwick_engine.signatures.sshsig import (
    USER_PRESENT,
    USER_VERIFIED,
    SshSignature,
    Touch,
    signed_data,
    write_signature,
)
from bailiwick_engine.signatures.statement import (
    REVIEW_NAMESPACE,
    ReviewedGrant,
    SignedReview,
    request_digest,
    review_statement,
)

_APPLICATION: Final = "ssh:test"
_TOUCH: Final = Touch(USER_PRESENT | USER_VERIFIED, 1)
_HASH: Final = "sha256"


@cache
def _private() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def trust_of(reviewers: Iterable[str]) -> ReviewerTrust:
    """Return trust in the signatures of these reviewers."""
    key = parse_public_key(encode_key(SK_ED25519, _private().public_key().public_bytes_raw(), _APPLICATION))
    entries = tuple(ReviewerKey(name, key) for name in sorted(set(reviewers)))
    return ReviewerTrust(ReviewerKeys(1, float("inf"), entries), "")


def sign_review(metadata: dict[str, Any], request: dict[str, Any], review: dict[str, Any]) -> str:
    """Return a signature over a review of this grant, by a key that verified its user. Raises `NotCanonicalError`."""
    reviewed = ReviewedGrant(
        metadata["namespace"],
        metadata["name"],
        metadata["uid"],
        request_digest({"spec": {"request": request}}),
        review["binding"],
    )
    signed = SignedReview(review["reviewer"], review["step"], review.get("group"))
    data = signed_data(REVIEW_NAMESPACE, _HASH, review_statement(reviewed, signed))
    made = (
        hashlib.sha256(_APPLICATION.encode()).digest()
        + bytes([_TOUCH.flags])
        + _TOUCH.counter.to_bytes(4, "big")
        + hashlib.sha256(data).digest()
    )
    (entry,) = trust_of([review["reviewer"]]).keys.entries  # type: ignore[union-attr]  # there are keys
    return write_signature(SshSignature(entry.key, REVIEW_NAMESPACE, _HASH, SK_ED25519, _private().sign(made), _TOUCH))
