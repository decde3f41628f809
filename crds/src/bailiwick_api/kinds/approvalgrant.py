"""`ApprovalGrant`: one request for approval, its reviews, and each use of it.

Holds: `spec.request` is one required, immutable object; reviews and use records only grow; a terminal phase is final.
"""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.approvalrequirement import StepKind, StepSignature
from bailiwick_api.kinds.matches import PropertyValue
from bailiwick_api.kinds.meta import (
    LIST_ATOMIC,
    SET,
    Condition,
    GroupName,
    Intent,
    Label,
    Model,
    ObjectName,
    Time,
    Uid,
    Username,
    list_map,
)

Digest = Annotated[str, Field(max_length=80, pattern="^sha256:[a-f0-9]{64}$")]
# v1: grants of releases whose digest did not include the settings of the endpoint; they match no rule.
RuleDigest = Annotated[str, Field(max_length=80, pattern="^v[12]:[a-f0-9]{64}$")]
ShortText = Annotated[str, Field(max_length=1024)]
Phase = Literal["Pending", "Active", "Denied", "Expired", "Withdrawn", "Consumed", "Lapsed", "Revoked"]
Origin = Literal["Requested", "OnDeny", "PreApproved"]
TERMINAL_PHASES: Final = frozenset({"Denied", "Expired", "Withdrawn", "Consumed", "Lapsed", "Revoked"})
MAX_REASON: Final = 4_096
"""Characters of a requester's own words."""
GUARD_UNPROVEN: Final = "GuardUnproven"
"""Why a grant is not ready that was written while the guards were not proven: nothing in it is trusted."""


class RuleRef(Model):
    """A RequireApproval rule that this grant covers, as of the time when the grant was opened."""

    policy: ObjectName
    uid: Uid | None = None
    """UID of the policy; the grant ends with it. Optional in a grant written by hand: the operator resolves it."""
    rule: Label
    rule_digest: RuleDigest | None = None
    """Digest of the rule's meaning. The grant ends if the meaning changes. Optional in a grant written by hand."""


class Requester(Model):
    """The account that sent the request to the decision point, or that created the grant by hand."""

    username: Username
    uid: Uid | None = None


class GrantSubject(Model):
    """The verified subject of the call."""

    type: Annotated[str, Field(min_length=1, max_length=63)]
    id: Username
    uid: Uid | None = None


class Actor(Model):
    """One verified actor of the chain (RFC 8693 `act`)."""

    issuer: GroupName | None = None
    id: Username
    uid: Uid | None = None


class GrantAction(Model):
    """The requested action."""

    name: Annotated[str, Field(min_length=1, max_length=128)]


class GrantResource(Model):
    """The requested resource."""

    type: Annotated[str, Field(min_length=1, max_length=63)]
    id: Annotated[str, Field(min_length=1, max_length=253)]
    """With binding Scope, the id can be "*", or end in * after one of . : /"""
    properties: Annotated[dict[str, PropertyValue] | None, Field(min_length=1, max_length=16)] = None
    """With binding Scope: required values of these properties. Other properties are not bound."""


class Idempotency(Model):
    """The requester's Idempotency-Key (ARAP). A repeated request returns the same task."""

    key: Digest
    """SHA-256 of the requester and the key."""
    request: Digest
    """SHA-256 of the request that was sent with the key."""


class Binding(Model):
    """Binding of the grant to one request."""

    mode: Literal["Exact", "Scope"]
    digest: Digest | None = None
    """SHA-256 of the canonical request (RFC 8785)."""
    request: Digest | None = None
    """SHA-256 of what makes two calls the same request after a denial: what the rules read and reviewers are shown."""
    members: Annotated[
        list[Annotated[str, Field(max_length=63)]] | None, Field(max_length=64, json_schema_extra=LIST_ATOMIC)
    ] = None
    """Members of the context that the digest covers."""


class DisplayItem(Model):
    """One value of the call. The decision point renders it from the same bytes as the digest."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    value: ShortText


class GrantStep(Model):
    """One step that must be complete. Its name is `<policy>.<rule>.<step>`."""

    name: Annotated[str, Field(min_length=1, max_length=381)]
    policy: ObjectName
    """Reviewers need the verb approve on this EndpointPolicy."""
    kind: StepKind
    groups: Annotated[list[GroupName] | None, Field(min_length=1, max_length=16), SET] = None
    count: Annotated[int, Field(ge=1, le=5)]
    signature: StepSignature | None = None
    """How an Approve of this step is signed, see the step of the rule."""


class Request(Model):
    """One approval request. Immutable as a whole, including optional fields of later versions."""

    endpoint: Label
    rules: Annotated[list[RuleRef], Field(min_length=1, max_length=4, json_schema_extra=list_map("policy", "rule"))]
    requester: Requester
    subject: GrantSubject
    actors: Annotated[list[Actor] | None, Field(max_length=4, json_schema_extra=LIST_ATOMIC)] = None
    excluded_reviewers: Annotated[list[Username] | None, Field(max_length=16), SET] = None
    """API-server usernames of the subject, the actors and the requester. None of them can review."""
    action: GrantAction
    resource: GrantResource
    intent: Intent | None = None
    binding: Binding
    display: Annotated[list[DisplayItem] | None, Field(max_length=64, json_schema_extra=list_map("name"))] = None
    """Values that reviewers see, rendered from the same bytes as the digest."""
    reason: Annotated[str | None, Field(max_length=MAX_REASON)] = None
    """The requester's own words. Do not trust them."""
    idempotency: Idempotency | None = None
    steps: Annotated[list[GrantStep], Field(min_length=1, max_length=20, json_schema_extra=list_map("name"))]
    origin: Origin
    pending_until_time: Time
    window_seconds: Annotated[int, Field(ge=10, le=86400)]
    max_uses: Annotated[int, Field(ge=1, le=50)]

    model_config = ConfigDict(
        json_schema_extra=cel.validations(
            cel.REQUEST_IMMUTABLE,
            cel.DISPLAY_NEEDED,
            cel.EXACT_NEEDS_DIGEST,
            cel.STEP_POLICY_KNOWN,
            cel.OPENED_NAMES_UIDS,
            cel.PROPERTIES_OF_SCOPE,
        )
    )


class Review(Model):
    """One person's or system's review of one step."""

    reviewer: Username
    """API-server username of the author of this review."""
    reviewer_uid: Annotated[str | None, Field(max_length=128, alias="reviewerUID")] = None
    step: Annotated[str, Field(min_length=1, max_length=381)]
    group: GroupName | None = None
    """The group of this step that the reviewer reviews for."""
    decision: Literal["Approve", "Deny"]
    reason: ShortText | None = None
    binding: Annotated[str, Field(min_length=1, max_length=80)]
    """Repeat the grant's digest, or with binding Scope its uid."""
    signature: Annotated[str | None, Field(min_length=1, max_length=4096)] = None
    """An SSH signature (PROTOCOL.sshsig), armored, over the statement of this review. Required in an Approve of a step
    with `signature`, and not allowed in any other review."""


class Revocation(Model):
    """A final revocation. The phase becomes Withdrawn before approval, and Revoked after it."""

    by: Username
    reason: ShortText | None = None
    for_: Annotated[Username | None, Field(alias="for")] = None
    """The requester or subject for whom the decision point withdraws the grant."""


class ApprovalGrantSpec(Model):
    """The request, its reviews and its revocation."""

    request: Request
    reviews: Annotated[list[Review] | None, Field(max_length=20, json_schema_extra=list_map("reviewer"))] = None
    """Append-only. Use `kubectl patch --type=json` with `add /spec/reviews/-`."""
    revocation: Revocation | None = None

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.REVIEWS_APPEND_ONLY, cel.REVOCATION_FINAL))


class JudgedReview(Model):
    """A review that the operator has checked."""

    reviewer: Username


class VoidedReview(JudgedReview):
    """A review that never counts."""

    message: ShortText | None = None
    """Why its signature does not count. Absent: it is not proven to have passed the guards."""


class CountedReview(JudgedReview):
    """A review that counts."""

    time: Time | None = None
    """Time when the operator counted the review. The review itself has no time, because no one could prove it."""


class UseRecord(Model):
    """One use of the grant."""

    key: Annotated[str, Field(min_length=1, max_length=80)]
    time: Time
    evaluation_id: Annotated[str, Field(max_length=64, alias="evaluationID")]


class ResolvedRule(Model):
    """A rule that a grant written by hand names, as of the time when the operator resolved it."""

    policy: ObjectName
    uid: Uid
    rule: Label
    rule_digest: RuleDigest


class ResolvedNames(Model):
    """The objects behind the names in a grant written by hand, before any review. The grant ends with any of them."""

    subject_uid: Annotated[Uid, Field(alias="subjectUID")]
    excluded_reviewers: Annotated[list[Username] | None, Field(min_length=1, max_length=5), SET] = None
    """API-server usernames of the people whom the grant names. None of them can review."""
    rules: Annotated[
        list[ResolvedRule], Field(min_length=1, max_length=4, json_schema_extra=list_map("policy", "rule"))
    ]


CountedReviews = Annotated[list[CountedReview] | None, Field(max_length=20, json_schema_extra=list_map("reviewer"))]
VoidedReviews = Annotated[list[VoidedReview] | None, Field(max_length=20, json_schema_extra=list_map("reviewer"))]


class ApprovalGrantStatus(Model):
    """The operator writes the status, except uses and useRecords, which the decision point writes."""

    observed_generation: Annotated[int | None, Field(ge=0, json_schema_extra={"format": "int64"})] = None
    phase: Phase | None = None
    approved_time: Time | None = None
    not_after_time: Time | None = None
    counted: CountedReviews = None
    """Reviews that the operator saw while the guards were proven."""
    voided: VoidedReviews = None
    """Reviews that are not proven to have passed the guards, or whose signature does not count. They never count."""
    resolved: ResolvedNames | None = None
    """Set for a grant written by hand. The grant accepts no review before that."""
    uses: Annotated[int | None, Field(ge=0, le=50)] = None
    use_records: Annotated[list[UseRecord] | None, Field(max_length=50, json_schema_extra=list_map("key"))] = None
    conditions: Annotated[list[Condition] | None, Field(max_length=16, json_schema_extra=list_map("type"))] = None

    model_config = ConfigDict(
        json_schema_extra=cel.validations(
            cel.PHASE_FINAL,
            cel.ACTIVE_HAS_TIMES,
            cel.APPROVED_TIME_ONCE,
            cel.NOT_AFTER_TIME_ONCE,
            cel.USE_RECORDS_APPEND_ONLY,
            cel.USE_RECORD_PER_USE,
            cel.COUNTED_FOR_GOOD,
            cel.VOIDED_FOR_GOOD,
            cel.COUNTED_OR_VOIDED,
            cel.RESOLVED_ONCE,
        )
    )


class ApprovalGrant(Model):
    """ApprovalGrant records who approved which call, and limits how often the approval is used."""

    spec: ApprovalGrantSpec
    status: ApprovalGrantStatus | None = None

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.USES_WITHIN_APPROVAL, cel.STATUS_STAYS))
