"""The life of an ApprovalGrant as a pure state machine: which phase follows, and what its status then says.

Standing: over the engine's `lifecycle`, which says which phase follows. Holds: a terminal phase is final. A grant
written by hand is resolved first (`resolution`): until its status says what its names stand for, no review of it
counts, and a review that came before never will.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES, ApprovalGrant, ApprovalGrantStatus, Phase, Request
from bailiwick_api.manifests.canary import is_canary
from bailiwick_api.times import stamp
from bailiwick_engine.approval.lifecycle import PhaseInputs, condition_of, next_phase, phase_members
from bailiwick_engine.approval.quorum import Quorum, binding_of, counted_reviewers, request_exclusions, tally
from bailiwick_engine.approval.revokedgrants import ending_revocation
from bailiwick_engine.compile import schemaerrors
from bailiwick_engine.compile.acceptance import list_problems
from bailiwick_engine.revocations import NONE as NO_REVOCATIONS, PartyRevocation, Revocations
from bailiwick_engine.signatures.registrars import NO_REVIEWER_KEYS, ReviewerTrust
from bailiwick_operator.reconcile.conditions import DesiredCondition, Object, Status, differs, entries, parse_time
from bailiwick_operator.reconcile.resolution import (
    OverLimit,
    Resolution,
    ResolvedStatus,
    UnresolvedReason,
    people_without_username,
)
from bailiwick_operator.reconcile.reviewsignatures import ReviewSignatures, signatures_of

OWNED: Final = (
    "observedGeneration",
    "phase",
    "approvedTime",
    "notAfterTime",
    "counted",
    "voided",
    "resolved",
    "conditions",
)
UNRESOLVED: Final = "Unresolved"
IDENTITY_REVOKED: Final = "IdentityRevoked"
OVER_LIMIT: Final = "OverLimit"
_UNRESOLVED_PREFIX: Final = "cannot be reviewed until its names are resolved: "
RESOLVE_AGAIN: Final = timedelta(seconds=30)
KEYS_AGAIN: Final = timedelta(seconds=10)
TYPES: Final = frozenset({"Approved", "Denied", "Consumed", "Lapsed", "Revoked", "Ready"})


@dataclass(frozen=True, slots=True)
class GrantObservation:
    """What is known beside the grant. `proven`: a proof of the guard began after this version of the grant was seen.

    `resolution`: what a grant written by hand names, where that is not resolved yet (`unresolved_request`).
    `reviewers`: whose signatures count. `timed`: our clock agrees with the API server's, so that the grant may be
    judged by the time. `revocations`: who is taken back. `earliest`: the earliest time that it can be, by which
    reviewers' keys begin; None: as the time by which the grant is judged.
    """

    proven: bool
    is_person: Callable[[str], bool]
    resolution: Resolution | None = None
    reviewers: ReviewerTrust = NO_REVIEWER_KEYS
    timed: bool = True
    revocations: Revocations = NO_REVOCATIONS
    earliest: datetime | None = None

    @property
    def counts(self) -> bool:
        """Whether reviews may be counted, and a grant may become active by them."""
        return self.proven and self.timed


@dataclass(frozen=True, slots=True)
class GrantPlan:
    """`status` is None where nothing is to be written. `wake`: when time alone changes something.

    `awaits_keys`: signed reviews wait until the file of reviewers' keys can be used.
    """

    status: Status | None
    wake: datetime | None = None
    needs_proof: bool = False
    awaits_keys: bool = False


class UnreadableGrantError(ValueError):
    """The stored object is not a grant that these models can read; it is left as it is and never counts."""


def unresolved_request(grant: Object) -> Request | None:
    """Return the request of a grant written by hand that is not resolved yet. Raises `UnreadableGrantError`."""
    status, spec = grant.get("status") or {}, grant.get("spec") or {}
    if "resolved" in status or "revocation" in spec or status.get("phase", "Pending") != "Pending":
        return None
    if (spec.get("request") or {}).get("origin") != "PreApproved":
        return None
    return _read(grant).spec.request


def unfinished_revocations(grant: Object, revocations: Revocations, earliest: datetime) -> Iterator[PartyRevocation]:
    """Yield the revocations that have yet to end this grant, or to refuse an Approve in it.

    The caller removes each from `revocations` before it asks for the next: thousands can name one subject, and the
    grant is read once for all of them. `earliest`: the earliest time that it can be. A grant that no decision point
    uses any more awaits none, whatever its status says.
    """
    if (grant.get("status") or {}).get("phase") in TERMINAL_PHASES or is_canary(grant):
        return
    try:
        model = _read(grant)
    except UnreadableGrantError:
        return
    request, status = model.spec.request, model.status or ApprovalGrantStatus()
    # The window is taken from now: there may be no such time as the deadline and the window together.
    if earliest - timedelta(seconds=request.window_seconds) >= request.pending_until_time:
        return
    created = parse_time(grant["metadata"]["creationTimestamp"])
    while (one := _unfinished(model, status, revocations, created)) is not None:
        yield one


def _unfinished(
    model: ApprovalGrant, status: ApprovalGrantStatus, revocations: Revocations, created: datetime
) -> PartyRevocation | None:
    ending = _revocation(model, status, revocations, created)
    if ending is not None:
        return ending
    refused = _refused_reviewers(model, status, revocations)
    return revocations.of_reviewer(refused[0]) if refused else None


def _read(grant: Object) -> ApprovalGrant:
    try:
        return ApprovalGrant.model_validate({key: grant[key] for key in ("spec", "status") if key in grant})
    except ValidationError as error:
        raise UnreadableGrantError(list_problems(schemaerrors.problems(error, ApprovalGrant))) from error


def reconcile(grant: Object, observed: GrantObservation, now: datetime) -> GrantPlan:
    """Return what the grant's status should be. Raises `UnreadableGrantError`."""
    model = _read(grant)
    present: Status = grant.get("status") or {}
    generation: int = grant["metadata"]["generation"]
    status = model.status or ApprovalGrantStatus()
    if status.phase in TERMINAL_PHASES:
        # Final, with its conditions. Only the observed generation moves on, so that clients do not wait for it.
        final = _owned(present) | {"observedGeneration": generation}
        return GrantPlan(final if differs(final, present, OWNED, TYPES) else None)
    named = model.spec.request.origin != "PreApproved" or status.resolved is not None
    signatures = signatures_of(grant, model, observed.reviewers, now, observed.earliest)
    judged = (
        _counting_reviewers(model, status, observed, signatures)
        if named
        else [entry.reviewer for entry in status.counted or ()]
    )
    quorum = _quorum(model, grant["metadata"]["uid"], judged, observed, signatures)
    created = parse_time(grant["metadata"]["creationTimestamp"])
    revoked = _revocation(model, status, observed.revocations, created)
    inputs = _phase_inputs(quorum, observed, created, named=named, revoked=revoked is not None)
    phase = next_phase(model.spec, status, inputs, now)
    if phase is None:
        return GrantPlan(None, model.spec.request.pending_until_time, needs_proof=observed.timed)
    wanted = _owned(present) | {"observedGeneration": generation}
    wanted |= phase_members(present, phase, judged, model.spec.request.window_seconds, now)
    taken_back = _refused_reviewers(model, status, observed.revocations)
    refused: list[Status] = [{"reviewer": who} for who in taken_back]
    if named and observed.counts:
        refused += [entry for entry in signatures.refused(model, status) if entry["reviewer"] not in taken_back]
    if refused:
        wanted["voided"] = [*wanted.get("voided", ()), *refused]
    unresolved = None
    if not named and phase == "Pending":
        unresolved = _resolve(model, observed.resolution, wanted)
    approved = "approvedTime" in wanted
    reason_and_message = _reason_and_message(model, phase, quorum, wanted, unresolved, signatures)
    if phase == "Withdrawn" and model.spec.revocation is None and isinstance(observed.resolution, OverLimit):
        reason_and_message = OVER_LIMIT, f"withdrawn before any review: {observed.resolution.why}"
    if revoked is not None and phase in {"Revoked", "Withdrawn"} and model.spec.revocation is None:
        reason_and_message = (
            IDENTITY_REVOKED,
            (f"{phase.lower()} by the operator: subjectrevocation {revoked.name} takes back a party or a reviewer"),
        )
    conditions = _conditions(reason_and_message, phase, wanted, approved)
    wanted["conditions"] = entries(conditions, present, generation, now)
    wake = _wake_time(model, phase, wanted)
    if phase == "Pending" and now < created:
        wake = created
    awaits_keys = phase == "Pending" and bool(signatures.waiting)
    if awaits_keys and wake is not None:
        wake = min(wake, now + KEYS_AGAIN)
    return GrantPlan(
        wanted if differs(wanted, present, OWNED, TYPES) else None,
        min(wake, now + RESOLVE_AGAIN) if unresolved is not None and wake is not None else wake,
        needs_proof=observed.timed and not observed.proven and named and _needs_proof(model, status, phase, quorum),
        awaits_keys=awaits_keys,
    )


def _resolve(model: ApprovalGrant, resolution: Resolution | None, wanted: Status) -> str | None:
    """Put into the status what the names in a grant written by hand stand for; return why that is not possible."""
    if wanted.get("counted"):
        return "reviews were counted before the operator resolved this grant: write a new grant"
    match resolution:
        case ResolvedStatus(resolved):
            wanted["resolved"] = resolved
            # The guard refuses reviews before this, so a review that is there did not pass the guard.
            voided = [entry["reviewer"] for entry in wanted.get("voided", ())]
            voided += [review.reviewer for review in model.spec.reviews or () if review.reviewer not in voided]
            if voided:
                wanted["voided"] = [{"reviewer": who} for who in voided]
            return None
        case UnresolvedReason(why) | OverLimit(why):
            return why
        case None:
            # The reason that was given before holds until there is another.
            return (
                _unresolved_before(wanted) or "the operator is waiting until the policies of these rules are compiled"
            )


def _unresolved_before(present: Status) -> str | None:
    """Return the reason that the status gives for not being resolved."""
    for entry in present.get("conditions") or ():
        if entry["type"] == "Ready" and entry["reason"] == UNRESOLVED:
            return str(entry["message"]).removeprefix(_UNRESOLVED_PREFIX)
    return None


def _owned(present: Status) -> Status:
    """Return the fields of the present status that we own: a server-side apply gives up what it does not name."""
    return {name: present[name] for name in OWNED if name in present}


def _counting_reviewers(
    model: ApprovalGrant, status: ApprovalGrantStatus, observed: GrantObservation, signatures: ReviewSignatures
) -> list[str]:
    """Return the reviewers whose reviews count, in the order in which they were counted."""
    counted = [entry.reviewer for entry in status.counted or ()]
    if observed.counts:
        voided = (entry.reviewer for entry in status.voided or ())
        known = {*counted, *voided, *_refused_reviewers(model, status, observed.revocations)}
        unjudged = [review.reviewer for review in model.spec.reviews or () if review.reviewer not in known]
        counted += filter(signatures.count, unjudged)
    return counted


def _refused_reviewers(model: ApprovalGrant, status: ApprovalGrantStatus, revocations: Revocations) -> list[str]:
    """Return the reviewers whose new Approve never counts: they are taken back. It takes no proof to refuse one."""
    if not revocations:
        return []
    known = {entry.reviewer for entry in (*(status.counted or ()), *(status.voided or ()))}
    return [
        review.reviewer
        for review in model.spec.reviews or ()
        if review.decision == "Approve"
        and review.reviewer not in known
        and revocations.of_reviewer(review.reviewer) is not None
    ]


def _revocation(
    model: ApprovalGrant, status: ApprovalGrantStatus, revocations: Revocations, created: datetime
) -> PartyRevocation | None:
    """Return the revocation that ends a grant: of its subject, an actor, or a reviewer whose Approve was counted."""
    if not revocations:
        return None
    request, counted = model.spec.request, counted_reviewers(status)
    approvers = (
        one.reviewer for one in model.spec.reviews or () if one.decision == "Approve" and one.reviewer in counted
    )
    uid = request.subject.uid if status.resolved is None else status.resolved.subject_uid
    return ending_revocation(revocations, request, uid, created.timestamp(), approvers)


def _quorum(
    model: ApprovalGrant, uid: str, judged: list[str], observed: GrantObservation, signatures: ReviewSignatures
) -> Quorum:
    request, status = model.spec.request, model.status
    return tally(
        request,
        model.spec.reviews or (),
        binding=binding_of(request, uid),
        barred=request_exclusions(request, status.resolved if status is not None else None),
        is_person=observed.is_person,
        is_signed=lambda review, _step: signatures.count(review.reviewer),
        counted=judged,
    )


def _phase_inputs(
    quorum: Quorum, observed: GrantObservation, created: datetime, *, named: bool, revoked: bool
) -> PhaseInputs:
    return PhaseInputs(
        quorum,
        created,
        proven=observed.proven,
        timed=observed.timed,
        named=named,
        over_limit=isinstance(observed.resolution, OverLimit),
        revoked=revoked,
    )


def _needs_proof(model: ApprovalGrant, status: ApprovalGrantStatus, phase: Phase, quorum: Quorum) -> bool:
    """Tell whether a proof could change anything: reviews are not judged yet, or only the proof is missing."""
    if phase in TERMINAL_PHASES:
        return False
    known = {entry.reviewer for entry in (*(status.counted or ()), *(status.voided or ()))}
    unjudged = any(review.reviewer not in known for review in model.spec.reviews or ())
    return unjudged or (phase == "Pending" and quorum.met)


def _wake_time(model: ApprovalGrant, phase: Phase, wanted: Status) -> datetime | None:
    if phase == "Pending":
        return model.spec.request.pending_until_time
    return datetime.fromisoformat(wanted["notAfterTime"]) if phase == "Active" else None


def _conditions(
    reason_and_message: tuple[str, str],
    phase: Phase,
    wanted: Status,
    approved: bool,  # noqa: FBT001
) -> list[DesiredCondition]:
    reason, message = reason_and_message
    conditions = []
    if approved:
        conditions.append(DesiredCondition("Approved", "True", "QuorumMet", f"approved at {wanted['approvedTime']}"))
    if (ended := condition_of(phase)) is not None:
        conditions.append(DesiredCondition(ended, "True", reason, message))
    conditions.append(DesiredCondition("Ready", "True" if phase == "Active" else "False", reason, message))
    return conditions


def _reason_and_message(
    model: ApprovalGrant,
    phase: Phase,
    quorum: Quorum,
    wanted: Status,
    unresolved: str | None,
    signatures: ReviewSignatures,
) -> tuple[str, str]:
    request, revocation = model.spec.request, model.spec.revocation
    match phase:
        case "Pending" if unresolved is not None:
            return UNRESOLVED, f"{_UNRESOLVED_PREFIX}{unresolved}"
        case "Pending":
            steps = ", ".join(f"{step.name} {step.approvals} of {step.needed}" for step in quorum.steps)
            notes = f"{_void_denial_note(model, quorum)}{_uncounted_note(model)}{signatures.note}"
            return (
                "AwaitingReviews",
                f"reviews: {steps}; until {stamp(request.pending_until_time)}{notes}",
            )
        case "Active":
            return (
                "Approved",
                f"can be used {_times(request.max_uses)} until {wanted['notAfterTime']}{_uncounted_note(model)}",
            )
        case "Denied":
            return "Denied", f"denied by {quorum.denied_by}"
        case "Expired":
            return "Expired", f"not approved by {stamp(request.pending_until_time)}"
        case "Consumed":
            return "Consumed", f"used {_times(request.max_uses)}, as often as approved"
        case "Lapsed":
            return "Lapsed", f"not usable after {wanted.get('notAfterTime', 'it was approved')}"
        case "Withdrawn" | "Revoked":
            by = revocation.by if revocation else "the operator"
            at_the_word_of = f" at the request of {revocation.for_}" if revocation and revocation.for_ else ""
            return phase, f"{phase.lower()} by {by}{at_the_word_of}"


def _void_denial_note(model: ApprovalGrant, quorum: Quorum) -> str:
    voided = {entry.reviewer for entry in (model.status.voided if model.status is not None else None) or ()}
    if quorum.uncounted_denial not in voided:
        return ""
    return f"; the Deny by {quorum.uncounted_denial} is void, and nothing is approved over it: request a new grant"


def _uncounted_note(model: ApprovalGrant) -> str:
    """Return a note about the reviewers whose reviews will not count.

    They are people whom only the decision point recognizes, by their token.
    """
    request, resolved = model.spec.request, model.status.resolved if model.status is not None else None
    if resolved is None or all(step.kind != "Human" for step in request.steps):
        return ""
    people = people_without_username(request, resolved)
    return "".join(f"; a review by {name} does not count when the grant is used" for name in people)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
