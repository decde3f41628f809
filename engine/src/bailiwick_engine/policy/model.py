"""What a policy becomes: frozen rules that matching and deciding only look things up in. `compile` makes them.

Holds: nothing here changes after it was made; a snapshot is swapped whole.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bailiwick_engine.approval.binding import canonical
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.call import Json, Party, PodWorkload, Resource
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.cost.estimate import Cost
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.cel.members import Path
from bailiwick_engine.keys import Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.routes import RouteTable
from bailiwick_engine.truth import UNKNOWN, Truth, any_of


class Effect(StrEnum):
    """What a rule does; the strictest that applies wins."""

    ALLOW = "Allow"
    REQUIRE_APPROVAL = "RequireApproval"
    DENY = "Deny"


# A member of an enumeration is looked up slowly, and this one is for every candidate.
_ALLOW = Effect.ALLOW


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """A policy object, as the API server knows it."""

    namespace: str
    name: str
    uid: str
    generation: int


@dataclass(frozen=True, slots=True)
class CompiledResource:
    """One entry of a rule's resources. `whole`: it covers every resource of its type."""

    type: str
    ids: NameSet
    properties: Mapping[str, frozenset[str]]
    whole: bool = field(init=False)

    def __post_init__(self) -> None:
        """Tell once what does not change."""
        object.__setattr__(self, "whole", self.ids.everything and not self.properties)

    def covers(self, resource: Resource, *, absent_matches: bool) -> bool:
        """Tell whether the resource falls under this entry.

        A property that the resource lacks, or has as something else than a string, is unknown: it matches where
        `absent_matches`, which Deny and RequireApproval ask for and Allow does not.
        """
        if resource.type != self.type or not (self.ids.everything or resource.id in self.ids):
            return False
        return not self.properties or self.holds_properties(resource, absent_matches=absent_matches)

    def holds_properties(self, resource: Resource, *, absent_matches: bool) -> bool:
        """Tell whether the resource has the properties that this entry asks for, whatever its type and id."""
        for name in self.properties:
            held = self.property_held(name, resource)
            if held is False or (held is not True and not absent_matches):
                return False
        return True

    def property_held(self, name: str, resource: Resource) -> Truth:
        """Tell whether the resource has a property as this entry asks."""
        value = (resource.properties or {}).get(name)
        return value in self.properties[name] if isinstance(value, str) else UNKNOWN


@dataclass(frozen=True, slots=True)
class WorkloadRequirement:
    """The workload that a subject must call from. `images` None: any. `labels` alone are advisory."""

    images: frozenset[str] | None
    labels: tuple[tuple[str, str], ...]

    def meets(self, workload: PodWorkload | None) -> Truth:
        """Tell whether this workload will do. `workload` None: it is not known."""
        if workload is None:
            return UNKNOWN
        if self.images is not None and not (workload.images and workload.images <= self.images):
            return False
        return all(workload.labels.get(name) == value for name, value in self.labels)


@dataclass(frozen=True, slots=True)
class CompiledCondition:
    """One condition of a rule and what to tell when it does not hold.

    `cost`: what it takes, with the variables that it reaches; `light`: it need not be counted for a call that is small.
    `reads`: which attributes it can read, itself or by a variable (see `reads`): found when it is compiled, since the
    first record of an endpoint would have to wait for all of them.
    """

    name: str
    expression: Expression
    message: str | None
    scope: Scope
    cost: Cost
    light: bool
    reads: frozenset[Path]

    @property
    def parts(self) -> tuple[str, Expression, str | None, Scope, Cost, bool, frozenset[Path]]:
        """What a condition is made from, for another kind of condition that stands in for it."""
        return self.name, self.expression, self.message, self.scope, self.cost, self.light, self.reads

    @property
    def timed(self) -> bool:
        """Whether it reads the clock, itself or by a variable."""
        return self.scope.timed(self.expression)

    def outcome(self, inputs: Inputs) -> Truth:
        """Return what it says of these inputs."""
        return self.scope.evaluate(self.expression, inputs, self.cost, light=self.light)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule:
    """One rule. `expires`: seconds since the epoch, the earlier of the rule's and its policy's; never on a Deny.

    `sensitive` are its policy's: attributes that stand in no record in the clear. `light`: all its conditions are.
    `gate` has the rule's own digest; grants have the one of `CompiledEndpoint.gate`. `always`: it holds for every
    purpose, does not end and is not suspended, so that a decision need not ask for each of these.
    """

    policy: PolicyRef
    policy_digest: str
    name: str
    effect: Effect
    subjects: frozenset[Key]
    workloads: Mapping[Key, tuple[WorkloadRequirement, ...]]
    actions: NameSet
    resources: tuple[CompiledResource, ...]
    intents: frozenset[str] | None
    conditions: tuple[CompiledCondition, ...]
    scope: Scope
    expires: float | None
    suspended: bool
    audit: bool
    gate: Gate | None
    sensitive: frozenset[str] = frozenset()
    light: bool = True
    always: bool = field(init=False)

    def __post_init__(self) -> None:
        """Tell once what does not change."""
        always = not self.suspended and self.expires is None and self.intents is None
        object.__setattr__(self, "always", always)

    def names(self, party: Party) -> Truth:
        """Tell whether the rule speaks of this party; UNKNOWN where that hangs on a workload that is not known.

        A key without an entry in `workloads` is named from anywhere.
        """
        named = party.keys & self.subjects
        if not named or not self.workloads:
            return bool(named)
        return any_of(
            [
                requirement.meets(party.workload) if requirement else True
                for key in named
                for requirement in self.workloads.get(key) or (None,)
            ]
        )

    def covers(self, resource: Resource) -> bool:
        """Tell whether one of the rule's resources covers this one."""
        for entry in self.resources:
            if entry.type == resource.type and (
                entry.whole or entry.covers(resource, absent_matches=self.effect is not _ALLOW)
            ):
                return True
        return False

    def over(self, now: float) -> bool:
        """Tell whether the rule, or its policy, has expired."""
        return self.expires is not None and now >= self.expires

    def accepts(self, intent: str | None) -> bool:
        """Tell whether the rule takes a call of this declared purpose."""
        return self.intents is None or intent in self.intents

    @property
    def work(self) -> int:
        """How much there is to look at before its conditions, in parts that take some tenths of a microsecond each."""
        return 4 + sum(1 + len(entry.properties) for entry in self.resources) + len(self.conditions)

    @property
    def place(self) -> tuple[str, str]:
        """Policy and rule name: the order in which equals are reported, so that the same inputs give the same words."""
        return (self.policy.name, self.name)


@dataclass(frozen=True, slots=True)
class CompiledCeiling:
    """One thing that may be done on somebody's behalf."""

    actions: NameSet
    resources: tuple[CompiledResource, ...]
    conditions: tuple[CompiledCondition, ...]

    def covers(self, action: str, resource: Resource) -> bool:
        """Tell whether it speaks of this action and this resource. As of an Allow, what is unknown is not covered."""
        return action in self.actions and any(one.covers(resource, absent_matches=False) for one in self.resources)


@dataclass(frozen=True, slots=True)
class CompiledDelegation:
    """Acting for somebody. `scope` evaluates the ceiling's conditions."""

    max_depth: int
    principals: frozenset[Key]
    ceiling: tuple[CompiledCeiling, ...]
    entitled: bool
    scope: Scope


@dataclass(frozen=True, slots=True)
class SettingsMeaning:
    """What settings make of an approval, as digests: of each route by its action, and of all else together.

    Empty of settings that no policy has, under which no grant fits.
    """

    rest: str = ""
    routes: tuple[tuple[str, str], ...] = ()

    def grant_digest(self, own: str, actions: NameSet) -> str:
        """Return `v2:` and the digest by which grants know a rule: of its own digest, and of what it means here."""
        # Without asking a set of whole names for more than each needs: an endpoint may have many gates and many routes.
        listed = actions if actions.everything or actions.prefixes else actions.exact
        routes: list[Json] = [digest for action, digest in self.routes if action in listed]
        return "v2:" + hashlib.sha256(canonical([own, self.rest, routes])).hexdigest()

    def gate(self, gate: Gate, actions: NameSet) -> Gate:
        """Return the gate of a rule with these actions as it is under these settings, with the digest of grants."""
        rules = [replace(one, rule_digest=self.grant_digest(one.rule_digest, actions)) for one in gate.rules]
        return replace(gate, rules=tuple(rules))


@dataclass(frozen=True, slots=True)
class CompiledSettings:
    """An endpoint's settings: who may ask, and how subjects are proven. `asserted`: by the enforcer's word.

    `routes`: what proxied calls stand for; None: there are none. `keep`: attributes that records hold though no rule
    reads them.
    """

    carrier: PolicyRef
    enforcers: frozenset[str]
    audiences: frozenset[str]
    asserted: bool
    issuers: frozenset[str]
    delegation: CompiledDelegation | None
    routes: RouteTable | None = None
    keep: frozenset[str] = frozenset()
    meaning: SettingsMeaning = SettingsMeaning()

    def gate(self, gate: Gate, actions: NameSet) -> Gate:
        """Return the gate of a rule with these actions; see `SettingsMeaning.gate`."""
        return self.meaning.gate(gate, actions)


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy that compiled. `data` are the objects of its namespace that it may read.

    `replaces`: it is a candidate, and part of no answer (see `shadows`); the policy that it names is another.
    """

    ref: PolicyRef
    endpoint: str
    digest: str
    settings: CompiledSettings | None
    rules: tuple[CompiledRule, ...]
    data: tuple[str, ...] = ()
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class BrokenPolicy:
    """A policy that did not compile; what could still be read of it says whom it denies.

    `endpoint` None: every endpoint of its namespace is denied. `subjects` None: everybody is. Settings that can be read
    hold all the same; where they cannot be read, the endpoint is denied, whatever the mode. `withheld`: it is over
    budget, and was not compiled. `data` are the objects that its settings may read. `replaces`: it is a candidate, and
    denies nobody.
    """

    ref: PolicyRef
    endpoint: str | None
    subjects: frozenset[Key] | None
    audit: bool
    settings: CompiledSettings | None = None
    carries_settings: bool = False
    withheld: bool = False
    data: tuple[str, ...] = ()
    replaces: str | None = None
