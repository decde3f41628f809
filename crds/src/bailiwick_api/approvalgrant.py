"""`ApprovalGrant`: one request for approval, its reviews, and every use that was made of it.

Holds: `spec.request` is one required, immutable object; reviews and use records only grow; a terminal phase is final.
"""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from bailiwick_api import cel
from bailiwick_api.endpointpolicy import PropertyValue, StepKind
from bailiwick_api.meta import (
    LIST_ATOMIC,
    LIST_SET,
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
RuleDigest = Annotated[str, Field(max_length=80, pattern="^v1:[a-f0-9]{64}$")]
ShortText = Annotated[str, Field(max_length=1024)]
Phase = Literal["Pending", "Active", "Denied", "Expired", "Withdrawn", "Consumed", "Lapsed", "Revoked"]
Origin = Literal["Requested", "OnDeny", "PreApproved"]
TERMINAL_PHASES: Final = frozenset({"Denied", "Expired", "Withdrawn", "Consumed", "Lapsed", "Revoked"})
MAX_REASON: Final = 4_096
"""Characters of a requester's own words."""
GUARD_UNPROVEN: Final = "GuardUnproven"
"""Why a grant is not ready that was written to while the guards were not proven: nothing that it says is believed."""


class RuleRef(Model):
    """A RequireApproval rule that this grant answers, as it stood when the grant was opened."""

    policy: ObjectName
    uid: Uid | None = None
    """Of the policy; a grant dies with it. By hand it may be left out: the operator resolves it."""
    rule: Label
    rule_digest: RuleDigest | None = None
    """Of the rule's meaning; a grant dies with any change of it. By hand it may be left out."""


class Requester(Model):
    """Who asked the decision point, or who created the grant by hand."""

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
    """The action asked for."""

    name: Annotated[str, Field(min_length=1, max_length=128)]


class GrantResource(Model):
    """The resource asked for."""

    type: Annotated[str, Field(min_length=1, max_length=63)]
    id: Annotated[str, Field(min_length=1, max_length=253)]
    """Of a Scope it may end in * after one of . : /, or be * alone."""
    properties: Annotated[dict[str, PropertyValue] | None, Field(min_length=1, max_length=16)] = None
    """Of a Scope: what these properties must be. Other properties are not bound."""


class Idempotency(Model):
    """The requester's Idempotency-Key (ARAP), so that the same request again is the same task."""

    key: Digest
    """SHA-256 of requester and key."""
    request: Digest
    """SHA-256 of what was asked with it."""


class Binding(Model):
    """What ties the grant to one request."""

    mode: Literal["Exact", "Scope"]
    digest: Digest | None = None
    """SHA-256 of the canonical request (RFC 8785)."""
    members: Annotated[
        list[Annotated[str, Field(max_length=63)]] | None, Field(max_length=64, json_schema_extra=LIST_ATOMIC)
    ] = None
    """Members of the context that the digest covers."""


class DisplayItem(Model):
    """One fact about the call, rendered by the decision point from the bytes that were digested."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    value: ShortText


class GrantStep(Model):
    """One step to be met; its name is `<policy>.<rule>.<step>`."""

    name: Annotated[str, Field(min_length=1, max_length=381)]
    policy: ObjectName
    """Reviewers need the verb approve on this EndpointPolicy."""
    kind: StepKind
    groups: Annotated[list[GroupName] | None, Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)] = None
    count: Annotated[int, Field(ge=1, le=5)]


class Request(Model):
    """One request for approval. Immutable as a whole, so that a new optional field is covered without a new rule."""

    endpoint: Label
    rules: Annotated[list[RuleRef], Field(min_length=1, max_length=4, json_schema_extra=list_map("policy", "rule"))]
    requester: Requester
    subject: GrantSubject
    actors: Annotated[list[Actor] | None, Field(max_length=4, json_schema_extra=LIST_ATOMIC)] = None
    excluded_reviewers: Annotated[list[Username] | None, Field(max_length=16, json_schema_extra=LIST_SET)] = None
    """API-server usernames of subject, actors and requester: none of them approves."""
    action: GrantAction
    resource: GrantResource
    intent: Intent | None = None
    binding: Binding
    display: Annotated[list[DisplayItem] | None, Field(max_length=64, json_schema_extra=list_map("name"))] = None
    """What the approver is shown, rendered from what was digested."""
    reason: Annotated[str | None, Field(max_length=MAX_REASON)] = None
    """The requester's own words: untrusted."""
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
    """Who writes it, as the API server knows them."""
    reviewer_uid: Annotated[str | None, Field(max_length=128, alias="reviewerUID")] = None
    step: Annotated[str, Field(min_length=1, max_length=381)]
    group: GroupName | None = None
    """The group of this step that the reviewer reviews for."""
    decision: Literal["Approve", "Deny"]
    reason: ShortText | None = None
    binding: Annotated[str, Field(min_length=1, max_length=80)]
    """Repeats what was shown: the digest, or for Scope the grant's uid."""


class Revocation(Model):
    """Taken back for good; before approval it reads Withdrawn, after it Revoked."""

    by: Username
    reason: ShortText | None = None
    for_: Annotated[Username | None, Field(alias="for")] = None
    """At whose word the decision point withdraws."""


class ApprovalGrantSpec(Model):
    """The request, and what people and systems say to it."""

    request: Request
    reviews: Annotated[list[Review] | None, Field(max_length=20, json_schema_extra=list_map("reviewer"))] = None
    """Append only: `kubectl patch --type=json` with `add /spec/reviews/-`."""
    revocation: Revocation | None = None

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.REVIEWS_APPEND_ONLY, cel.REVOCATION_FINAL))


class JudgedReview(Model):
    """A review that the operator judged."""

    reviewer: Username


class CountedReview(JudgedReview):
    """A review that counts."""

    time: Time | None = None
    """When the operator counted it. A review cannot carry a time of its own that anybody could prove."""


class UseRecord(Model):
    """One use of the grant."""

    key: Annotated[str, Field(min_length=1, max_length=80)]
    time: Time
    evaluation_id: Annotated[str, Field(max_length=64, alias="evaluationID")]


class ResolvedRule(Model):
    """A rule that a grant written by hand names, as it stood when the operator looked."""

    policy: ObjectName
    uid: Uid
    rule: Label
    rule_digest: RuleDigest


class ResolvedNames(Model):
    """What the names in a grant written by hand stood for, before any review of it: it dies with each of them."""

    subject_uid: Annotated[Uid, Field(alias="subjectUID")]
    excluded_reviewers: Annotated[
        list[Username] | None, Field(min_length=1, max_length=5, json_schema_extra=LIST_SET)
    ] = None
    """What the API server calls the people whom the grant names: none of them approves."""
    rules: Annotated[
        list[ResolvedRule], Field(min_length=1, max_length=4, json_schema_extra=list_map("policy", "rule"))
    ]


CountedReviews = Annotated[list[CountedReview] | None, Field(max_length=20, json_schema_extra=list_map("reviewer"))]
JudgedReviews = Annotated[list[JudgedReview] | None, Field(max_length=20, json_schema_extra=list_map("reviewer"))]


class ApprovalGrantStatus(Model):
    """The operator's, but for uses and useRecords, which are the decision point's."""

    observed_generation: Annotated[int | None, Field(ge=0, json_schema_extra={"format": "int64"})] = None
    phase: Phase | None = None
    approved_time: Time | None = None
    not_after_time: Time | None = None
    counted: CountedReviews = None
    """Reviews that the operator saw under a proven guard."""
    voided: JudgedReviews = None
    """Reviews that cannot be shown to have passed the guard; they never count."""
    resolved: ResolvedNames | None = None
    """Of a grant written by hand; no review of it is taken before."""
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
    """ApprovalGrant records who approved exactly what, and is used up exactly as often as it allows."""

    spec: ApprovalGrantSpec
    status: ApprovalGrantStatus | None = None

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.USES_WITHIN_APPROVAL, cel.STATUS_STAYS))
