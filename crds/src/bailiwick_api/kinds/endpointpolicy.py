"""`EndpointPolicy`: which service accounts may do which actions on an endpoint's resources, and which need approval.

Holds: the CRD is generated from these models (`schema`); a field that the engine does not enforce does not exist here.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.approvalrequirement import ApprovalRequirement
from bailiwick_api.kinds.endpointdata import DataSource
from bailiwick_api.kinds.enforcers import Enforcer
from bailiwick_api.kinds.histories import MOST_HISTORIES, HistoryDefinition, SessionSource, require_keys
from bailiwick_api.kinds.httproutes import HttpSettings
from bailiwick_api.kinds.matches import Action, Expression, ResourceMatch
from bailiwick_api.kinds.meta import (
    DNS_LABEL,
    LIST_ATOMIC,
    SET,
    Intent,
    Label,
    Model,
    ObjectName,
    Time,
    list_map,
)
from bailiwick_api.kinds.policystatus import EndpointPolicyStatus
from bailiwick_api.serviceaccounts import ServiceAccountName

# Parts of a call that records contain besides those that identify it. A part of a path is the name of a member.
ATTRIBUTE_PATTERN = (
    r"^(context|data|(subject|actor)\.(claims|properties)|(action|resource)\.properties)"
    r"(\.[A-Za-z_][A-Za-z0-9_-]*){1,8}$"
)

Attribute = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=ATTRIBUTE_PATTERN,
        json_schema_extra=cel.validations(cel.INTENT_IS_RECORDED),
    ),
]
IssuerName = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
Effect = Literal["Allow", "RequireApproval", "Deny"]

# Paths into a call: of data, records contain only the digest. A part of a path is the name of a member.
KEPT_PATTERN: Final = (
    r"^(context|(subject|actor)\.(claims|properties)|(action|resource)\.properties)"
    r"(\.[A-Za-z_][A-Za-z0-9_-]*){1,8}$"
)
KeptAttribute = Annotated[str, Field(min_length=1, max_length=253, pattern=KEPT_PATTERN)]


class RecordSettings(Model):
    """What the decision records of the endpoint contain, besides what its rules read."""

    keep: Annotated[list[KeptAttribute], Field(min_length=1, max_length=32), SET]
    """Call attributes that every record contains, so that a later policy that reads them can be tried on past calls.

    Example: context.tenant. Values are recorded as those that rules read: sensitive ones, objects and arguments
    (context.args) only as an HMAC."""


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
    """Token: the decision point verifies the subject's token. Asserted: the decision point trusts the enforcer."""
    audiences: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253)]] | None,
        Field(min_length=1, max_length=8),
        SET,
    ] = None
    """Accepted token audiences. Defaults to `<endpoint>.<namespace>`."""
    issuers: Annotated[list[IssuerName] | None, Field(min_length=1, max_length=8), SET] = None
    """Names of the accepted issuers of subjects' tokens. Defaults to `cluster`, for its service accounts."""


class IssuedName(Model):
    """A user or group of an issuer."""

    issuer: IssuerName
    name: Annotated[str, Field(min_length=1, max_length=253)]


class Entity(Model):
    """Subjects by AuthZEN type and ids. They match only if identity.verification of the endpoint is Asserted."""

    type: Annotated[str, Field(min_length=1, max_length=63)]
    ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253)]],
        Field(min_length=1, max_length=64),
        SET,
    ]


class PodSelector(Model):
    """Labels of the calling pod. Advisory without imageDigests: anyone who can create pods chooses their labels."""

    match_labels: Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(min_length=1, max_length=16)]


class Workload(Model):
    """The workload from which the service account must call."""

    pod_selector: PodSelector | None = None
    image_digests: Annotated[
        list[Annotated[str, Field(max_length=71, pattern="^sha256:[a-f0-9]{64}$")]] | None,
        Field(min_length=1, max_length=32),
        SET,
    ] = None
    """Every container of the pod must run one of these images."""

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.WORKLOAD_SAYS_SOMETHING))


class Subject(Model):
    """A named subject for rules to refer to. Set exactly one of serviceAccount, user, group and entity."""

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
    """A named expression that conditions can use as `variables.<name>`. It can use earlier variables."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern="^[A-Za-z_][A-Za-z0-9_]*$")]
    expression: Expression


class ConditionExpression(Model):
    """A CEL condition. It must evaluate to true."""

    name: Label
    expression: Expression
    """CEL over subject, actor, action, resource, context, now, data and variables."""
    message: Annotated[str | None, Field(max_length=256)] = None
    """Message for a caller that is denied because of this condition."""


class CeilingEntry(Model):
    """An upper bound for calls on another party's behalf. It allows nothing by itself."""

    actions: Annotated[list[Action], Field(min_length=1, max_length=64), SET]
    resources: Annotated[list[ResourceMatch], Field(min_length=1, max_length=16, json_schema_extra=LIST_ATOMIC)]
    conditions: Annotated[
        list[ConditionExpression] | None, Field(max_length=16, json_schema_extra=list_map("name"))
    ] = None


class Delegation(Model):
    """Calls on another party's behalf: the principals, the maximum chain of actors, and the ceiling of such calls."""

    max_depth: Annotated[int, Field(ge=1, le=4)]
    """Maximum number of actors in a chain."""
    principals: Annotated[list[Label], Field(min_length=1, max_length=64), SET]
    """Names from spec.subjects of the principals for whom actors can act."""
    ceiling: Annotated[list[CeilingEntry], Field(min_length=1, max_length=32, json_schema_extra=LIST_ATOMIC)]
    """A call on another party's behalf must also match one of these entries at every hop. A ceiling only narrows."""
    principal_must_be_entitled: bool = False
    """Also require an Allow rule that applies to the principal."""


class EndpointSettings(Model):
    """Settings of the endpoint, not of the policy. Set them in exactly one policy of an endpoint."""

    enforcers: Annotated[list[Enforcer], Field(min_length=1, max_length=16, json_schema_extra=LIST_ATOMIC)]
    """Enforcement points (PEPs) that can request decisions for this endpoint: service accounts, and names of client
    certificates."""
    identity: Identity | None = None
    http: HttpSettings | None = None
    """How a proxied HTTP call becomes an action and a resource. If absent, calls from proxies are denied."""
    delegation: Delegation | None = None
    """If absent, calls on another party's behalf are denied."""
    record: RecordSettings | None = None
    session: SessionSource | None = None
    """Where the session of a call is. Histories that have session in their key need it."""
    history: Annotated[
        list[HistoryDefinition] | None,
        Field(min_length=1, max_length=MOST_HISTORIES, json_schema_extra=list_map("name")),
    ] = None
    """What the endpoint counts, whichever rule lets a call through. They have at most 4 different keys. A call that
    cannot be counted is denied."""

    model_config = ConfigDict(
        json_schema_extra=cel.validations(cel.SESSION_KEY_NEEDS_SESSION, cel.HISTORY_KEYS_LIMITED)
    )

    @model_validator(mode="after")
    def _countable(self) -> Self:
        require_keys(self.session, self.history or ())
        return self


class Rule(Model):
    """The effect for these subjects, actions and resources."""

    name: Label
    effect: Effect
    """Deny beats RequireApproval, and RequireApproval beats Allow. The order and age of rules never matter."""
    subjects: Annotated[list[Label], Field(min_length=1, max_length=64), SET]
    """Names from spec.subjects."""
    actions: Annotated[list[Action], Field(min_length=1, max_length=64), SET]
    """An exact name, "*", or a prefix that ends in * after one of . : /"""
    resources: Annotated[list[ResourceMatch], Field(min_length=1, max_length=16, json_schema_extra=LIST_ATOMIC)]
    intents: Annotated[list[Intent] | None, Field(min_length=1, max_length=16), SET] = None
    """The declared purpose in context.intent must be one of these."""
    conditions: Annotated[
        list[ConditionExpression] | None, Field(max_length=16, json_schema_extra=list_map("name"))
    ] = None
    """All conditions must be true."""
    expire_time: Time | None = None
    """Checked for each call. An expired RequireApproval rule denies; it never opens the gate."""
    approval: ApprovalRequirement | None = None

    model_config = ConfigDict(
        json_schema_extra=cel.validations(cel.APPROVAL_WITH_EFFECT, cel.DENY_NEVER_EXPIRES, cel.DENY_HAS_NO_INTENTS)
    )


class EndpointPolicySpec(Model):
    """The policy applies only to an endpoint in its own namespace."""

    endpoint: Annotated[Label, Field(json_schema_extra=cel.validations(cel.ENDPOINT_IMMUTABLE))]
    """The protected resource server or tool catalogue. Several policies can share one endpoint."""
    endpoint_settings: EndpointSettings | None = None
    mode: Literal["Enforce", "Audit"] = "Enforce"
    """Audit: the policy is evaluated and recorded, but never affects a decision."""
    replaces: ObjectName | None = None
    """With mode Audit: each call is decided once more, after its answer, with this policy in place of the named one."""
    suspend: bool = False
    """Disables Allow rules and makes RequireApproval rules deny. Deny rules stay in force."""
    expire_time: Time | None = None
    """Checked for each call."""
    subjects: Annotated[list[Subject], Field(min_length=1, max_length=64, json_schema_extra=list_map("name"))]
    sensitive: Annotated[list[Attribute] | None, Field(min_length=1, max_length=32), SET] = None
    """Call attributes that decision records contain only as an HMAC, with all nested values. Example: context.iban.
    Data is named by its object: data.<EndpointData>.

    This applies to every rule of the endpoint. Arguments (context.args) are never recorded in plain text."""
    data: Annotated[list[DataSource] | None, Field(min_length=1, max_length=8, json_schema_extra=list_map("name"))] = (
        None
    )
    """Attributes from outside the policy. If one is missing or cannot be read, conditions that read it are unknown."""
    variables: Annotated[list[Variable] | None, Field(max_length=32, json_schema_extra=list_map("name"))] = None
    rules: Annotated[list[Rule], Field(min_length=1, max_length=64, json_schema_extra=list_map("name"))]

    model_config = ConfigDict(
        json_schema_extra=cel.validations(
            cel.RULE_SUBJECTS_KNOWN, cel.DELEGATION_PRINCIPALS_KNOWN, cel.ENTITY_NEEDS_ASSERTED, cel.REPLACES_IN_AUDIT
        )
    )


class EndpointPolicy(Model):
    """EndpointPolicy binds service accounts to action-level scopes of an endpoint, with expiry and approval."""

    spec: EndpointPolicySpec
    status: EndpointPolicyStatus | None = None

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.REPLACES_ANOTHER))

    @classmethod
    def from_spec(cls, spec: object) -> Self:
        """Parse a stored `spec`. Raises `pydantic.ValidationError` with the path of what is wrong."""
        return cls.model_validate({"spec": spec})
