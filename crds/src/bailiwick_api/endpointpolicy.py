"""`EndpointPolicy`: which service accounts may do which actions on an endpoint's resources, and which need approval.

Holds: the CRD is generated from these models (`schema`); a field that the engine does not enforce does not exist here.
"""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field

from bailiwick_api import cel
from bailiwick_api.enforcers import Enforcer
from bailiwick_api.httproutes import HttpSettings
from bailiwick_api.meta import (
    DNS_LABEL,
    LIST_ATOMIC,
    LIST_SET,
    Condition,
    GroupName,
    Intent,
    Label,
    Model,
    ObjectName,
    Time,
    list_map,
)
from bailiwick_api.serviceaccounts import ServiceAccountName

# Exact, "*", or a trailing * after one of . : / ; so `customers.*` covers `customers.a.b` and not `customers`.
# No \s in patterns: the API server's has five characters, pydantic's all of Unicode's.
ACTION_PATTERN = r"^(\*|[^*\x00-\x20\x7f]+([.:/]\*)?)$"
RESOURCE_ID_PATTERN = r"^(\*|[^*\x00-\x1f\x7f]+([.:/]\*)?)$"
# What records hold of a call besides what identifies it. A part of a path is the name of a member.
ATTRIBUTE_PATTERN = (
    r"^(context|(subject|actor)\.(claims|properties)|(action|resource)\.properties)(\.[A-Za-z_][A-Za-z0-9_-]*){1,8}$"
)
# RFC 6901, into the call's context, properties or intent: what there is to be shown.
POINTER_PATTERN = r"^/(subject/properties|action/properties|resource/properties|context)(/[^\x00-\x1f\x7f/]+){1,8}$"
EXPRESSION_LENGTH = 4096

Action = Annotated[str, Field(min_length=1, max_length=128, pattern=ACTION_PATTERN)]
ResourceId = Annotated[str, Field(min_length=1, max_length=253, pattern=RESOURCE_ID_PATTERN)]
Attribute = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=ATTRIBUTE_PATTERN,
        json_schema_extra=cel.validations(cel.INTENT_IS_RECORDED),
    ),
]
Expression = Annotated[str, Field(min_length=1, max_length=EXPRESSION_LENGTH)]
PropertyValue = Annotated[str, Field(max_length=253)]
IssuerName = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
Effect = Literal["Allow", "RequireApproval", "Deny"]
StepKind = Literal["Human", "System"]


class ServiceAccountRef(Model):
    """A service account by namespace and name."""

    namespace: Annotated[str, Field(min_length=1, max_length=63)]
    name: ObjectName

    @property
    def username(self) -> str:
        """The API server's name for it, `system:serviceaccount:<namespace>:<name>`."""
        return ServiceAccountName(self.namespace, self.name).username


class Identity(Model):
    """How the subject of a call is proven."""

    verification: Literal["Token", "Asserted"] = "Token"
    """Token: the subject is proven by a token that the PDP verifies. Asserted: the enforcer's word is taken."""
    audiences: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253)]] | None,
        Field(min_length=1, max_length=8, json_schema_extra=LIST_SET),
    ] = None
    """Accepted token audiences; default `<endpoint>.<namespace>`."""
    issuers: Annotated[list[IssuerName] | None, Field(min_length=1, max_length=8, json_schema_extra=LIST_SET)] = None
    """Issuers of subjects' tokens, by the names of the installation; default `cluster`, its service accounts."""


class IssuedName(Model):
    """A user or a group, as an issuer names them."""

    issuer: IssuerName
    name: Annotated[str, Field(min_length=1, max_length=253)]


class Entity(Model):
    """Subjects as AuthZEN names them; they match only where the endpoint's identity is Asserted."""

    type: Annotated[str, Field(min_length=1, max_length=63)]
    ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253)]],
        Field(min_length=1, max_length=64, json_schema_extra=LIST_SET),
    ]


class PodSelector(Model):
    """Labels of the calling pod. Advisory when alone: whoever creates pods chooses their labels."""

    match_labels: Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(min_length=1, max_length=16)]


class Workload(Model):
    """The workload that a service account must be calling from."""

    pod_selector: PodSelector | None = None
    image_digests: Annotated[
        list[Annotated[str, Field(max_length=71, pattern="^sha256:[a-f0-9]{64}$")]] | None,
        Field(min_length=1, max_length=32, json_schema_extra=LIST_SET),
    ] = None
    """Every container of the pod must run one of these images."""

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.WORKLOAD_SAYS_SOMETHING))


class Subject(Model):
    """Whom rules speak of, under a name of its own: exactly one of serviceAccount, user, group, entity."""

    name: Label
    service_account: ServiceAccountRef | None = None
    user: IssuedName | None = None
    group: IssuedName | None = None
    entity: Entity | None = None
    workload: Workload | None = None

    model_config = ConfigDict(
        json_schema_extra=cel.validations(cel.SUBJECT_IS_ONE_THING, cel.WORKLOAD_NEEDS_SERVICE_ACCOUNT)
    )


class Variable(Model):
    """A named expression that conditions can use as `variables.<name>`; it may use earlier ones."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern="^[A-Za-z_][A-Za-z0-9_]*$")]
    expression: Expression


class ConditionExpression(Model):
    """A CEL condition of a rule; it must evaluate to true."""

    name: Label
    expression: Expression
    """CEL over subject, actor, action, resource, context, now and variables."""
    message: Annotated[str | None, Field(max_length=256)] = None
    """What a denied caller is told."""


class ResourceMatch(Model):
    """Resources by type, id and properties."""

    type: Annotated[str, Field(min_length=1, max_length=63)]
    ids: Annotated[list[ResourceId], Field(min_length=1, max_length=64, json_schema_extra=LIST_SET)]
    """Exact, "*", or a trailing * after one of . : /"""
    properties: Annotated[
        dict[str, Annotated[list[PropertyValue], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)]]
        | None,
        Field(min_length=1, max_length=16),
    ] = None
    """Each named property must hold one of the listed strings."""


class CeilingEntry(Model):
    """What may be done on somebody's behalf at most."""

    actions: Annotated[list[Action], Field(min_length=1, max_length=64, json_schema_extra=LIST_SET)]
    resources: Annotated[list[ResourceMatch], Field(min_length=1, max_length=16, json_schema_extra=LIST_ATOMIC)]
    conditions: Annotated[
        list[ConditionExpression] | None, Field(max_length=16, json_schema_extra=list_map("name"))
    ] = None


class Delegation(Model):
    """Acting for somebody: who may be acted for, how deep, and what it can come to at most."""

    max_depth: Annotated[int, Field(ge=1, le=4)]
    """How many actors a chain may have."""
    principals: Annotated[list[Label], Field(min_length=1, max_length=64, json_schema_extra=LIST_SET)]
    """Names from spec.subjects: who may be acted for."""
    ceiling: Annotated[list[CeilingEntry], Field(min_length=1, max_length=32, json_schema_extra=LIST_ATOMIC)]
    """A call on somebody's behalf must also match one of these, at every hop: it can only narrow."""
    principal_must_be_entitled: bool = False
    """An Allow of the person's own is needed too."""


class EndpointSettings(Model):
    """Settings of the endpoint, not of the policy: exactly one policy of an endpoint carries them."""

    enforcers: Annotated[list[Enforcer], Field(min_length=1, max_length=16, json_schema_extra=LIST_ATOMIC)]
    """Who may ask about this endpoint (PEPs): service accounts, and names of client certificates."""
    identity: Identity | None = None
    http: HttpSettings | None = None
    """How a proxied HTTP call becomes an action and a resource; absent: proxies are denied."""
    delegation: Delegation | None = None
    """Absent: acting for somebody else is refused."""


class Step(Model):
    """One step of an approval: `count` distinct reviewers of this kind."""

    name: Label
    kind: StepKind
    """Human: people review. System: service accounts review."""
    groups: Annotated[list[GroupName] | None, Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)] = None
    """Groups a reviewer reviews for; absent: whoever holds the verb approve on the policy."""
    count: Annotated[int, Field(ge=1, le=5)] = 1


class ReasonRequirement(Model):
    """What the requester must say."""

    required: bool = True
    pattern: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """RE2; the whole reason must match."""


class Limits(Model):
    """How much asking there may be; counted for each subject of the endpoint."""

    pending_per_subject: Annotated[int, Field(ge=1, le=50)] = 5
    """How many requests may wait for their reviews at once."""
    requests_per_hour: Annotated[int, Field(ge=1, le=1000)] = 20
    deny_cooldown_seconds: Annotated[int, Field(ge=0, le=86400)] = 900
    """For how long a call that a reviewer denied cannot be asked for again."""


class ApprovalRequirement(Model):
    """What an approval of this rule takes, and how long and how often it then serves."""

    binding: Literal["Exact", "Scope"] = "Exact"
    """Exact: an approval is bound to the digest of the whole request. Scope: to subject, actors, action, resource and
    those of its properties that the rule's resources name."""
    required_context: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=63)]] | None,
        Field(min_length=1, max_length=16, json_schema_extra=LIST_SET),
    ] = None
    """Members of the context without which no approval is asked for: leaving one out cannot blur the binding."""
    show: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253, pattern=POINTER_PATTERN)]] | None,
        Field(min_length=1, max_length=32, json_schema_extra=LIST_SET),
    ] = None
    """JSON pointers (RFC 6901) to what the approver is shown, as in /context/args/fields; default: all of the call."""
    allow_unseen: bool = False
    """The enforcer may send context.args_digest in place of the arguments, which the approver then does not see."""
    presentation: Literal["Lookup", "Token"] = "Lookup"
    """Lookup: the decision point finds the grant. Token: the caller must show the approval token."""
    open: Literal["OnRequest", "OnDeny"] = "OnRequest"
    """OnRequest: the caller asks for an approval. OnDeny: the denial itself asks for it."""
    steps: Annotated[list[Step], Field(min_length=1, max_length=5, json_schema_extra=list_map("name"))]
    """All must be met, by distinct reviewers."""
    pending_seconds: Annotated[int, Field(ge=30, le=86400)] = 3600
    """How long a request waits for its reviews."""
    window_seconds: Annotated[int, Field(ge=10, le=86400)] = 600
    """How long an approval can be used, from the moment it is complete."""
    max_uses: Annotated[int, Field(ge=1, le=50)] = 1
    reason: ReasonRequirement | None = None
    limits: Limits | None = None

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.SCOPE_SHOWS_ITSELF))


class Rule(Model):
    """What these subjects may do to these resources."""

    name: Label
    effect: Effect
    """Deny beats RequireApproval beats Allow; order and age never matter."""
    subjects: Annotated[list[Label], Field(min_length=1, max_length=64, json_schema_extra=LIST_SET)]
    """Names from spec.subjects."""
    actions: Annotated[list[Action], Field(min_length=1, max_length=64, json_schema_extra=LIST_SET)]
    """Exact, "*", or a trailing * after one of . : /"""
    resources: Annotated[list[ResourceMatch], Field(min_length=1, max_length=16, json_schema_extra=LIST_ATOMIC)]
    intents: Annotated[list[Intent] | None, Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)] = None
    """The declared purpose, context.intent, must be one of these."""
    conditions: Annotated[
        list[ConditionExpression] | None, Field(max_length=16, json_schema_extra=list_map("name"))
    ] = None
    """All must hold."""
    expire_time: Time | None = None
    """Judged when a call is decided. An expired RequireApproval denies; it never opens the gate."""
    approval: ApprovalRequirement | None = None

    model_config = ConfigDict(
        json_schema_extra=cel.validations(cel.APPROVAL_WITH_EFFECT, cel.DENY_NEVER_EXPIRES, cel.DENY_HAS_NO_INTENTS)
    )


class EndpointPolicySpec(Model):
    """A policy speaks only for an endpoint of its own namespace."""

    endpoint: Annotated[Label, Field(json_schema_extra=cel.validations(cel.ENDPOINT_IMMUTABLE))]
    """The protected resource server or tool catalogue; several policies may share one."""
    endpoint_settings: EndpointSettings | None = None
    mode: Literal["Enforce", "Audit"] = "Enforce"
    """Audit: evaluated and recorded, never part of the answer."""
    suspend: bool = False
    """Switches Allow off and makes RequireApproval deny; Deny rules stay."""
    expire_time: Time | None = None
    """Judged when a call is decided."""
    subjects: Annotated[list[Subject], Field(min_length=1, max_length=64, json_schema_extra=list_map("name"))]
    sensitive: Annotated[list[Attribute] | None, Field(min_length=1, max_length=32, json_schema_extra=LIST_SET)] = None
    """Attributes of calls that stand in decision records only as an HMAC, as in context.iban; with all that is in them.

    It holds for every rule of the endpoint. Arguments (context.args) are never recorded in the clear."""
    variables: Annotated[list[Variable] | None, Field(max_length=32, json_schema_extra=list_map("name"))] = None
    rules: Annotated[list[Rule], Field(min_length=1, max_length=64, json_schema_extra=list_map("name"))]

    model_config = ConfigDict(
        json_schema_extra=cel.validations(
            cel.RULE_SUBJECTS_KNOWN, cel.DELEGATION_PRINCIPALS_KNOWN, cel.ENTITY_NEEDS_ASSERTED
        )
    )


class EndpointPolicyStatus(Model):
    """What the operator found."""

    observed_generation: Annotated[int | None, Field(ge=0, json_schema_extra={"format": "int64"})] = None
    digest: Annotated[str | None, Field(max_length=80)] = None
    """Of the compiled policy; decision records name it."""
    conditions: Annotated[list[Condition] | None, Field(max_length=16, json_schema_extra=list_map("type"))] = None


class EndpointPolicy(Model):
    """EndpointPolicy binds service accounts to action-level scopes of an endpoint, with expiry and approval."""

    spec: EndpointPolicySpec
    status: EndpointPolicyStatus | None = None

    @classmethod
    def from_spec(cls, spec: object) -> Self:
        """Parse a stored `spec`. Raises `pydantic.ValidationError` with the path of what is wrong."""
        return cls.model_validate({"spec": spec})
