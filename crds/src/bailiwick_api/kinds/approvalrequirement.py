"""What an approval of a rule requires: steps, reviewers, limits, and how long and how often it can be used.

Standing: under `endpointpolicy`. Holds: the default of each field is the safe choice.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.meta import SET, GroupName, Label, Model, list_map

# RFC 6901, into the call's context, properties or intent: the values that reviewers can see.
POINTER_PATTERN = r"^/(subject/properties|action/properties|resource/properties|context)(/[^\x00-\x1f\x7f/]+){1,8}$"

StepKind = Literal["Human", "System"]
StepSignature = Literal["Key", "Required"]


class Step(Model):
    """One step of an approval. It needs reviews from `count` distinct reviewers of this kind."""

    name: Label
    kind: StepKind
    """Human: people review. System: service accounts review."""
    groups: Annotated[list[GroupName] | None, Field(min_length=1, max_length=16), SET] = None
    """Groups for which reviewers review. If absent, anyone with the verb approve on the policy can review."""
    count: Annotated[int, Field(ge=1, le=5)] = 1
    signature: StepSignature | None = None
    """Who approves signs the review. Key: with any key that a registrar enrolled for them. Required: with an enrolled
    key that verified its user for this signature, such as a passkey. Only with kind Human."""

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.PEOPLE_SIGN))


class ReasonRequirement(Model):
    """Requirements for the requester's reason."""

    required: bool = True
    pattern: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """RE2 pattern that the whole reason must match."""


class Limits(Model):
    """Limits of approval requests, for each subject of the endpoint."""

    pending_per_subject: Annotated[int, Field(ge=1, le=50)] = 5
    """Maximum number of requests that wait for reviews at a time."""
    requests_per_hour: Annotated[int, Field(ge=1, le=1000)] = 20
    deny_cooldown_seconds: Annotated[int, Field(ge=0, le=86400)] = 900
    """How long no approval can be requested for a call after a reviewer denied it."""


class ApprovalRequirement(Model):
    """Requirements for an approval of this rule, and how long and how often the approval can be used."""

    binding: Literal["Exact", "Scope"] = "Exact"
    """Exact: an approval is bound to the digest of the whole request. Scope: it is bound to the subject, the actors,
    the action, the resource, and those of the resource's properties that the rule's resources name."""
    required_context: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=63)]] | None,
        Field(min_length=1, max_length=16),
        SET,
    ] = None
    """Context members that a call must have to request an approval. Omitting one cannot weaken the binding."""
    show: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253, pattern=POINTER_PATTERN)]] | None,
        Field(min_length=1, max_length=32),
        SET,
    ] = None
    """JSON pointers (RFC 6901) to what reviewers see, like /context/args/fields. Defaults to the whole call."""
    allow_unseen: bool = False
    """The enforcer can send context.args_digest instead of the arguments. Reviewers then do not see them."""
    presentation: Literal["Lookup", "Token"] = "Lookup"
    """Lookup: the decision point finds the grant. Token: the caller must send the approval token."""
    open: Literal["OnRequest", "OnDeny"] = "OnRequest"
    """OnRequest: the caller requests an approval. OnDeny: the denial itself opens the request."""
    steps: Annotated[list[Step], Field(min_length=1, max_length=5, json_schema_extra=list_map("name"))]
    """All steps must be complete, with distinct reviewers."""
    pending_seconds: Annotated[int, Field(ge=30, le=86400)] = 3600
    """How long a request waits for its reviews."""
    window_seconds: Annotated[int, Field(ge=10, le=86400)] = 600
    """How long an approval can be used, after its last review."""
    max_uses: Annotated[int, Field(ge=1, le=50)] = 1
    reason: ReasonRequirement | None = None
    limits: Limits | None = None

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.SCOPE_SHOWS_ITSELF))
