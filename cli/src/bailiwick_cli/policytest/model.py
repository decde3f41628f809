"""`PolicyTest`: what calls of a policy's subjects must come to, as people write it (`*_test.yaml`).

Holds: frozen and closed, so that a key with a typo is refused. Only the command line reads this kind; the API server
does not know it.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from bailiwick_api.kinds.meta import Label, Model, Time, Username

API_VERSION: Final = "cli.bailiwick.dev/v1alpha1"
KIND: Final = "PolicyTest"

DURATION_PATTERN: Final = r"^([0-9]{1,6}[smhd]){1,4}$"

Given = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9_][-A-Za-z0-9_]*$")]
"""What a file calls a subject, a resource or an action of its own."""
Text = Annotated[str, Field(min_length=1, max_length=1024)]
VerdictWord = Literal["Allow", "Approval", "Deny"]


class _Pod(Model):
    """What a service account calls from."""

    images: list[Text] = Field(default_factory=list)
    labels: dict[str, str] = Field(default_factory=dict)


class PartyFixture(Model):
    """Somebody: exactly one of serviceAccount (`NAMESPACE/NAME`), user (`ISSUER/NAME`) and entity (`TYPE/ID`)."""

    service_account: Text | None = None
    user: Text | None = None
    entity: Text | None = None
    groups: list[Text] = Field(default_factory=list)
    """Of a user, each as `ISSUER/NAME`."""
    username: Username | None = None
    """What the API server calls a user. Without it a reviewer is not distinguished from the subject."""
    claims: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None
    workload: _Pod | None = None


class SubjectFixture(PartyFixture):
    """Whom a call is for. `actors` act for them, the outermost first. `stranger`: no policy names this subject."""

    actors: Annotated[list[PartyFixture], Field(max_length=4)] = Field(default_factory=list)
    stranger: bool = False


class ResourceFixture(Model):
    """A resource of calls."""

    type: Text
    id: Text
    properties: dict[str, Any] | None = None


class ActionFixture(Model):
    """An action with properties. An action without any needs no entry: its name stands for itself."""

    name: Text
    properties: dict[str, Any] | None = None


class CallFixture(Model):
    """One call: a subject and a resource of the file, and an action."""

    subject: Given
    resource: Given
    action: Text


class GrantFixture(Model):
    """An approval of one call. Its reviewers are taken to hold the verb approve, and to be in the step's group."""

    of: CallFixture
    approved_by: list[Username] = Field(default_factory=list)
    """Usernames. Each one fills the first step that still lacks a reviewer of this kind."""
    denied_by: Username | None = None
    at: Time | None = None
    """When it was asked for and reviewed; by default the test's `now`."""
    uses: Annotated[int, Field(ge=0, le=50)] = 0
    """How often it has been used."""
    revoked: bool = False


class HistoryFixture(Model):
    """What a history holds before the first call, for every key: no call at all, unless it says otherwise."""

    count: Annotated[int, Field(ge=0)] = 0
    sum: int | float | str = 0
    """A number, or a decimal number in a string."""
    age: Annotated[int | None, Field(ge=0)] = None
    """How many seconds ago the latest call was counted."""


class Surroundings(Model):
    """What there is beside the policies. `data` stands in the place of EndpointData objects; null: there is none.

    `history`: by name, what was counted before; null: it cannot be read.
    """

    grants: Annotated[list[GrantFixture], Field(max_length=100)] = Field(default_factory=list)
    data: dict[str, dict[str, Any] | None] = Field(default_factory=dict)
    history: dict[str, HistoryFixture | None] = Field(default_factory=dict)


class ExpectedVerdict(Model):
    """What calls must come to."""

    subject: Given | None = None
    resource: Given | None = None
    action: Text | None = None
    is_: Annotated[VerdictWord, Field(alias="is")]
    rule: Text | None = None
    """Who decides: `RULE` or `POLICY/RULE`."""
    reason: Text | None = None
    steps: Annotated[list[Text], Field(min_length=1)] | None = None
    """The steps that the approval takes, all of them: `STEP`, or `POLICY.RULE.STEP`."""
    token: bool = False
    """The call shows the token of the approval of this very call."""


class Expectation(ExpectedVerdict):
    """What calls must come to. A coordinate that is left out stands for every one that the test lists."""

    repeat: bool = False
    """The call of the entry before, once more."""


class SequenceStep(ExpectedVerdict):
    """A call in a sequence, as often as it says. A coordinate that is left out is that of the step before."""

    after: Annotated[str | None, Field(pattern=DURATION_PATTERN)] = None
    """How much time passes before its first call (`62m`, `1h2m`)."""
    times: Annotated[int, Field(ge=1, le=1_000)] = 1
    """How often it is called, with no time in between. Each call must come to the same."""
    context: dict[str, Any] | None = None
    """Members of the context of these calls, in place of those of the test."""


class GroupPattern(Model):
    """Everybody in a group, `ISSUER:NAME`."""

    group: Text


class ResourcePattern(Model):
    """Resources of a type: one id, all that begin with it (`PREFIX*`), or all of them."""

    type: Text
    id: Text = "*"


class RegionExpectation(Model):
    """A verdict of every call of a pattern. A coordinate that is left out stands for all that the policies name."""

    subject: Given | GroupPattern | None = None
    action: Text = "*"
    """A name, or `PREFIX*`."""
    resource: Given | ResourcePattern | None = None
    is_: Annotated[VerdictWord, Field(alias="is")]


class PolicyTestCase(Model):
    """One test: every listed subject on every listed resource with every listed action, and what must come of it."""

    name: Text
    now: Time | None = None
    """When the test takes place; by default when the file says."""
    subjects: Annotated[list[Given], Field(min_length=1)] | None = None
    resources: Annotated[list[Given], Field(min_length=1)] | None = None
    actions: Annotated[list[Text], Field(min_length=1)] | None = None
    intent: Text | None = None
    context: dict[str, Any] = Field(default_factory=dict)
    with_: Annotated[Surroundings, Field(alias="with")] = Surroundings()
    expect: list[Expectation] = Field(default_factory=list)
    sequence: Annotated[list[SequenceStep], Field(max_length=1_000)] = Field(default_factory=list)
    """Calls in the order in which they are made, while time passes."""
    never: list[RegionExpectation] = Field(default_factory=list)
    """Verdicts that no call matching the pattern may get, whatever its properties, purpose, workload and time."""
    always: list[RegionExpectation] = Field(default_factory=list)
    """The only verdict of each call of the pattern."""


class PolicyTest(Model):
    """The file. Paths are relative to it."""

    api_version: Literal["cli.bailiwick.dev/v1alpha1"]
    kind: Literal["PolicyTest"]
    policies: list[Text] = Field(default_factory=list)
    """Files, folders and patterns. `-` is stdin."""
    namespace: Label | None = None
    endpoint: Label | None = None
    """Required where the policies are of several endpoints."""
    now: Time | None = None
    """When the tests take place; by default when they run."""
    subjects: dict[Given, SubjectFixture] = Field(default_factory=dict)
    resources: dict[Given, ResourceFixture] = Field(default_factory=dict)
    actions: dict[Text, ActionFixture] = Field(default_factory=dict)
    tests: Annotated[list[PolicyTestCase], Field(max_length=10_000)] = Field(default_factory=list)
    include: list[Text] = Field(default_factory=list)
    """Other PolicyTest files, for their subjects, resources and actions, and files of AuthZEN cases (`*.json`)."""


class _AuthzenEntity(Model):
    type: Text
    id: Text
    properties: dict[str, Any] | None = None


class _AuthzenAction(Model):
    name: Text
    properties: dict[str, Any] | None = None


class AuthzenRequest(Model):
    """The body of an access evaluation (AuthZEN 1.0, 6.1)."""

    subject: _AuthzenEntity | None = None
    action: _AuthzenAction | None = None
    resource: _AuthzenEntity | None = None
    context: dict[str, Any] | None = None

    model_config = ConfigDict(alias_generator=None)


class AuthzenBatch(AuthzenRequest):
    """The body of several evaluations (AuthZEN 1.0, 7.1): what an item leaves out, the body says."""

    evaluations: Annotated[list[AuthzenRequest], Field(min_length=1)]


class AuthzenCase(Model):
    """One request, and its decision."""

    request: AuthzenRequest
    expected: bool


class _Decision(Model):
    decision: bool


class AuthzenBatchCase(Model):
    """One batch, and its decisions."""

    request: AuthzenBatch
    expected: list[_Decision]


class AuthzenCases(Model):
    """A file of the AuthZEN interop's shape."""

    evaluation: list[AuthzenCase] = Field(default_factory=list)
    evaluations: list[AuthzenBatchCase] = Field(default_factory=list)
