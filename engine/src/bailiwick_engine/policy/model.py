"""Compiled policies: frozen rules for matching and deciding. `compile` makes them.

Standing: over `dimensions`, whose parts make up a rule. Holds: nothing here changes after it was made; a snapshot is
replaced as a whole.
"""

import hashlib
from dataclasses import dataclass, field, replace

from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.call import Json, Resource
from bailiwick_engine.canonicaljson import canonical
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.members import Path
from bailiwick_engine.keys import Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.dimensions.action import ActionPart
from bailiwick_engine.policy.dimensions.condition import CompiledCondition, ConditionPart
from bailiwick_engine.policy.dimensions.dimension import Limit
from bailiwick_engine.policy.dimensions.resource import CompiledResource, ResourcePart
from bailiwick_engine.policy.dimensions.table import RuleParts, limits_of, weight_of
from bailiwick_engine.policy.dimensions.workload import WorkloadRequirement
from bailiwick_engine.policy.effect import Effect, PolicyRef
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_engine.policy.routes import RouteTable

__all__ = [
    "BrokenPolicy",
    "CompiledCeiling",
    "CompiledCondition",
    "CompiledDelegation",
    "CompiledPolicy",
    "CompiledResource",
    "CompiledRule",
    "CompiledSettings",
    "Effect",
    "PolicyRef",
    "SettingsMeaning",
    "WorkloadRequirement",
]

# A member of an enumeration is looked up slowly, and this one is for every candidate.
_ALLOW = Effect.ALLOW


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule(RuleParts):
    """One rule: the parts of all dimensions, and what follows from them.

    `light`: all its conditions are. `limits`: what keeps it from holding, that which weighs most first; most rules have
    none, so that a decision need not ask. `work`: how much there is to look at before its conditions, in parts that
    take some tenths of a microsecond each.
    """

    light: bool = field(init=False)
    limits: tuple[Limit, ...] = field(init=False)
    work: int = field(init=False)

    def __post_init__(self) -> None:
        """Keep what does not change."""
        object.__setattr__(self, "light", all(condition.light for condition in self.conditions))
        object.__setattr__(self, "limits", limits_of(self))
        object.__setattr__(self, "work", weight_of(self))

    def covers(self, resource: Resource) -> bool:
        """Tell whether one of the rule's resources covers this one."""
        for entry in self.resources:
            if entry.type == resource.type and (
                entry.whole or entry.covers(resource, absent_matches=self.effect is not _ALLOW)
            ):
                return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledCeiling(ActionPart, ResourcePart, ConditionPart):
    """One thing that may be done on somebody's behalf."""

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
    reads them. `histories`: what is counted, in order of name. `session`: the member that states a session; None: none.
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
    histories: tuple[CompiledHistory, ...] = ()
    session: Path | None = None

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
    denies no call.
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
