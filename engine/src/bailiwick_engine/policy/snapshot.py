"""Snapshot: every policy, compiled and indexed by endpoint. Immutable; the store replaces it as a whole.

Holds: an endpoint's answers depend on all of its policies except candidates, and on nothing else; a broken policy
denies only its subjects.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Self

from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.call import Party, Resource
from bailiwick_engine.cel.data import Data
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_engine.policy.index import RuleIndex, frozen
from bailiwick_engine.policy.model import (
    BrokenPolicy,
    CompiledCeiling,
    CompiledPolicy,
    CompiledRule,
    CompiledSettings,
    PolicyRef,
)
from bailiwick_engine.policy.replacements import Replacement, replacements
from bailiwick_engine.policy.shadows import overlaid, standing_rules
from bailiwick_engine.reasons import Reason
from bailiwick_engine.steps import Steps, whole

_NOBODY: Final[Mapping[Key, PolicyRef]] = {}
"""One for all endpoints, so that it is in some cache whenever one is asked."""
EndpointKey = tuple[str, str]
Policy = CompiledPolicy | BrokenPolicy


@dataclass(frozen=True, slots=True, weakref_slot=True)
class CompiledEndpoint:
    """One endpoint: its settings and its rules, indexed by subject and by action.

    `settings` None: no policy has them, or more than one of the `carriers` does (`conflicted`); either way the
    endpoint denies, and `enforcers` are those of every carrier, so that they get that answer. `broken` are the policies
    that deny a subject. `rules` are all of them, in order of place, `enforced` those not of Audit-mode policies.
    `exact` and `patterns` are for questions about no particular subject. `workload_keys`: whose workload any rule
    asks for. `gates`: by rule, its gate with the digest of grants, which takes long to make (see `gate`). `reads` are
    the objects of data that its policies name, `data` those of them that there are. `shadows`: the same once more for
    each candidate, which is part of nothing else here. `closed`: why it denies everybody; None: it does not. `audits`:
    some rules are of Audit-mode policies. `histories` are those of its settings, `counts_denied`:
    one of them counts denied calls.
    """

    settings: CompiledSettings | None
    enforcers: frozenset[str]
    carriers: tuple[PolicyRef, ...]
    conflicted: bool
    denied_whole: PolicyRef | None
    broken: Mapping[Key, PolicyRef]
    exact: Mapping[str, tuple[CompiledRule, ...]]
    patterns: tuple[CompiledRule, ...]
    rules: tuple[CompiledRule, ...]
    enforced: tuple[CompiledRule, ...]
    named_subjects: AbstractSet[Key]
    workload_keys: AbstractSet[Key]
    index: RuleIndex
    gates: Mapping[CompiledRule, Gate] = field(default_factory=dict)
    reads: frozenset[str] = frozenset()
    data: Data = field(default_factory=dict)
    shadows: "tuple[ShadowEndpoint, ...]" = ()
    closed: Reason | None = field(init=False)
    audits: bool = field(init=False)
    histories: tuple[CompiledHistory, ...] = field(init=False)
    counts_denied: bool = field(init=False)

    def __post_init__(self) -> None:
        """Compute once what every decision needs, so that decisions do not read the underlying, uncached members."""
        closed = Reason.ENDPOINT_UNCONFIGURED if self.settings is None else None
        if self.conflicted or self.denied_whole is not None:
            closed = Reason.POLICY_INVALID
        object.__setattr__(self, "closed", closed)
        object.__setattr__(self, "audits", self.enforced is not self.rules)
        object.__setattr__(self, "histories", () if self.settings is None else self.settings.histories)
        object.__setattr__(self, "counts_denied", any(one.counts_denied for one in self.histories))

    @classmethod
    def of(cls, policies: Iterable[CompiledPolicy], broken: Iterable[BrokenPolicy]) -> Self:
        """Build the endpoint from its policies, compiled and broken ones; no other policy matters to it."""
        return whole(cls.steps(policies, broken))

    @classmethod
    def steps(cls, policies: Iterable[CompiledPolicy], broken: Iterable[BrokenPolicy]) -> Steps[Self]:
        """Build it in steps, each of a rule or of some hundred names: an endpoint may have thousands of policies."""
        # In order of name, so that messages about several policies depend on nothing else.
        known: list[Policy] = sorted((*policies, *broken), key=lambda policy: policy.ref.name)
        yield
        live = [policy for policy in known if policy.replaces is None]
        rules = yield from _in_order([policy for policy in live if isinstance(policy, CompiledPolicy)])
        enforced = tuple(rule for rule in rules if not rule.audit)
        exact, patterns = yield from _by_action(rules)
        standing = yield from _standing(live)
        named, asking = set[Key](), set[Key]()
        gates: dict[CompiledRule, Gate] = {}
        for rule in rules:
            asking.update(rule.workloads)
            if not rule.audit:
                named |= rule.subjects
                if rule.gate is not None and standing.settings is not None:
                    gates[rule] = standing.settings.gate(rule.gate, rule.actions)
            yield
        index = yield from RuleIndex.steps(rules)
        made = cls(
            *standing,
            exact=exact,
            patterns=patterns,
            rules=rules,
            enforced=rules if len(enforced) == len(rules) else enforced,
            named_subjects=named,
            workload_keys=asking,
            index=index,
            gates=gates,
            reads=_reads(live),
        )
        return made if len(live) == len(known) else replace(made, shadows=(yield from _shadows(made, live, known)))

    @property
    def ceiling(self) -> tuple[CompiledCeiling, ...]:
        """The limit of calls on behalf of others; empty if no party may make any."""
        delegation = self.settings.delegation if self.settings else None
        return () if delegation is None else delegation.ceiling

    @property
    def data_names(self) -> frozenset[str]:
        """The objects of data that its policies name, candidates among them."""
        return self.reads.union(*(shadow.endpoint.reads for shadow in self.shadows)) if self.shadows else self.reads

    def with_data(self, data: Data) -> Self:
        """Return the endpoint with these objects of its namespace; those that it does not read are left out."""
        found = {name: data[name] for name in self.reads if name in data}
        shadows = tuple(replace(shadow, endpoint=shadow.endpoint.with_data(data)) for shadow in self.shadows)
        return replace(self, data=found, shadows=shadows)

    def speaking_of(self, action: str) -> Iterator[CompiledRule]:
        """Yield the rules whose actions include this one, for any subject, each once."""
        yield from self.exact.get(action, ())
        for rule in self.patterns:
            if action not in rule.actions.exact and action in rule.actions:
                yield rule

    def gate(self, rule: CompiledRule, gate: Gate) -> Gate:
        """Return the gate of a rule as it is under these settings, with the digest of grants.

        A shadow makes it each time: its candidate may carry settings, under which every gate is another. Without
        settings, of which `decide` lets nothing through, a gate has a digest that no grant has.
        """
        made = self.gates.get(rule)
        if made is None:
            made = gate if self.settings is None else self.settings.gate(gate, rule.actions)
        return made

    def asks_workload(self, action: str, resource: Resource, party: Party) -> bool:
        """Tell whether a rule that may apply to this call depends on the workload of the party."""
        keys = party.keys
        return not keys.isdisjoint(self.workload_keys) and any(
            not keys.isdisjoint(rule.workloads) and rule.covers(resource)
            for rule in self.index.speaking_of(keys, action)
        )


@dataclass(frozen=True, slots=True)
class ShadowEndpoint:
    """An endpoint as it would be with a candidate, of this digest, in place of the policy `replaced`.

    Its `endpoint` is only for `decide`, which looks rules up in the index: it lists none, and names no subjects. So a
    caller that the candidate no longer has as an enforcer is unknown to it.
    """

    candidate: PolicyRef
    digest: str
    replaced: str
    endpoint: CompiledEndpoint


class _Standing(NamedTuple):
    """What depends on an endpoint's policies as wholes: the first members of `CompiledEndpoint`, in its order."""

    settings: CompiledSettings | None
    enforcers: frozenset[str]
    carriers: tuple[PolicyRef, ...]
    conflicted: bool
    denied_whole: PolicyRef | None
    broken: Mapping[Key, PolicyRef]


def _standing(policies: Sequence[Policy]) -> Steps[_Standing]:
    """Return who carries settings, and whom broken policies deny. `policies` are in order of name."""
    broken = [policy for policy in policies if isinstance(policy, BrokenPolicy)]
    carriers = [policy.settings for policy in policies if isinstance(policy, CompiledPolicy) and policy.settings]
    carriers += [policy.settings for policy in broken if policy.settings is not None]
    unread = [policy.ref for policy in broken if policy.carries_settings and policy.settings is None]
    denying = [policy for policy in broken if not policy.audit]
    unnamed = unread + [policy.ref for policy in denying if policy.subjects is None]
    denied: dict[Key, PolicyRef] = {}
    for policy in denying:
        denied.update(dict.fromkeys(sorted(policy.subjects or ()), policy.ref))
        yield
    return _Standing(
        settings=carriers[0] if len(carriers) + len(unread) == 1 and carriers else None,
        enforcers=frozenset(name for settings in carriers for name in settings.enforcers),
        carriers=(*(settings.carrier for settings in carriers), *unread),
        conflicted=len(carriers) + len(unread) > 1,
        denied_whole=min(unnamed, key=lambda ref: ref.name) if unnamed else None,
        broken=denied or _NOBODY,
    )


def _reads(policies: Iterable[Policy]) -> frozenset[str]:
    return frozenset(name for policy in policies for name in policy.data)


def _shadows(
    made: CompiledEndpoint, live: Sequence[Policy], known: Sequence[Policy]
) -> Steps[tuple[ShadowEndpoint, ...]]:
    """Return what an endpoint would be with each of its candidates in place of the policy that it replaces."""
    by_name = {policy.ref.name: policy for policy in live}
    candidates = {policy.ref.name: policy.replaces for policy in known if policy.replaces is not None}
    standings = replacements(candidates, by_name.keys())
    found: list[ShadowEndpoint] = []
    for candidate in known:
        if standings.get(candidate.ref.name) is not Replacement.IN_PLACE or not isinstance(candidate, CompiledPolicy):
            continue
        replaced = by_name[candidates[candidate.ref.name]]
        policies = [*(policy for policy in live if policy is not replaced), candidate]
        standing = yield from _standing(policies)
        rules = standing_rules(candidate, replaced.ref)
        asking = frozenset[Key]().union(*(rule.workloads for rule in rules))
        endpoint = replace(
            made,
            **standing._asdict(),
            exact={},
            patterns=(),
            rules=(),
            enforced=(),
            named_subjects=frozenset(),
            workload_keys=made.workload_keys | asking if asking else made.workload_keys,
            index=(yield from overlaid(made.index, replaced.ref.name, rules)),
            gates={},
            reads=_reads(policies),
        )
        found.append(ShadowEndpoint(candidate.ref, candidate.digest, replaced.ref.name, endpoint))
    return tuple(found)


def home(policy: CompiledPolicy | BrokenPolicy) -> EndpointKey | None:
    """Return the endpoint that a policy speaks for; None where that cannot be read."""
    return None if policy.endpoint is None else (policy.ref.namespace, policy.endpoint)


def endpoint_of(policies: Iterable[CompiledPolicy | BrokenPolicy]) -> CompiledEndpoint:
    """Build one endpoint from all policies that have it as their `home`, so that a store can rebuild just that one."""
    return whole(endpoint_steps(policies))


def endpoint_steps(policies: Iterable[CompiledPolicy | BrokenPolicy]) -> Steps[CompiledEndpoint]:
    """Build it likewise, in steps (see `CompiledEndpoint.steps`)."""
    sound: list[CompiledPolicy] = []
    broken: list[BrokenPolicy] = []
    for policy in policies:
        if isinstance(policy, CompiledPolicy):
            sound.append(policy)
        else:
            broken.append(policy)
    return (yield from CompiledEndpoint.steps(sound, broken))


def _in_order(policies: Sequence[CompiledPolicy]) -> Steps[tuple[CompiledRule, ...]]:
    """Return all rules in order of place, from policies in order. A single sort of all of them could not be paused."""
    rules: list[CompiledRule] = []
    for policy in policies:
        rules += sorted(policy.rules, key=lambda rule: rule.name)
        yield
    return tuple(rules)


def _by_action(
    rules: Iterable[CompiledRule],
) -> Steps[tuple[Mapping[str, tuple[CompiledRule, ...]], tuple[CompiledRule, ...]]]:
    """Return the rules by each action that they name, and those that name patterns."""
    exact: dict[str, list[CompiledRule]] = {}
    patterns: list[CompiledRule] = []
    for rule in rules:
        for action in rule.actions.exact:
            exact.setdefault(action, []).append(rule)
        if rule.actions.everything or rule.actions.prefixes:
            patterns.append(rule)
        yield
    return (yield from frozen(exact)), tuple(patterns)


def denies_namespace(policy: CompiledPolicy | BrokenPolicy) -> bool:
    """Tell whether a policy denies its whole namespace, because its endpoint is unknown.

    It does not in Audit mode, which is never part of an answer, unless the policy has an endpoint's settings. The
    settings of a candidate never count.
    """
    if not isinstance(policy, BrokenPolicy) or policy.endpoint is not None or policy.replaces is not None:
        return False
    return policy.carries_settings or not policy.audit


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All endpoints. `revision` names the state of the store that it was made from."""

    endpoints: Mapping[EndpointKey, CompiledEndpoint]
    revision: str = ""
    unreadable: Mapping[str, PolicyRef] = field(default_factory=dict)

    @classmethod
    def of(cls, policies: Iterable[CompiledPolicy | BrokenPolicy], revision: str = "") -> Self:
        """Index compiled policies. One whose endpoint cannot be read may deny its namespace (`denies_namespace`)."""
        return whole(cls.steps(policies, revision))

    @classmethod
    def steps(cls, policies: Iterable[CompiledPolicy | BrokenPolicy], revision: str = "") -> Steps[Self]:
        """Index them in steps (see `CompiledEndpoint.steps`)."""
        homes: dict[EndpointKey, list[CompiledPolicy | BrokenPolicy]] = {}
        unreadable: dict[str, PolicyRef] = {}
        for policy in policies:
            if (key := home(policy)) is not None:
                homes.setdefault(key, []).append(policy)
            elif denies_namespace(policy):
                unreadable[policy.ref.namespace] = policy.ref
        endpoints: dict[EndpointKey, CompiledEndpoint] = {}
        for key, found in homes.items():
            endpoints[key] = yield from endpoint_steps(found)
        return cls(endpoints, revision, unreadable)
