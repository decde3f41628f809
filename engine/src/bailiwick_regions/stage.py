"""The stage: an endpoint with only a few rules, on which the engine decides for the walk.

Holds: only the rules that are compared let calls through on it. If a party acts for others, its own hop is free, so
that only the rules for the others decide.
"""

from collections.abc import Iterable
from typing import Final

from bailiwick_engine.call import Party, PodWorkload, ServiceAccount
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.keys import CLUSTER, Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import (
    CompiledCeiling,
    CompiledDelegation,
    CompiledPolicy,
    CompiledResource,
    CompiledRule,
    CompiledSettings,
    Effect,
    PolicyRef,
)
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey, Snapshot

_ENFORCER: Final = "system:serviceaccount:~:~enforcer"
ACTOR: Final = Party("serviceAccount", "system:serviceaccount:~:~actor", "~")
CALLER: Final = ServiceAccount(_ENFORCER, "~")


def snapshot_of(key: EndpointKey, rules: list[CompiledRule], party: Party, every: CompiledCeiling | None) -> Snapshot:
    """Return an endpoint with only these rules. With `every`, others may do that on this party's behalf."""
    ref = PolicyRef(key[0], "~", "~", 0)
    delegation = None
    if every is not None:
        delegation = CompiledDelegation(1, party.keys, (every,), entitled=False, scope=Scope.of(()))
        # The rule that lets the acting party through: its hop is not evaluated here.
        rules = [*rules, unconditional(ref, Effect.ALLOW, ACTOR.keys, every.actions, every.resources)]
    settings = CompiledSettings(
        ref,
        frozenset((_ENFORCER,)),
        frozenset(),
        asserted=False,
        issuers=frozenset((CLUSTER,)),
        delegation=delegation,
    )
    policy = CompiledPolicy(ref, key[1], "", settings, tuple(rules))
    return Snapshot({key: CompiledEndpoint.of([policy], [])})


def everything(rules: Iterable[CompiledRule]) -> CompiledCeiling:
    """Return every action on every resource of the types that these rules name."""
    kinds = sorted({entry.type for rule in rules for entry in rule.resources})
    every = NameSet.of(("*",))
    resources = tuple(CompiledResource(kind, every, {}) for kind in kinds)
    return CompiledCeiling(actions=every, resources=resources)


def calling_from(party: Party, workload: PodWorkload | None) -> Party:
    """Return a party as it calls from this workload. `workload` None: it is not known."""
    if workload is None:
        return party
    return Party(party.type, party.id, party.uid, issuer=party.issuer, groups=party.groups, workload=workload)


def unconditional(
    ref: PolicyRef, effect: Effect, subjects: frozenset[Key], actions: NameSet, resources: tuple[CompiledResource, ...]
) -> CompiledRule:
    """Return a rule that no policy has: for these calls, regardless of their other parts."""
    return CompiledRule(
        policy=ref,
        policy_digest="",
        name="~",
        effect=effect,
        subjects=subjects,
        actions=actions,
        resources=resources,
        scope=Scope.of(()),
    )
