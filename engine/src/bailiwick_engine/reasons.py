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
    Reason.CONDITION_FALSE: ReasonText(
        "A rule would allow this call, but one of its conditions does not hold.", "none"
    ),
    Reason.CONDITION_ERROR: ReasonText("A condition could not be evaluated with what the call brings.", "none"),
    Reason.TOO_COSTLY: ReasonText(
        "A condition would take longer than a decision may with what this call brings: send smaller lists and texts.",
        "none",
    ),
    Reason.INTENT_MISMATCH: ReasonText(
        "The declared purpose, context.intent, is not one that the rule accepts.", "none"
    ),
    Reason.EXPIRED: ReasonText("The rule that speaks of this call has expired; its owner must renew it.", "none"),
    Reason.POLICY_SUSPENDED: ReasonText("The policy that speaks of this call is suspended by its owner.", "none"),
    Reason.POLICY_INVALID: ReasonText(
        "A policy that speaks of this subject does not compile, or is over budget; its owner sees why in its status.",
        "none",
    ),
    Reason.POLICY_OUTDATED: ReasonText(
        "A policy of this endpoint has changed and the decision point is still compiling it; try again in a moment.",
        "retry",
    ),
    Reason.ENDPOINT_UNCONFIGURED: ReasonText("No policy of this endpoint carries endpointSettings.", "none"),
    Reason.IDENTITY_INVALID: ReasonText(
        "The subject is not proven: send its current token in context.evidence.subject_token.", "none"
    ),
    Reason.IDENTITY_UNVERIFIABLE: ReasonText(
        "The token cannot be verified at the moment: the API server or its issuer does not answer; try again.", "retry"
    ),
    Reason.AUDIENCE_MISMATCH: ReasonText("The subject's token is for another audience than this endpoint's.", "none"),
    Reason.WORKLOAD_UNAPPROVED: ReasonText(
        "The caller's pod is not one that the rule accepts: every container must run a listed image.", "none"
    ),
    Reason.DELEGATION_INVALID: ReasonText(
        "The endpoint does not let this subject be acted for, not through so many actors, or the chain is not proven.",
        "none",
    ),
    Reason.ACTOR_MISMATCH: ReasonText("The token names another actor than the workload that presents it.", "none"),
    Reason.SCOPE_EXCEEDED: ReasonText(
        "This may not be done on somebody else's behalf, whatever they may do themselves.", "none"
    ),
    Reason.APPROVAL_REQUIRED: ReasonText(
        "This call needs an approval: ask for one at access_request.endpoint.", "request"
    ),
    Reason.APPROVAL_PENDING: ReasonText(
        "An approval of this call has been asked for and is not complete yet.", "retry"
    ),
    Reason.APPROVAL_DENIED: ReasonText("A reviewer denied this call.", "request"),
    Reason.APPROVAL_REVOKED: ReasonText(
        "The approval of this call was revoked; a new one can be asked for.", "request"
    ),
    Reason.APPROVAL_EXPIRED: ReasonText("The approval of this call is over; a new one can be asked for.", "request"),
    Reason.APPROVAL_CONSUMED: ReasonText(
        "The approval of this call is used up; a new one can be asked for.", "request"
    ),
    Reason.APPROVAL_UNVERIFIABLE: ReasonText(
        "The approval cannot be verified at the moment, so it is not accepted; try again.", "retry"
    ),
    Reason.APPROVAL_TOKEN_REQUIRED: ReasonText(
        "An approval of this call stands: show its token as context.approval, as the request's task holds it.",
        "request",
    ),
    Reason.APPROVAL_TOKEN_INVALID: ReasonText(
        "The approval token that was shown is not valid for this call: show the one of this very request.", "request"
    ),
    Reason.APPROVAL_THROTTLED: ReasonText(
        "Too many approvals are asked for in this subject's name: wait until those that are pending have ended.",
        "retry",
    ),
    Reason.CONTEXT_INSUFFICIENT: ReasonText(
        "The call lacks a member of the context, or a property of the resource, that an approval of it is bound to.",
        "none",
    ),
    Reason.MULTIPLE_GATES: ReasonText(
        "More than four rules ask for an approval of this call, and a grant answers four: their owners must part them.",
        "none",
    ),
    Reason.UNINSPECTABLE: ReasonText(
        "The call's arguments cannot be shown to an approver whole, so no approval can be asked for:"
        " send context.args with at most 32 entries of at most 1024 characters.",
        "none",
    ),
    Reason.UNMAPPED: ReasonText(
        "No route of the endpoint names this method, host and path, so that the call stands for no action.", "none"
    ),
    Reason.AMBIGUOUS_REQUEST: ReasonText(
        "The request can be read in more than one way, so that nobody can tell what it stands for.", "none"
    ),
    Reason.STORE_STALE: ReasonText(
        "The decision point has lost touch with the source of its policies; try again.", "retry"
    ),
    Reason.CLOCK_SKEW: ReasonText(
        "The clocks of the decision point and of the API server are too far apart; an administrator must mend that.",
        "none",
    ),
    Reason.RECORD_FAILED: ReasonText("The decision could not be recorded, so it is not given; try again.", "retry"),
}

WHEN: Final[dict[Reason, str]] = {
    Reason.ALLOWED: "An Allow applies and nothing stricter does, or a grant was used.",
    Reason.POLICY_DENIED: "A Deny rule applies. It wins over everything else.",
    Reason.NO_RULE: "No rule that could allow speaks of this subject, action and resource.",
    Reason.CONDITION_FALSE: "The nearest Allow speaks of the call, and one of its conditions is false.",
    Reason.CONDITION_ERROR: "A condition of the nearest Allow, or of a Deny, lacks a value or cannot be evaluated.",
    Reason.TOO_COSTLY: "Members of the call that a condition of the nearest Allow, or of a Deny, looks at are too large"
    " for it, or for all conditions together; or more rules speak of the subject than one decision can look at.",
    Reason.INTENT_MISMATCH: "`context.intent` is missing or is none of the rule's `intents`.",
    Reason.EXPIRED: "The `expireTime` of the rule or of its policy has passed.",
    Reason.POLICY_SUSPENDED: "The policy has `suspend: true`, or is being deleted and a finalizer holds it.",
    Reason.POLICY_INVALID: "A policy that speaks of the subject does not compile, or is over budget, or two policies"
    " carry settings.",
    Reason.POLICY_OUTDATED: "A change of a policy of the endpoint was heard of more than two seconds ago and is not"
    " compiled yet, and by the policies before it the call would be allowed.",
    Reason.ENDPOINT_UNCONFIGURED: "Policies of the endpoint exist, but none carries `endpointSettings`.",
    Reason.IDENTITY_INVALID: "The subject's token is missing, not valid, or another's than the body says.",
    Reason.IDENTITY_UNVERIFIABLE: "A token cannot be verified, since whoever vouches for it does not answer.",
    Reason.AUDIENCE_MISMATCH: "The token is valid, but none of its audiences is accepted at this endpoint.",
    Reason.WORKLOAD_UNAPPROVED: "The subject's pod is not known, or runs an image that the rule does not list.",
    Reason.DELEGATION_INVALID: "The call is on somebody's behalf, which the endpoint does not allow or cannot prove.",
    Reason.ACTOR_MISMATCH: "The outermost `act` of the token is not the service account that presents it.",
    Reason.SCOPE_EXCEEDED: "The call is on somebody's behalf and no entry of `delegation.ceiling` covers it.",
    Reason.APPROVAL_REQUIRED: "A RequireApproval rule applies, and no grant answers this call.",
    Reason.APPROVAL_PENDING: "A grant answers this call, and its reviews are not complete, as one live read just told.",
    Reason.APPROVAL_DENIED: "The latest grant for this call was denied.",
    Reason.APPROVAL_REVOKED: "The latest grant for this call was revoked.",
    Reason.APPROVAL_EXPIRED: "The latest grant for this call was not approved in time, or its window is over.",
    Reason.APPROVAL_CONSUMED: "All uses of the latest grant for this call are taken.",
    Reason.APPROVAL_UNVERIFIABLE: "The guards are not proven, a review cannot be told from its requester's, the grant's"
    " times do not fit its creation, or the live grant could not be read or written.",
    Reason.APPROVAL_TOKEN_REQUIRED: "A rule has `presentation: Token`, a grant would serve, and no token was shown.",
    Reason.APPROVAL_TOKEN_INVALID: "`context.approval` holds a token that is not ours, is over, or is of another call.",
    Reason.APPROVAL_THROTTLED: "An approval is needed and cannot be asked for: `limits` of the rule are reached.",
    Reason.CONTEXT_INSUFFICIENT: "A member that `requiredContext` lists is missing, or a property that a Scope binds.",
    Reason.MULTIPLE_GATES: "More than four RequireApproval rules apply.",
    Reason.UNINSPECTABLE: "An approval is needed, and the arguments cannot be shown to an approver whole; or a proxy"
    " sent a part of the body only, or one that is not the JSON object that the route takes arguments from.",
    Reason.UNMAPPED: "A proxy asks about a call, and no entry of `endpointSettings.http.routes` fits it, or there are"
    " none.",
    Reason.AMBIGUOUS_REQUEST: "A proxy asks about a call whose path is not canonical, that two routes fit, or of which"
    " a header or parameter that counts is there twice.",
    Reason.STORE_STALE: "The watches are older than `maxStaleness` and the call needs a grant, or older than the hard"
    " limit.",
    Reason.CLOCK_SKEW: "The clocks of decision point and API server differ by more than 30 s, in either direction, and"
    " a grant is needed or asked for; or the grant was made or approved that much in the future.",
    Reason.RECORD_FAILED: "The decision record could not be written.",
}
"""When each is given, for those who run the thing; `docs/reference/reasons.md` is made from it."""
