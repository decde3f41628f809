"""The approval token: what is known of an approval, signed, for the caller to show (AuthZEN ARAP `approval.state`).

Holds: it is no bearer grant: whatever it says, the live grant is judged; it ends when the approval does; it names the
call by its digest, and no argument of it. Verifying never raises, whatever the text.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from bailiwick_api.signingkeys import MAX_TOKEN_LIFETIME
from bailiwick_api.times import epoch_stamp
from bailiwick_engine.approval import quorum
from bailiwick_engine.approval.binding import hash_of
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Token
from bailiwick_webhook.metrics.table import TokenProblem
from bailiwick_webhook.signing.jose import proven, signed
from bailiwick_webhook.signing.keyring import Keyring

TYPE: Final = "approval+jwt"
_LIVES: Final = frozenset({"Active", "Consumed"})
# What is there for the reader alone. Where all of it is too much for a token, these go, the first first.
_TOLD: Final = ("approvals", "binding_context_members", "policy")


class _Act(msgspec.Struct):
    sub: str
    sub_uid: str
    iss: str | None = None
    act: "_Act | None" = None


class _Grant(msgspec.Struct):
    ns: str
    name: str
    uid: str


class _Claims(msgspec.Struct):
    """What is read of the claims; the others are for other readers."""

    jti: str
    approval_id: str
    task_id: str
    sub: str
    sub_uid: str
    grant: _Grant
    binding_hash: str | None = None
    act: _Act | None = None


class VerifiedApprovalToken(msgspec.Struct, frozen=True):
    """A token that proves something. `jti` is what it is known by in records."""

    token: Token
    jti: str


def issue(keyring: Keyring, grant: Grant, base: str, now: float) -> str | None:
    """Return the token of an approved grant; None where no key signs, or where the approval is over or taken back."""
    approved, until = grant.status.approved_time, grant.status.not_after_time
    if approved is None or until is None or grant.phase not in _LIVES:
        return None
    if grant.revoked or grant.deleting or grant.void:
        return None
    ends = min(until.timestamp(), now + MAX_TOKEN_LIFETIME.total_seconds())
    parties = _parties(grant)
    if now >= ends or parties is None:
        return None
    binding = grant.request.binding
    bound: dict[str, Any] = (
        {} if binding.digest is None or binding.mode != "Exact" else {"binding_hash": hash_of(binding.digest)}
    )
    claims = {
        "iss": base,
        "aud": base,
        **parties,
        "iat": int(now),
        "nbf": int(now),
        "exp": int(ends),
        "jti": grant.id,
        "approval_id": grant.id,
        "task_id": grant.id,
        "grant": {"ns": grant.namespace, "name": grant.name, "uid": grant.uid},
        **bound,
        "approved_at": epoch_stamp(approved.timestamp()),
        "approved_until": epoch_stamp(until.timestamp()),
        "uses": grant.request.max_uses,
    }
    told = {
        "approvals": _approvals(grant),
        "binding_context_members": binding.members if bound else None,
        "policy": _policy(grant),
    }
    for leaving in range(len(_TOLD) + 1):
        kept = {name: told[name] for name in _TOLD[leaving:] if told[name]}
        token = signed(keyring, TYPE, {**claims, **kept}, now)
        if token is not None:
            return token
    return None


def verify(
    keyring: Keyring, token: str, *, base: str, namespace: str, now: float
) -> VerifiedApprovalToken | TokenProblem:
    """Return what a token says, if it was issued for the endpoint at `base`; else why it proves nothing."""
    found = proven(keyring, TYPE, token, base, now)
    if isinstance(found, TokenProblem):
        return found
    try:
        claims = msgspec.convert(found, _Claims)
    except (msgspec.ValidationError, RecursionError):
        return TokenProblem.CLAIMS
    known = f"{claims.grant.name}.{claims.grant.uid}"
    if not known == claims.jti == claims.approval_id == claims.task_id:
        return TokenProblem.CLAIMS
    if claims.grant.ns != namespace:
        return TokenProblem.NAMESPACE
    return VerifiedApprovalToken(Token(known, claims.binding_hash, claims.sub_uid, _chain(claims.act)), claims.jti)


def _chain(act: _Act | None) -> tuple[tuple[str | None, str, str], ...]:
    chain = []
    while act is not None:
        chain.append((act.iss, act.sub, act.sub_uid))
        act = act.act
    return tuple(chain)


def _parties(grant: Grant) -> dict[str, Any] | None:
    """Return subject and actors as claims (RFC 8693: the outermost first); None where one is not known by its uid."""
    uid = grant.subject_uid
    if uid is None:
        return None
    act: dict[str, Any] | None = None
    for actor in reversed(grant.request.actors or ()):
        if actor.uid is None:
            return None
        named = {"sub": actor.id, "sub_uid": actor.uid} | ({"iss": actor.issuer} if actor.issuer is not None else {})
        act = named if act is None else {**named, "act": act}
    return {"sub": grant.request.subject.id, "sub_uid": uid} | ({} if act is None else {"act": act})


def _approvals(grant: Grant) -> Sequence[Mapping[str, Any]]:
    """Return who approved, as far as it counts. Never an input of a decision: the live grant's reviews are."""
    counted = quorum.counted_reviewers(grant.status)
    kinds = {step.name: step.kind for step in grant.request.steps}
    return [
        {"sub": review.reviewer, "kind": kinds[review.step].lower()}
        for review in grant.reviews
        if review.reviewer in counted and review.decision == "Approve" and review.step in kinds
    ]


def _policy(grant: Grant) -> Sequence[Mapping[str, Any]]:
    resolved = grant.status.resolved
    rules = grant.request.rules if not grant.by_hand or resolved is None else resolved.rules
    return [{"name": of.policy, "uid": of.uid, "rule": of.rule, "digest": of.rule_digest} for of in rules]
