"""Reason codes: why a verdict is what it is. Wire, records and docs take them from here.

Holds: a code never changes its meaning and never disappears; a denial always has one, with a sentence and what to do.
"""

from enum import StrEnum
from typing import Final, Literal, NamedTuple

NextAction = Literal["request", "retry", "none"]


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
    IDENTITY_UNVERIFIABLE = "identity_unverifiable"
    AUDIENCE_MISMATCH = "audience_mismatch"
    POSSESSION_UNPROVEN = "possession_unproven"
    WORKLOAD_UNAPPROVED = "workload_unapproved"
    DELEGATION_INVALID = "delegation_invalid"
    ACTOR_MISMATCH = "actor_mismatch"
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
    STORE_STALE = "store_stale"
    CLOCK_SKEW = "clock_skew"
    RECORD_FAILED = "record_failed"


class ReasonText(NamedTuple):
    """What a reason means, in a sentence for the caller, and what the caller can do (ARAP `next_action`)."""

    sentence: str
    next_action: NextAction


EXPLAINED: Final[dict[Reason, ReasonText]] = {
    Reason.ALLOWED: ReasonText("A rule allows this call.", "none"),
    Reason.POLICY_DENIED: ReasonText("A Deny rule forbids this call.", "none"),
    Reason.NO_RULE: ReasonText("No rule allows this subject this action on this resource.", "none"),
    Reason.CONDITION_FALSE: ReasonText("A rule would allow this call, but one of its conditions is false.", "none"),
    Reason.CONDITION_ERROR: ReasonText(
        "A condition could not be evaluated with the values that the call contains.", "none"
    ),
    Reason.TOO_COSTLY: ReasonText(
        "The values in this call are too large for a condition to finish in time. Send smaller lists and strings.",
        "none",
    ),
    Reason.INTENT_MISMATCH: ReasonText("The rule does not accept the declared purpose in context.intent.", "none"),
    Reason.EXPIRED: ReasonText("The rule that covers this call has expired. Its owner must renew it.", "none"),
    Reason.POLICY_SUSPENDED: ReasonText("The policy that covers this call is suspended by its owner.", "none"),
    Reason.POLICY_INVALID: ReasonText(
        "A policy that covers this subject is invalid or over budget. Its status tells the owner why.",
        "none",
    ),
    Reason.POLICY_OUTDATED: ReasonText(
        "A policy of this endpoint has changed, and the decision point is still compiling it. Try again in a moment.",
        "retry",
    ),
    Reason.ENDPOINT_UNCONFIGURED: ReasonText("No policy of this endpoint has endpointSettings.", "none"),
    Reason.IDENTITY_INVALID: ReasonText(
        "The subject is not proven. Send its current token in context.evidence.subject_token.", "none"
    ),
    Reason.IDENTITY_UNVERIFIABLE: ReasonText(
        "The token cannot be verified at the moment, because the API server or the issuer does not respond. Try again.",
        "retry",
    ),
    Reason.AUDIENCE_MISMATCH: ReasonText(
        "The subject's token is for an audience that this endpoint does not accept.", "none"
    ),
    Reason.POSSESSION_UNPROVEN: ReasonText(
        "The token is bound to a key (claim cnf), and the decision point cannot verify that the caller holds that key."
        " Send a token without cnf: have the issuer issue bearer tokens for this audience.",
        "none",
    ),
    Reason.WORKLOAD_UNAPPROVED: ReasonText(
        "The rule does not accept the subject's pod. Every container must run an image that the rule lists.", "none"
    ),
    Reason.DELEGATION_INVALID: ReasonText(
        "The endpoint does not allow acting for this subject, the chain has too many actors, or the chain is not"
        " proven.",
        "none",
    ),
    Reason.ACTOR_MISMATCH: ReasonText("The token names a different actor from the workload that presents it.", "none"),
    Reason.SCOPE_EXCEEDED: ReasonText(
        "This call is not allowed on another party's behalf, even if that party can make it directly.", "none"
    ),
    Reason.APPROVAL_REQUIRED: ReasonText(
        "This call needs an approval. Request one at access_request.endpoint.", "request"
    ),
    Reason.APPROVAL_PENDING: ReasonText(
        "An approval for this call is requested, but its reviews are not complete yet.", "retry"
    ),
    Reason.APPROVAL_DENIED: ReasonText("A reviewer denied this call.", "request"),
    Reason.APPROVAL_REVOKED: ReasonText(
        "The approval for this call was revoked. You can request a new one.", "request"
    ),
    Reason.APPROVAL_EXPIRED: ReasonText(
        "The approval for this call has expired. You can request a new one.", "request"
    ),
    Reason.APPROVAL_CONSUMED: ReasonText(
        "The approval for this call has no uses left. You can request a new one.", "request"
    ),
    Reason.APPROVAL_UNVERIFIABLE: ReasonText(
        "The approval cannot be verified at the moment, so it is not accepted. Try again.", "retry"
    ),
    Reason.APPROVAL_TOKEN_REQUIRED: ReasonText(
        "This call has an approval. Send its token in context.approval; the task of the approval request contains it.",
        "request",
    ),
    Reason.APPROVAL_TOKEN_INVALID: ReasonText(
        "The approval token in context.approval is not valid for this call. Send the token of this call's"
        " own approval.",
        "request",
    ),
    Reason.APPROVAL_THROTTLED: ReasonText(
        "Too many approvals are requested for this subject. Wait until the pending requests have ended.",
        "retry",
    ),
    Reason.CONTEXT_INSUFFICIENT: ReasonText(
        "The call lacks a context member or a resource property to which its approval must be bound.",
        "none",
    ),
    Reason.MULTIPLE_GATES: ReasonText(
        "The rules that require an approval for this call need more than one grant can hold, which is four rules and 20"
        " reviews. Their owners must split the rules, or require fewer reviews.",
        "none",
    ),
    Reason.UNINSPECTABLE: ReasonText(
        "The call's arguments cannot be shown to a reviewer in full, so no approval can be requested. Send"
        " context.args with at most 32 entries of at most 1024 characters each.",
        "none",
    ),
    Reason.UNMAPPED: ReasonText(
        "No route of the endpoint matches this method, host and path, so the call maps to no action.", "none"
    ),
    Reason.AMBIGUOUS_REQUEST: ReasonText(
        "The request can be read in more than one way, so its action is ambiguous.", "none"
    ),
    Reason.STORE_STALE: ReasonText(
        "The decision point has lost contact with the source of its policies. Try again.", "retry"
    ),
    Reason.CLOCK_SKEW: ReasonText(
        "The clocks of the decision point and the API server are too far apart. An administrator must correct them.",
        "none",
    ),
    Reason.RECORD_FAILED: ReasonText("The decision could not be recorded, so the call is denied. Try again.", "retry"),
}

WHEN: Final[dict[Reason, str]] = {
    Reason.ALLOWED: "An Allow rule applies and no stricter rule does, or a grant was used.",
    Reason.POLICY_DENIED: "A Deny rule applies. Deny beats every other effect.",
    Reason.NO_RULE: "No rule that could allow the call covers this subject, action and resource.",
    Reason.CONDITION_FALSE: "The nearest Allow rule covers the call, but one of its conditions is false.",
    Reason.CONDITION_ERROR: (
        "A condition of the nearest Allow rule, or of a Deny or RequireApproval rule, lacks a value or cannot be"
        " evaluated."
    ),
    Reason.TOO_COSTLY: (
        "The nearest Allow rule, or a Deny or RequireApproval rule, has a condition that reads members of the call."
        " Those members are too large for this condition, or for all conditions together. Or more rules cover the"
        " subject than one decision can check."
    ),
    Reason.INTENT_MISMATCH: "`context.intent` is missing or is not one of the rule's `intents`.",
    Reason.EXPIRED: "The `expireTime` of the rule or of its policy has passed.",
    Reason.POLICY_SUSPENDED: "The policy has `suspend: true`, or it is being deleted and waits for a finalizer.",
    Reason.POLICY_INVALID: (
        "A policy that covers the subject does not compile or is over budget, or two policies have `endpointSettings`."
    ),
    Reason.POLICY_OUTDATED: (
        "A policy of the endpoint changed, and the decision point received the change more than two seconds ago but"
        " has not compiled it yet. The policies before the change would allow the call."
    ),
    Reason.ENDPOINT_UNCONFIGURED: "Policies of the endpoint exist, but none has `endpointSettings`.",
    Reason.IDENTITY_INVALID: (
        "The subject's token is missing or invalid, or belongs to a different subject from the one in the body."
    ),
    Reason.IDENTITY_UNVERIFIABLE: (
        "A token cannot be verified, because the API server or the issuer that vouches for it does not respond."
    ),
    Reason.AUDIENCE_MISMATCH: "The token is valid, but the endpoint accepts none of its audiences.",
    Reason.POSSESSION_UNPROVEN: (
        "A token of the subject or of an actor has the claim `cnf`: it is bound to a key (RFC 7800), by DPoP or by a"
        " client certificate, and counts for nothing without proof of that key, which no enforcement point can pass on."
    ),
    Reason.WORKLOAD_UNAPPROVED: "The subject's pod is unknown, or it runs an image that the rule does not list.",
    Reason.DELEGATION_INVALID: (
        "The call is on another party's behalf, and the endpoint does not allow that, or the decision point cannot"
        " prove it."
    ),
    Reason.ACTOR_MISMATCH: "The outermost `act` claim of the token is not the service account that presents the token.",
    Reason.SCOPE_EXCEEDED: "The call is on another party's behalf, and no entry of `delegation.ceiling` covers it.",
    Reason.APPROVAL_REQUIRED: "A RequireApproval rule applies, and no grant covers this call.",
    Reason.APPROVAL_PENDING: (
        "A grant covers this call, but its reviews are not complete. One live read has just confirmed that."
    ),
    Reason.APPROVAL_DENIED: "The latest grant for this call was denied.",
    Reason.APPROVAL_REVOKED: "The latest grant for this call was revoked.",
    Reason.APPROVAL_EXPIRED: "The latest grant for this call was not approved in time, or its window has ended.",
    Reason.APPROVAL_CONSUMED: "All uses of the latest grant for this call are taken.",
    Reason.APPROVAL_UNVERIFIABLE: (
        "The guards are not proven, the decision point cannot rule out that the requester reviewed their own request,"
        " the grant's times do not match its creation, or the live grant could not be read or written."
    ),
    Reason.APPROVAL_TOKEN_REQUIRED: (
        "A rule has `presentation: Token`, a grant covers the call, and the call contains no approval token."
    ),
    Reason.APPROVAL_TOKEN_INVALID: (
        "The token in `context.approval` was not issued by this installation, has expired, or belongs to another call."
    ),
    Reason.APPROVAL_THROTTLED: (
        "The call needs an approval, but none can be requested, because the rule's `limits` are reached."
    ),
    Reason.CONTEXT_INSUFFICIENT: (
        "The call lacks a member that `requiredContext` lists, or a property that a Scope binds."
    ),
    Reason.MULTIPLE_GATES: "More than four RequireApproval rules apply, or together they require more than 20 reviews.",
    Reason.UNINSPECTABLE: (
        "The call needs an approval, but its arguments cannot be shown to a reviewer in full. Or a proxy sent only a"
        " part of the body, or a body that is not the JSON object from which the route takes arguments."
    ),
    Reason.UNMAPPED: (
        "A proxy requests a decision for a call, and no entry of `endpointSettings.http.routes` matches it, or there"
        " are no entries."
    ),
    Reason.AMBIGUOUS_REQUEST: (
        "A proxy requests a decision for a call whose path is not canonical, that two routes match, that repeats a"
        " header or parameter that the route uses, or in which some upstreams read another method, path or route. Or a"
        " message of MCP names a resource by a URI that is not canonical. Or the API server asks about a call that"
        " names its object, port or path in a way that can be read as another one."
    ),
    Reason.STORE_STALE: (
        "The watches are older than `maxStaleness` and the call needs a grant, or they are older than the hard limit."
    ),
    Reason.CLOCK_SKEW: (
        "The clocks of the decision point and the API server differ by more than 30 s in either direction, and the"
        " call needs a grant or requests one. Or the creation or approval of the grant lies more than 30 s in the"
        " future."
    ),
    Reason.RECORD_FAILED: "The decision record could not be written.",
}
"""When each is given, for those who run the thing; `docs/reference/reasons.md` is made from it."""

Footing = Literal["derivable", "attested"]

FOOTING: Final[dict[Reason, Footing]] = {
    Reason.ALLOWED: "derivable",
    Reason.POLICY_DENIED: "derivable",
    Reason.NO_RULE: "derivable",
    Reason.CONDITION_FALSE: "derivable",
    Reason.CONDITION_ERROR: "derivable",
    # Of how large the whole call was, a record says nothing.
    Reason.TOO_COSTLY: "attested",
    Reason.INTENT_MISMATCH: "derivable",
    Reason.EXPIRED: "derivable",
    Reason.POLICY_SUSPENDED: "derivable",
    # A policy that does not compile has no digest, so that nobody can tell whom it denied.
    Reason.POLICY_INVALID: "attested",
    Reason.POLICY_OUTDATED: "attested",
    Reason.ENDPOINT_UNCONFIGURED: "derivable",
    Reason.IDENTITY_INVALID: "attested",
    Reason.IDENTITY_UNVERIFIABLE: "attested",
    Reason.AUDIENCE_MISMATCH: "attested",
    Reason.POSSESSION_UNPROVEN: "attested",
    Reason.WORKLOAD_UNAPPROVED: "derivable",
    Reason.DELEGATION_INVALID: "derivable",
    Reason.ACTOR_MISMATCH: "attested",
    Reason.SCOPE_EXCEEDED: "derivable",
    Reason.APPROVAL_REQUIRED: "attested",
    Reason.APPROVAL_PENDING: "attested",
    Reason.APPROVAL_DENIED: "attested",
    Reason.APPROVAL_REVOKED: "attested",
    Reason.APPROVAL_EXPIRED: "attested",
    Reason.APPROVAL_CONSUMED: "attested",
    Reason.APPROVAL_UNVERIFIABLE: "attested",
    Reason.APPROVAL_TOKEN_REQUIRED: "attested",
    Reason.APPROVAL_TOKEN_INVALID: "attested",
    Reason.APPROVAL_THROTTLED: "attested",
    Reason.CONTEXT_INSUFFICIENT: "attested",
    Reason.MULTIPLE_GATES: "derivable",
    Reason.UNINSPECTABLE: "attested",
    Reason.UNMAPPED: "attested",
    Reason.AMBIGUOUS_REQUEST: "attested",
    Reason.STORE_STALE: "attested",
    Reason.CLOCK_SKEW: "attested",
    Reason.RECORD_FAILED: "attested",
}
"""Whether a verdict with this reason follows from its record and the text of the policies alone, or is the decision
point's word for a state that is gone: of grants, limits, clocks, the store, tokens, or of what no record holds."""
