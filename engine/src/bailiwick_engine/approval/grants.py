"""Grants: whether one `ApprovalGrant` lets one call through, judged from the object itself at the moment of use.

Holds: a grant is necessary, never sufficient; phase is only a cache, the reviews are counted again; what cannot be
read or does not fit counts as no grant (invariants 8, 12 to 15, 27 and 30 of hack/invariants.py).
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from pydantic import ValidationError

from bailiwick_api.kinds.approvalgrant import (
    GUARD_UNPROVEN,
    ApprovalGrant,
    ApprovalGrantStatus,
    Phase,
    Request,
    Review,
)
from bailiwick_api.kinds.matches import RESOURCE_ID_PATTERN
from bailiwick_api.manifests.guards import GRANT_NAME_PREFIX
from bailiwick_engine.approval import granttimes, quorum
from bailiwick_engine.approval.display import is_shown
from bailiwick_engine.approval.gates import Gate, plain_steps
from bailiwick_engine.approval.revokedgrants import ending_revocation
from bailiwick_engine.call import Call, Json, Party, Resource
from bailiwick_engine.canonicaljson import canonical, sha256
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.names import NameSet
from bailiwick_engine.reasons import Reason
from bailiwick_engine.revocations import PartyRevocation
from bailiwick_engine.signatures.reviewsignature import signature_problem
from bailiwick_engine.signatures.statement import ReviewedGrant, request_digest

# The index under which a store keeps grants: namespace, endpoint, subject uid.
GrantKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant as the API server returned it. Times are seconds since the epoch.

    `request_digest` is of what is asked for, as stored; None where no step asks for a signature, which covers it.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    created: float
    deleting: bool
    request: Request
    reviews: tuple[Review, ...]
    revoked: bool
    status: ApprovalGrantStatus
    request_digest: str | None = None

    @property
    def reviewed(self) -> ReviewedGrant:
        """What the signature of a review says of it."""
        binding = quorum.binding_of(self.request, self.uid)
        return ReviewedGrant(self.namespace, self.name, self.uid, self.request_digest or "", binding)

    @property
    def id(self) -> str:
        """What the wire knows it by, as task and as approval."""
        return f"{self.name}.{self.uid}"

    @property
    def by_hand(self) -> bool:
        """Written ahead of time by somebody else than the decision point."""
        return self.request.origin == "PreApproved"

    @property
    def subject_uid(self) -> str | None:
        """The uid that the grant is bound to; of one by hand it is what the operator resolved."""
        stated = self.request.subject.uid
        if not self.by_hand:
            return stated
        resolved = self.status.resolved
        return resolved.subject_uid if resolved and stated in {None, resolved.subject_uid} else None

    @property
    def rules(self) -> frozenset[tuple[str, str]]:
        """The keys of its rules, as in `Gate.keys`; empty while they are unknown, which matches no gate."""
        request, resolved = self.request, self.status.resolved
        if not self.by_hand:
            return frozenset((ref.uid, ref.rule_digest) for ref in request.rules if ref.uid and ref.rule_digest)
        found = {
            (rule.policy, rule.rule): (rule.uid, rule.rule_digest) for rule in (resolved.rules if resolved else ())
        }
        for ref in request.rules:
            known = found.get((ref.policy, ref.rule))
            if known is None or ref.uid not in {None, known[0]} or ref.rule_digest not in {None, known[1]}:
                return frozenset()
        return frozenset(found.values()) if len(found) == len(request.rules) else frozenset()

    @property
    def denied_at(self) -> float | None:
        """When it was denied, as the operator saw it; None where that is not known, or before the grant was made."""
        for condition in self.status.conditions or ():
            if condition.type == "Denied" and condition.status == "True":
                since = condition.last_transition_time.timestamp()
                return since if since >= self.created else None
        return None

    @property
    def void(self) -> bool:
        """It was written to while the guards were not proven, so that its uses prove nothing either."""
        return any(
            condition.type == "Ready" and condition.reason == GUARD_UNPROVEN
            for condition in self.status.conditions or ()
        )

    @property
    def phase(self) -> Phase:
        """The phase; a grant that the operator has not seen yet is Pending."""
        return self.status.phase or "Pending"


class Fitness(Enum):
    """How a grant fits a call. Each value but USABLE maps to the reason in the caller's answer."""

    USABLE = Reason.ALLOWED
    PENDING = Reason.APPROVAL_PENDING
    CONSUMED = Reason.APPROVAL_CONSUMED
    EXPIRED = Reason.APPROVAL_EXPIRED
    DENIED = Reason.APPROVAL_DENIED
    REVOKED = Reason.APPROVAL_REVOKED
    OUTDATED = Reason.APPROVAL_REQUIRED
    """Of a rule that means something else now, of a policy that was re-created, or it does not show its reviewers this
    call as it is shown now, or it is used up without its reviews: ask again."""
    UNVERIFIABLE = Reason.APPROVAL_UNVERIFIABLE
    """Its times do not fit each other, or it says that it is active and its reviews do not bear that out."""
    EARLY = Reason.CLOCK_SKEW
    """Made or approved in times to come: somebody's clock is off, and the window may be longer than was approved."""


_ENDED: dict[Phase, Fitness] = {
    "Denied": Fitness.DENIED,
    "Expired": Fitness.EXPIRED,
    "Withdrawn": Fitness.OUTDATED,
    "Consumed": Fitness.CONSUMED,
    "Lapsed": Fitness.EXPIRED,
    "Revoked": Fitness.REVOKED,
}


def parse(raw: Mapping[str, Any]) -> Grant | None:
    """Parse a stored object; None where it cannot be read, which is as good as no grant."""
    try:
        metadata = raw["metadata"]
        parsed = ApprovalGrant.model_validate({"spec": raw["spec"], "status": raw.get("status")})
        return Grant(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
            created=datetime.fromisoformat(metadata["creationTimestamp"]).timestamp(),
            deleting="deletionTimestamp" in metadata,
            request=parsed.spec.request,
            reviews=tuple(parsed.spec.reviews or ()),
            revoked=parsed.spec.revocation is not None,
            status=parsed.status or ApprovalGrantStatus(),
            request_digest=_digest_to_sign(raw, parsed.spec.request),
        )
    except (KeyError, TypeError, ValidationError, ValueError):
        return None


def _digest_to_sign(stored: Mapping[str, Any], request: Request) -> str | None:
    return request_digest(stored) if any(step.signature is not None for step in request.steps) else None


def answers(grant: Grant, call: Call, subject: Party, digest: str) -> bool:
    """Tell whether a grant was asked for this call: same endpoint, subject uid and actors, and what it is bound to."""
    request = grant.request
    if not concerns(grant, call, subject):
        return False
    if request.binding.mode == "Scope":
        return _covers_call(grant, call)
    return (
        request.resource.id == call.resource.id
        and request.intent == call.intent
        and request.binding.digest == digest
        and not grant.by_hand
    )


def concerns(grant: Grant, call: Call, subject: Party) -> bool:
    """Tell whether a grant is of the endpoint, the subject, the actors, the action and the type of this call."""
    request = grant.request
    return (
        grant.namespace == call.namespace
        and request.endpoint == call.endpoint
        and grant.subject_uid == subject.uid
        and (request.subject.type, request.subject.id) == (subject.type, subject.id)
        and [(actor.issuer, actor.id, actor.uid) for actor in request.actors or ()] == chain(call)
        and request.action.name == call.action.name
        and request.resource.type == call.resource.type
    )


def _covers_call(grant: Grant, call: Call) -> bool:
    """Tell whether a call falls under the scope of a grant for its action and type."""
    request, held = grant.request, call.resource.properties or {}
    if any(held.get(name) != value for name, value in (request.resource.properties or {}).items()):
        return False
    if not grant.by_hand:
        # What the decision point opened is of one resource, whatever its id looks like.
        return request.resource.id == call.resource.id and request.intent == call.intent
    if request.intent not in {None, call.intent} or not _SCOPED_ID.fullmatch(request.resource.id):
        return False
    return call.resource.id in NameSet.of((request.resource.id,))


_SCOPED_ID: Final = re.compile(RESOURCE_ID_PATTERN)


def scope_of(resource: Resource, gate: Gate) -> dict[str, str] | None:
    """Return the properties of a resource that a scope of it binds.

    None where one that the rules name is absent or no string: leaving it out must not widen what is approved.
    """
    held = resource.properties or {}
    scope: dict[str, str] = {}
    for name in gate.scope_properties:
        value = held.get(name)
        if not isinstance(value, str):
            return None
        scope[name] = value
    return scope


def chain(call: Call) -> list[tuple[str | None, str, str]]:
    """Return the actors as a grant binds them: issuer, id and uid, the outermost first."""
    return [(actor.issuer, actor.id, actor.uid) for actor in call.actors]


def excluded_reviewers(call: Call, subject: Party) -> frozenset[str]:
    """Return who may not review this call, by the API server's names: who asks, who it is for, and who acts."""
    parties = (subject, *call.actors)
    return frozenset(
        (
            call.caller.username,
            *(party.id for party in parties),
            *(party.reviewer for party in parties if party.reviewer),
        )
    )


def fitness(grant: Grant, gate: Gate, call: Call, subject: Party, around: Circumstances) -> Fitness:
    """Judge a grant that `answers` the call, against the gate as it stands now."""
    if around.void.holds(grant.namespace, grant.uid):
        return Fitness.UNVERIFIABLE
    ended = _ENDED.get(grant.phase)
    if (grant.revoked or grant.deleting) and ended is not Fitness.DENIED:
        # A denial stays what it is, also where it was taken back since.
        ended = Fitness.REVOKED
    if ended is not None and ended is not Fitness.CONSUMED:
        return ended
    revoked = bool(around.revocations) and find_revocation(grant, call, subject, around) is not None
    if ended is not None:
        return Fitness.REVOKED if revoked else _used_up(grant, gate, call, subject, around)
    if not current(grant, gate) or not _shows(grant, gate, call):
        return Fitness.REVOKED if revoked else Fitness.OUTDATED
    return _open(grant, gate, _tally(grant, call, subject, around), around, revoked=revoked)


def _used_up(grant: Grant, gate: Gate, call: Call, subject: Party, around: Circumstances) -> Fitness:
    """Judge what says that it is used up: the call that did that may come again, and only by what was approved."""
    if not _tally(grant, call, subject, around).met:
        return Fitness.OUTDATED
    if current(grant, gate) and not (_shows(grant, gate, call) and _approved_in_time(grant, gate)):
        return Fitness.OUTDATED
    return Fitness.CONSUMED


def _shows(grant: Grant, gate: Gate, call: Call) -> bool:
    """Tell whether its reviewers were shown this very call; one by hand displays nothing beside what it names."""
    return is_shown(grant.request.display, call, gate)


def _open(grant: Grant, gate: Gate, tally: quorum.Quorum, around: Circumstances, *, revoked: bool) -> Fitness:
    if tally.denied_by is not None:
        # A denial outlasts that a party is taken back, and so does its cool-down.
        return Fitness.DENIED
    if revoked:
        return Fitness.REVOKED
    if (wrong := _untimely(grant, gate, around.now)) is not None:
        return wrong
    if grant.phase == "Pending":
        # By another clock than an approval's: one that counts as over too early would be asked for once more.
        over = around.surely_past(grant.request.pending_until_time.timestamp())
        return Fitness.EXPIRED if over else Fitness.PENDING
    return _active(grant, gate, around.now) if tally.met else Fitness.UNVERIFIABLE


def _tally(grant: Grant, call: Call, subject: Party, around: Circumstances) -> quorum.Quorum:
    """Count the reviews again that the operator counted. A Deny that it did not count lets nothing through."""
    # The enforcer and the subject of this very call are barred too, whatever the request says (invariant 1).
    barred = quorum.request_exclusions(grant.request, grant.status.resolved) | excluded_reviewers(call, subject)
    return quorum.tally(
        grant.request,
        grant.reviews,
        binding=quorum.binding_of(grant.request, grant.uid),
        barred=barred,
        is_person=around.installation.is_person,
        # By the keys as they are now: what was signed with a removed key lets no call through any more.
        is_signed=lambda review, step: (
            signature_problem(grant.reviewed, review, step, around.reviewers, around.now, earliest=around.earliest)
            is None
        ),
        counted=quorum.counted_reviewers(grant.status),
    )


def find_revocation(grant: Grant, call: Call, subject: Party, around: Circumstances) -> PartyRevocation | None:
    """Return the revocation that ends a grant which `answers` the call: of a party, or of a reviewer who approved."""
    revocations = around.revocations
    for party in (subject, *call.actors):
        # By their tokens more is known of the parties than the grant says.
        found = revocations.naming(party, shown=True)
        if found is not None and found.ends(grant.created):
            return found
    counted = quorum.counted_reviewers(grant.status)
    approvers = (one.reviewer for one in grant.reviews if one.decision == "Approve" and one.reviewer in counted)
    return ending_revocation(revocations, grant.request, grant.subject_uid, grant.created, approvers)


def _untimely(grant: Grant, gate: Gate, now: float) -> Fitness | None:
    """Return what is wrong with when a grant was made, and until when it waits."""
    longest = granttimes.LONGEST_PENDING if grant.by_hand else gate.pending_seconds
    if not granttimes.waits_no_longer(grant.created, grant.request.pending_until_time.timestamp(), longest):
        return Fitness.UNVERIFIABLE
    return Fitness.EARLY if granttimes.to_come(grant.created, now) else None


def _active(grant: Grant, gate: Gate, now: float) -> Fitness:
    status = grant.status
    if status.approved_time is None or status.not_after_time is None:
        return Fitness.UNVERIFIABLE
    if now >= status.not_after_time.timestamp():
        return Fitness.EXPIRED
    if not _approved_in_time(grant, gate):
        return Fitness.UNVERIFIABLE
    if granttimes.to_come(status.approved_time.timestamp(), now):
        return Fitness.EARLY
    if (grant.status.uses or 0) >= min(grant.request.max_uses, gate.max_uses):
        return Fitness.CONSUMED
    return Fitness.USABLE


def _approved_in_time(grant: Grant, gate: Gate) -> bool:
    """Tell whether it was approved while it waited, for no longer than it may be, and used meanwhile."""
    request, status = grant.request, grant.status
    if status.approved_time is None or status.not_after_time is None:
        return False
    return granttimes.approval_fits(
        grant.created,
        request.pending_until_time.timestamp(),
        min(request.window_seconds, gate.window_seconds),
        status.approved_time.timestamp(),
        status.not_after_time.timestamp(),
        [use.time.timestamp() for use in status.use_records or ()],
    )


def current(grant: Grant, gate: Gate) -> bool:
    """Tell whether a grant is of exactly these rules of these very policy objects, as they are now, with their steps.

    One that is bound to a scope serves only where every rule takes that.
    """
    request = grant.request
    if grant.rules != gate.keys or len(request.rules) != len(gate.rules):
        return False
    if request.binding.mode == "Scope" and not gate.scope:
        return False
    return plain_steps(request.steps) == plain_steps(gate.steps)


def order_grants(grants: Iterable[Grant]) -> list[Grant]:
    """Return candidates in the order in which they are tried: Exact before Scope, the earliest end, then the name."""
    return sorted(
        grants,
        key=lambda grant: (
            grant.request.binding.mode != "Exact",
            grant.status.not_after_time.timestamp() if grant.status.not_after_time else float("inf"),
            grant.name,
        ),
    )


def latest_ended(grants: Iterable[Grant]) -> Grant | None:
    """Return the youngest of these grants, by creation and then by name."""
    return max(grants, key=lambda grant: (grant.created, grant.name), default=None)


def grant_name(call: Call, gate: Gate, digest: str, subject_uid: str, *, previous_uid: str) -> str:
    """Return the name under which this request is opened, so that a storm of retries opens one.

    `previous_uid` is the uid of the latest ended grant of the same key, or "". `digest` is the call's, or of its scope.
    """
    identity = [
        f"{call.namespace}/{call.endpoint}",
        sorted([rule.policy_uid, rule.rule, rule.rule_digest] for rule in gate.rules),
        digest,
        subject_uid,
        [list(actor) for actor in chain(call)],
        previous_uid,
    ]
    spelled = base64.b32encode(hashlib.sha256(canonical(identity)).digest()).decode().lower()
    return GRANT_NAME_PREFIX + spelled[:20]


def scope_digest(call: Call, subject: Party, scope: dict[str, str]) -> str:
    """Return what stands for a scope in a grant's name."""
    bound: Json = {
        "subject": subject.type,
        "action": call.action.name,
        "resource": {"type": call.resource.type, "id": call.resource.id, "properties": scope},
        "intent": call.intent,
    }
    return sha256(bound)
