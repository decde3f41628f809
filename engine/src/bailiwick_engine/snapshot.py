"""Snapshot: every policy compiled and indexed by endpoint. Immutable; the store swaps it whole.

Holds: an endpoint's answers depend on all its policies and nothing else; a broken policy denies only its subjects.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from bailiwick_engine.call import Resource, Subject
from bailiwick_engine.compiled import BrokenPolicy, CompiledPolicy, CompiledRule, CompiledSettings, PolicyRef
from bailiwick_engine.keys import Key

EndpointKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CompiledEndpoint:
    """One endpoint: its settings and its rules, indexed by action.

    `settings` None: nobody carries them, or more than one does (`conflicted`); either way the endpoint denies, and
    `enforcers` are those of every carrier, so that they are told so. `broken` are the policies that deny a subject.
    `rules` are all of them, in order of place.
    """

    settings: CompiledSettings | None
    enforcers: frozenset[str]
    conflicted: bool
    denied_whole: PolicyRef | None
    broken: Mapping[Key, PolicyRef]
    exact: Mapping[str, tuple[CompiledRule, ...]]
    patterns: tuple[CompiledRule, ...]
    rules: tuple[CompiledRule, ...]
    named_subjects: frozenset[Key]

    @classmethod
    def of(cls, policies: Iterable[CompiledPolicy], broken: Iterable[BrokenPolicy]) -> Self:
        """Build the endpoint from its policies, compiled and broken ones."""
        policies, broken = tuple(policies), tuple(broken)
        carriers = [policy.settings for policy in policies if policy.settings is not None]
        carriers += [policy.settings for policy in broken if policy.settings is not None]
        unread = [policy.ref for policy in broken if policy.carries_settings and policy.settings is None]
        exact: dict[str, list[CompiledRule]] = {}
        patterns: list[CompiledRule] = []
        rules = tuple(sorted((rule for policy in policies for rule in policy.rules), key=lambda rule: rule.place))
        for rule in rules:
            for action in rule.actions.exact:
                exact.setdefault(action, []).append(rule)
            if rule.actions.everything or rule.actions.prefixes:
                patterns.append(rule)
        denying = [policy for policy in broken if not policy.audit]
        whole = unread + [policy.ref for policy in denying if policy.subjects is None]
        return cls(
            settings=carriers[0] if len(carriers) + len(unread) == 1 and carriers else None,
            enforcers=frozenset(name for settings in carriers for name in settings.enforcers),
            conflicted=len(carriers) + len(unread) > 1,
            denied_whole=min(whole, key=lambda ref: ref.name) if whole else None,
            broken={name: policy.ref for policy in denying for name in sorted(policy.subjects or ())},
            exact={action: tuple(rules) for action, rules in exact.items()},
            patterns=tuple(patterns),
            rules=rules,
            named_subjects=frozenset(name for rule in rules if not rule.audit for name in rule.subjects),
        )

    def speaking_of(self, action: str) -> Iterator[CompiledRule]:
        """Yield the rules whose actions hold this one, each once."""
        found = self.exact.get(action, ())
        yield from found
        for rule in self.patterns:
            if action in rule.actions and rule not in found:
                yield rule

    def asks_workload(self, action: str, resource: Resource, party: Subject) -> bool:
        """Tell whether a rule that may speak of this call hangs on the workload that the party calls from."""
        keys = party.keys
        return any(
            rule.workloads and not keys.isdisjoint(rule.workloads) and rule.covers(resource)
            for rule in self.speaking_of(action)
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All endpoints. `revision` names the state of the store that it was made from."""

    endpoints: Mapping[EndpointKey, CompiledEndpoint]
    revision: str = ""
    unreadable: Mapping[str, PolicyRef] = field(default_factory=dict)

    @classmethod
    def of(cls, policies: Iterable[CompiledPolicy | BrokenPolicy], revision: str = "") -> Self:
        """Index compiled policies. A policy whose endpoint cannot be read denies its whole namespace.

        Not so in Audit mode, which is never part of an answer, unless the policy carries some endpoint's settings.
        """
        sound: dict[EndpointKey, list[CompiledPolicy]] = {}
        broken: dict[EndpointKey, list[BrokenPolicy]] = {}
        unreadable: dict[str, PolicyRef] = {}
        for policy in policies:
            if isinstance(policy, CompiledPolicy):
                sound.setdefault((policy.ref.namespace, policy.endpoint), []).append(policy)
            elif policy.endpoint is None:
                if policy.carries_settings or not policy.audit:
                    unreadable[policy.ref.namespace] = policy.ref
            else:
                broken.setdefault((policy.ref.namespace, policy.endpoint), []).append(policy)
        return cls(
            endpoints={
                key: CompiledEndpoint.of(sound.get(key, ()), broken.get(key, ()))
                for key in sound.keys() | broken.keys()
            },
            revision=revision,
            unreadable=unreadable,
        )
