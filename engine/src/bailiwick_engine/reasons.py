"""Reason codes: why a verdict is what it is. Wire, records and docs take them from here.

Holds: a code never changes its meaning and never disappears; a denial always has one, with a sentence and what to do.
What is true of a code stands in its row of `EXPLAINED` and nowhere else.
"""

from enum import StrEnum
from typing import Final

from bailiwick_engine.reasonrow import Disposition, ReasonRow, ReasonState, unproven_row


class Reason(StrEnum):
    """Stable codes, as a denial carries them in `context.reason`."""

    ALLOWED = "allowed"
    POLICY_DENIED = "policy_denied"
    NO_RULE = "no_rule"
    CONDITION_FALSE = "condition_false"
    CONDITION_ERROR = "condition_error"
    TOO_COSTLY = "too_costly"
    INTENT_MISMATCH = "intent_mismatch"
    EXPIRED = "expired"
    POLICY_SUSPENDED = "policy_suspended"
    POLICY_INVALID = "policy_invalid"
    POLICY_OUTDATED = "policy_outdated"
    ENDPOINT_UNCONFIGURED = "endpoint_unconfigured"
    IDENTITY_INVALID = "identity_invalid"
    IDENTITY_RESERVED = "identity_reserved"
    IDENTITY_UNVERIFIABLE = "identity_unverifiable"
    AUDIENCE_MISMATCH = "audience_mismatch"
    POSSESSION_UNPROVEN = "possession_unproven"
    TOKEN_LIFETIME_EXCEEDED = "token_lifetime_exceeded"  # noqa: S105 - a code
    IDENTITY_REVOKED = "identity_revoked"
    WORKLOAD_UNAPPROVED = "workload_unapproved"
    DELEGATION_INVALID = "delegation_invalid"
    ACTOR_MISMATCH = "actor_mismatch"
    ACTOR_UNNAMED = "actor_unnamed"
    SCOPE_EXCEEDED = "scope_exceeded"
    APPROVAL_REQUIRED = "approval_required"
    APPROVAL_PENDING = "approval_pending"
    APPROVAL_DENIED = "approval_denied"
    APPROVAL_REVOKED = "approval_revoked"
    APPROVAL_EXPIRED = "approval_expired"
    APPROVAL_CONSUMED = "approval_consumed"
    APPROVAL_UNVERIFIABLE = "approval_unverifiable"
    APPROVAL_TOKEN_REQUIRED = "approval_token_required"  # noqa: S105 - a code
    APPROVAL_TOKEN_INVALID = "approval_token_invalid"  # noqa: S105 - a code
    APPROVAL_THROTTLED = "approval_throttled"
    CONTEXT_INSUFFICIENT = "context_insufficient"
    MULTIPLE_GATES = "multiple_gates"
    UNINSPECTABLE = "uninspectable"
    UNMAPPED = "unmapped"
    AMBIGUOUS_REQUEST = "ambiguous_request"
    HISTORY_UNAVAILABLE = "history_unavailable"
    HISTORY_UNCOUNTABLE = "history_uncountable"
    STORE_STALE = "store_stale"
    CLOCK_SKEW = "clock_skew"
    RECORD_FAILED = "record_failed"


EXPLAINED: Final[dict[Reason, ReasonRow]] = {
    Reason.ALLOWED: ReasonRow(
        sentence="A rule allows this call.",
        next_action="none",
        when="An Allow rule applies and no stricter rule does, or a grant was used.",
        footing="derivable",
        disposition=Disposition.BLOCKED,
        states=frozenset({ReasonState.GATE}),
    ),
    Reason.POLICY_DENIED: ReasonRow(
        sentence="A Deny rule forbids this call.",
        next_action="none",
        when="A Deny rule applies. Deny beats every other effect.",
        footing="derivable",
        disposition=Disposition.BLOCKED,
    ),
    Reason.NO_RULE: ReasonRow(
        sentence="No rule allows this subject this action on this resource.",
        next_action="none",
        when="No rule that could allow the call covers this subject, action and resource.",
        footing="derivable",
        disposition=Disposition.BLOCKED,
    ),
    Reason.CONDITION_FALSE: ReasonRow(
        sentence="A rule would allow this call, but one of its conditions is false.",
        next_action="none",
        when="The nearest Allow rule covers the call, but one of its conditions is false.",
        footing="derivable",
        disposition=Disposition.BLOCKED,
    ),
    Reason.CONDITION_ERROR: ReasonRow(
        sentence="A condition could not be evaluated with the values that the call contains.",
        next_action="none",
        when=(
            "A condition of the nearest Allow rule, of a RequireApproval rule, or of a Deny rule beside one that lets"
            " through, lacks a value or cannot be evaluated."
        ),
        footing="derivable",
        disposition=Disposition.BLOCKED,
    ),
    Reason.TOO_COSTLY: ReasonRow(
        sentence=(
            "The values in this call are too large for a condition to finish in time. Send smaller lists and strings."
        ),
        next_action="none",
        when=(
            "The nearest Allow rule, a RequireApproval rule, or a Deny rule beside one that lets through, has a"
            " condition that reads members of the call. Those members are too large for this condition, or for all"
            " conditions together. Or more rules cover the subject than one decision can check."
        ),
        # Of how large the whole call was, a record says nothing.
        footing="attested",
        disposition=Disposition.BLOCKED,
    ),
    Reason.INTENT_MISMATCH: ReasonRow(
        sentence="The rule does not accept the declared purpose in context.intent.",
        next_action="none",
        when="`context.intent` is missing or is not one of the rule's `intents`.",
        footing="derivable",
        disposition=Disposition.BLOCKED,
    ),
    Reason.EXPIRED: ReasonRow(
        sentence="The rule that covers this call has expired. Its owner must renew it.",
        next_action="none",
        when="The `expireTime` of the rule or of its policy has passed.",
        footing="derivable",
        disposition=Disposition.BLOCKED,
    ),
    Reason.POLICY_SUSPENDED: ReasonRow(
        sentence="The policy that covers this call is suspended by its owner.",
        next_action="none",
        when="The policy has `suspend: true`, or it is being deleted and waits for a finalizer.",
        footing="derivable",
        disposition=Disposition.BLOCKED,
    ),
    Reason.POLICY_INVALID: ReasonRow(
        sentence="A policy that covers this subject is invalid or over budget. Its status tells the owner why.",
        next_action="none",
        when=(
            "A policy that covers the subject does not compile or is over budget, or two policies have"
            " `endpointSettings`."
        ),
        # A policy that does not compile has no digest, so a record cannot show whom it denied.
        footing="attested",
        disposition=Disposition.BLOCKED,
        states=frozenset({ReasonState.PROCESS}),
    ),
    Reason.POLICY_OUTDATED: ReasonRow(
        sentence=(
            "A policy of this endpoint has changed, and the decision point is still compiling it. Try again in a"
            " moment."
        ),
        next_action="retry",
        when=(
            "A policy of the endpoint changed, and the decision point received the change more than two seconds ago"
            " but has not compiled it yet. The policies before the change would allow the call."
        ),
        footing="attested",
        disposition=Disposition.ERROR,
        states=frozenset({ReasonState.PROCESS}),
    ),
    Reason.ENDPOINT_UNCONFIGURED: ReasonRow(
        sentence="No policy of this endpoint has endpointSettings.",
        next_action="none",
        when="Policies of the endpoint exist, but none has `endpointSettings`.",
        footing="derivable",
        disposition=Disposition.BLOCKED,
    ),
    Reason.IDENTITY_INVALID: unproven_row(
        sentence="The subject is not proven. Send its current token in context.evidence.subject_token.",
        when="The subject's token is missing or invalid, or belongs to a different subject from the one in the body.",
    ),
    Reason.IDENTITY_RESERVED: unproven_row(
        sentence="A person's name must not begin with system:. Choose another claim by claims.name of the issuer.",
        when=(
            "The claim that names a person, in a token or in an inner `act`, begins with `system:`. Or the enforcement"
            " point names a subject of type `user` so. The person could be taken for a service account."
        ),
    ),
    Reason.IDENTITY_UNVERIFIABLE: ReasonRow(
        sentence=(
            "The token cannot be verified at the moment, because the API server or the issuer does not respond. Try"
            " again."
        ),
        next_action="retry",
        when="A token cannot be verified, because the API server or the issuer that vouches for it does not respond.",
        footing="attested",
        disposition=Disposition.ERROR,
        states=frozenset({ReasonState.IDENTITY}),
    ),
    Reason.AUDIENCE_MISMATCH: unproven_row(
        sentence="The subject's token is for an audience that this endpoint does not accept.",
        when="The token is valid, but the endpoint accepts none of its audiences.",
    ),
    Reason.POSSESSION_UNPROVEN: unproven_row(
        sentence=(
            "The token is bound to a key (claim cnf), and the decision point cannot verify that the caller holds"
            " that key. Send a token without cnf: have the issuer issue bearer tokens for this audience."
        ),
        when=(
            "A token of the subject or of an actor has the claim `cnf`: it is bound to a key (RFC 7800), by DPoP or"
            " by a client certificate, and counts for nothing without proof of that key, which no enforcement point"
            " can pass on."
        ),
    ),
    Reason.TOKEN_LIFETIME_EXCEEDED: unproven_row(
        sentence=(
            "The token lives longer than this installation accepts from its issuer (signals.maxTokenSeconds), or has"
            " no iat. Send a token with a shorter life: have the issuer shorten the life of its tokens."
        ),
        when=(
            "A person's token is of an issuer whose signals are received, and lives longer from `iat` to `exp` than"
            " the issuer's `signals.maxTokenSeconds`. It could outlive the revocation that a signal caused."
        ),
    ),
    Reason.IDENTITY_REVOKED: ReasonRow(
        sentence=(
            "The subject, an actor or the enforcer was taken back: tokens from before that are refused. Get a new"
            " token. If that is refused too, ask an administrator about the SubjectRevocation in the decision record."
        ),
        next_action="none",
        when=(
            "A `SubjectRevocation` is in force for the subject, an actor or the enforcer, and the token was issued"
            " before `issuedBefore`, does not say when, or the object has `hold: true`. A party without a token of its"
            " own is refused by its name."
        ),
        # Which objects there were, no record shows.
        footing="attested",
        disposition=Disposition.REVOKED,
        states=frozenset({ReasonState.PROCESS}),
    ),
    Reason.WORKLOAD_UNAPPROVED: ReasonRow(
        sentence="The rule does not accept the subject's pod. Every container must run an image that the rule lists.",
        next_action="none",
        when="The subject's pod is unknown, or it runs an image that the rule does not list.",
        footing="derivable",
        disposition=Disposition.BLOCKED,
    ),
    Reason.DELEGATION_INVALID: ReasonRow(
        sentence=(
            "The endpoint does not allow acting for this subject, the chain has too many actors, or the chain is not"
            " proven."
        ),
        next_action="none",
        when=(
            "The call is on another party's behalf, and the endpoint does not allow that, or the decision point"
            " cannot prove it."
        ),
        footing="derivable",
        disposition=Disposition.BLOCKED,
        states=frozenset({ReasonState.IDENTITY}),
    ),
    Reason.ACTOR_MISMATCH: unproven_row(
        sentence="The token names a different actor from the workload that presents it.",
        when="The outermost `act` claim of the token is not the service account that presents the token.",
    ),
    Reason.ACTOR_UNNAMED: unproven_row(
        sentence=(
            "The token does not name an inner actor as policies do. Its issuer must put the claim that claims.name of"
            " the issuers file says into act, beside sub."
        ),
        when=(
            "An inner `act` of the token lacks the claim that `claims.name` of its issuer says, or has an email address"
            " there that is not verified. Or its name or its groups cannot be read."
        ),
    ),
    Reason.SCOPE_EXCEEDED: ReasonRow(
        sentence="This call is not allowed on another party's behalf, even if that party can make it directly.",
        next_action="none",
        when="The call is on another party's behalf, and no entry of `delegation.ceiling` covers it.",
        footing="derivable",
        disposition=Disposition.BLOCKED,
    ),
    Reason.APPROVAL_REQUIRED: ReasonRow(
        sentence=(
            "This call needs an approval. The enforcement point can request one at access_request.endpoint. After it is"
            " approved, repeat this call unchanged."
        ),
        next_action="request",
        when="A RequireApproval rule applies, and no grant covers this call.",
        footing="attested",
        disposition=Disposition.CHALLENGE,
        states=frozenset({ReasonState.GATE}),
    ),
    Reason.APPROVAL_PENDING: ReasonRow(
        sentence=(
            "An approval for this call is requested, but its reviews are not complete yet. After it is approved, repeat"
            " this call unchanged."
        ),
        next_action="retry",
        when="A grant covers this call, but its reviews are not complete. One live read has just confirmed that.",
        footing="attested",
        disposition=Disposition.CHALLENGE,
        states=frozenset({ReasonState.GATE}),
    ),
    Reason.APPROVAL_DENIED: ReasonRow(
        sentence="A reviewer denied this call.",
        next_action="request",
        when="The latest grant for this call was denied.",
        footing="attested",
        disposition=Disposition.REJECTED,
        states=frozenset({ReasonState.GATE}),
    ),
    Reason.APPROVAL_REVOKED: ReasonRow(
        sentence="The approval for this call was revoked. You can request a new one.",
        next_action="request",
        when=(
            "The latest grant for this call was revoked. Or a `SubjectRevocation` is in force for its subject, an actor"
            " or a reviewer who approved it."
        ),
        footing="attested",
        disposition=Disposition.REVOKED,
        states=frozenset({ReasonState.GATE}),
    ),
    Reason.APPROVAL_EXPIRED: ReasonRow(
        sentence="The approval for this call has expired. You can request a new one.",
        next_action="request",
        when="The latest grant for this call was not approved in time, or its window has ended.",
        footing="attested",
        disposition=Disposition.CHALLENGE,
        states=frozenset({ReasonState.GATE}),
    ),
    Reason.APPROVAL_CONSUMED: ReasonRow(
        sentence="The approval for this call has no uses left. You can request a new one.",
        next_action="request",
        when="All uses of the latest grant for this call are taken.",
        footing="attested",
        disposition=Disposition.CHALLENGE,
        states=frozenset({ReasonState.GATE}),
    ),
    Reason.APPROVAL_UNVERIFIABLE: ReasonRow(
        sentence="The approval cannot be verified at the moment, so it is not accepted. Try again.",
        next_action="retry",
        when=(
            "The guards are not proven, the decision point cannot rule out that the requester reviewed their own"
            " request, the grant's times do not match its creation, it has a Deny that does not count, or the live"
            " grant could not be read or written."
        ),
        footing="attested",
        disposition=Disposition.ERROR,
        states=frozenset({ReasonState.GATE}),
    ),
    Reason.APPROVAL_TOKEN_REQUIRED: ReasonRow(
        sentence=(
            "This call has an approval. Send its token in context.approval; the task of the approval request"
            " contains it."
        ),
        next_action="request",
        when="A rule has `presentation: Token`, a grant covers the call, and the call contains no approval token.",
        footing="attested",
        disposition=Disposition.CHALLENGE,
        states=frozenset({ReasonState.GATE}),
    ),
    Reason.APPROVAL_TOKEN_INVALID: ReasonRow(
        sentence=(
            "The approval token in context.approval is not valid for this call. Send the token of this call's own"
            " approval."
        ),
        next_action="request",
        when=(
            "The token in `context.approval` was not issued by this installation, has expired, or belongs to another"
            " call."
        ),
        footing="attested",
        disposition=Disposition.CHALLENGE,
        states=frozenset({ReasonState.GATE}),
    ),
    Reason.APPROVAL_THROTTLED: ReasonRow(
        sentence="Too many approvals are requested for this subject. Wait until the pending requests have ended.",
        next_action="retry",
        when="The call needs an approval, but none can be requested, because the rule's `limits` are reached.",
        footing="attested",
        disposition=Disposition.ERROR,
        states=frozenset({ReasonState.GATE}),
    ),
    Reason.CONTEXT_INSUFFICIENT: ReasonRow(
        sentence="The call lacks a context member or a resource property to which its approval must be bound.",
        next_action="none",
        when="The call lacks a member that `requiredContext` lists, or a property that a Scope binds.",
        footing="attested",
        disposition=Disposition.BLOCKED,
        states=frozenset({ReasonState.ADAPTER, ReasonState.GATE}),
    ),
    Reason.MULTIPLE_GATES: ReasonRow(
        sentence=(
            "The rules that require an approval for this call need more than one grant can hold, which is four rules"
            " and 20 reviews. Their owners must split the rules, or require fewer reviews."
        ),
        next_action="none",
        when="More than four RequireApproval rules apply, or together they require more than 20 reviews.",
        footing="derivable",
        disposition=Disposition.BLOCKED,
    ),
    Reason.UNINSPECTABLE: ReasonRow(
        sentence=(
            "The call's arguments cannot be shown to a reviewer in full, so no approval can be requested. Send"
            " context.args with at most 32 entries of at most 1024 characters each."
        ),
        next_action="none",
        when=(
            "The call needs an approval, but its arguments cannot be shown to a reviewer in full. Or a proxy sent"
            " only a part of the body, or a body that is not the JSON object from which the route takes arguments."
        ),
        footing="attested",
        disposition=Disposition.BLOCKED,
        states=frozenset({ReasonState.ADAPTER, ReasonState.GATE}),
    ),
    Reason.UNMAPPED: ReasonRow(
        sentence="No route of the endpoint matches this method, host and path, so the call maps to no action.",
        next_action="none",
        when=(
            "A proxy requests a decision for a call, and no entry of `endpointSettings.http.routes` matches it, or"
            " there are no entries."
        ),
        footing="attested",
        disposition=Disposition.BLOCKED,
        states=frozenset({ReasonState.ADAPTER}),
    ),
    Reason.AMBIGUOUS_REQUEST: ReasonRow(
        sentence="The request can be read in more than one way, so its action is ambiguous.",
        next_action="none",
        when=(
            "A proxy requests a decision for a call whose path is not canonical, that two routes match, that repeats"
            " a header or parameter that the route uses, or in which some upstreams read another method, path, route"
            " or argument. Or a message of MCP names a resource by a URI that is not canonical, or has two arguments"
            " that only case sets apart. Or the API server asks about a call that names its object, port or path in"
            " a way that can be read as another one."
        ),
        footing="attested",
        disposition=Disposition.BLOCKED,
        states=frozenset({ReasonState.ADAPTER}),
    ),
    Reason.HISTORY_UNAVAILABLE: ReasonRow(
        sentence="The call could not be counted, or the calls before it could not be read. Try again.",
        next_action="retry",
        when=(
            "A history of the endpoint counts the call, or a rule that decides reads one, and its state could not be"
            " read or written in time, or counts for nothing at the moment. Or the answer is from a tool that counts"
            " no calls."
        ),
        footing="attested",
        disposition=Disposition.ERROR,
        states=frozenset({ReasonState.GATE, ReasonState.PROCESS}),
    ),
    Reason.HISTORY_UNCOUNTABLE: ReasonRow(
        sentence=(
            "A history of this endpoint counts this call, and the call lacks what it is counted by, or has it in a"
            " form that cannot be counted."
        ),
        next_action="none",
        when=(
            "A history of the endpoint counts the call, but a part of its key, its amount or the outcome of its `when`"
            " does not follow from the call."
        ),
        footing="attested",
        disposition=Disposition.BLOCKED,
        states=frozenset({ReasonState.GATE, ReasonState.PROCESS}),
    ),
    Reason.STORE_STALE: ReasonRow(
        sentence="The decision point has lost contact with the source of its policies. Try again.",
        next_action="retry",
        when=(
            "The watches are older than `maxStaleness` and the call needs a grant, or they are older than the hard"
            " limit."
        ),
        footing="attested",
        disposition=Disposition.ERROR,
        states=frozenset({ReasonState.GATE, ReasonState.PROCESS}),
    ),
    Reason.CLOCK_SKEW: ReasonRow(
        sentence=(
            "The clocks of the decision point and the API server are too far apart. An administrator must correct them."
        ),
        next_action="none",
        when=(
            "The clocks of the decision point and the API server differ by more than 30 s in either direction, and"
            " the call needs a grant or requests one. Or the creation or approval of the grant lies more than 30 s in"
            " the future."
        ),
        footing="attested",
        disposition=Disposition.ERROR,
        states=frozenset({ReasonState.GATE, ReasonState.PROCESS}),
    ),
    Reason.RECORD_FAILED: ReasonRow(
        sentence="The decision could not be recorded, so the call is denied. Try again.",
        next_action="retry",
        when="The decision record could not be written.",
        footing="attested",
        disposition=Disposition.ERROR,
        states=frozenset({ReasonState.PROCESS}),
    ),
}


def reasons_of(state: ReasonState) -> frozenset[Reason]:
    """Return the reasons that can stand for this state."""
    return frozenset(reason for reason, row in EXPLAINED.items() if state in row.states)
