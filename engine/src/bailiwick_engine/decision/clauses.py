"""Clauses: one rule held against one call, clause by clause, for an explanation.

Holds: every clause is answered by what matching itself asks (`CompiledRule`, `CompiledResource`, `Scope`), never by a
second encoding; a rule applies exactly if all its clauses are met; nothing of the call but its outcome is in a clause.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from bailiwick_engine import keys
from bailiwick_engine.call import Call, Party, Resource
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import CompiledCeiling, CompiledCondition, CompiledResource, CompiledRule, Effect
from bailiwick_engine.truth import Truth

_SHOWN: Final = 8


class ClauseKind(StrEnum):
    """What a clause is about."""

    SUBJECT = "subject"
    WORKLOAD = "workload"
    ACTION = "action"
    RESOURCE_TYPE = "resource.type"
    RESOURCE_ID = "resource.id"
    PROPERTY = "resource.properties"
    INTENT = "intent"
    EXPIRY = "expiry"
    SUSPENSION = "suspension"
    CONDITION = "condition"


class Clause(NamedTuple):
    """`met`: it stands in the way of nothing, as the rule's effect takes what is unknown.

    A workload or a condition that is unknown stands in the way of all but a Deny, a property of an Allow alone.

    `name` is the property's or the condition's. `wanted` is what the policy says, at most the first few names of it.
    """

    kind: ClauseKind
    held: Truth
    met: bool
    wanted: tuple[str, ...]
    name: str | None = None
    message: str | None = None


def unmet(clauses: Iterable[Clause]) -> tuple[Clause, ...]:
    """Return those that stand in the way."""
    return tuple(clause for clause in clauses if not clause.met)


def fixed(rule: CompiledRule, call: Call, party: Party, now: float) -> Iterator[Clause]:
    """Yield every clause of a rule but its conditions: they cost little and bound from below what a rule lacks."""
    certain = rule.effect is Effect.ALLOW
    named = not party.keys.isdisjoint(rule.subjects)
    yield Clause(ClauseKind.SUBJECT, named, named, _some(keys.label(key) for key in sorted(rule.subjects)))
    if named and not rule.workloads.keys().isdisjoint(party.keys):
        held = rule.names(party)
        yield _clause(ClauseKind.WORKLOAD, held, _images(rule, party), certain=rule.effect is not Effect.DENY)
    yield from place(rule.actions, rule.resources, call, certain=certain)
    if rule.intents is not None:
        accepted = rule.accepts(call.intent)
        yield Clause(ClauseKind.INTENT, accepted, accepted, _some(sorted(rule.intents)))
    if rule.expires is not None:
        over = rule.over(now)
        yield Clause(ClauseKind.EXPIRY, not over, not over, ())
    if rule.suspended:
        yield Clause(ClauseKind.SUSPENSION, held=False, met=False, wanted=())


def place(
    actions: NameSet, resources: tuple[CompiledResource, ...], call: Call, *, certain: bool
) -> tuple[Clause, ...]:
    """Return the clauses of the action and of that one of the resources which comes nearest."""
    held = call.action.name in actions
    action = Clause(ClauseKind.ACTION, held, held, _names(actions))
    nearest = min(
        (tuple(_resource(entry, call.resource, certain=certain)) for entry in resources),
        key=lambda clauses: len(unmet(clauses)),
        default=(),
    )
    return (action, *nearest)


def conditions(conditions: Iterable[CompiledCondition], values: Inputs, *, certain: bool) -> Iterator[Clause]:
    """Yield the clause of each condition. `certain`: what is unknown is not met, as for all but a Deny."""
    for condition in conditions:
        held = condition.outcome(values)
        yield _clause(
            ClauseKind.CONDITION, held, (condition.expression.text,), condition.name, condition.message, certain=certain
        )


def of_rule(rule: CompiledRule, cheap: Iterable[Clause], values: Inputs) -> tuple[Clause, ...]:
    """Return all clauses of a rule, given those of `fixed`."""
    return (*cheap, *conditions(rule.conditions, values, certain=rule.effect is not Effect.DENY))


def of_ceiling(entry: CompiledCeiling, call: Call, values: Inputs) -> tuple[Clause, ...]:
    """Return all clauses of a ceiling's entry, which is taken as an Allow is."""
    return (
        *place(entry.actions, entry.resources, call, certain=True),
        *conditions(entry.conditions, values, certain=True),
    )


def _resource(entry: CompiledResource, resource: Resource, *, certain: bool) -> Iterator[Clause]:
    same, listed = resource.type == entry.type, resource.id in entry.ids
    yield Clause(ClauseKind.RESOURCE_TYPE, same, same, (entry.type,))
    yield Clause(ClauseKind.RESOURCE_ID, listed, listed, _names(entry.ids))
    for name, allowed in sorted(entry.properties.items()):
        yield _clause(
            ClauseKind.PROPERTY, entry.property_held(name, resource), _some(sorted(allowed)), name, certain=certain
        )


def _clause(
    kind: ClauseKind,
    held: Truth,
    wanted: tuple[str, ...],
    name: str | None = None,
    message: str | None = None,
    *,
    certain: bool,
) -> Clause:
    return Clause(kind, held, held is True if certain else held is not False, wanted, name, message)


def _images(rule: CompiledRule, party: Party) -> tuple[str, ...]:
    asked = [requirement for key in party.keys for requirement in rule.workloads.get(key, ())]
    images = sorted({image for requirement in asked for image in requirement.images or ()})
    labels = sorted({f"{name}={value}" for requirement in asked for name, value in requirement.labels})
    return _some((*images, *labels))


def _names(names: NameSet) -> tuple[str, ...]:
    everything = ("*",) if names.everything else ()
    return _some((*everything, *(f"{prefix}*" for prefix in names.prefixes), *sorted(names.exact)))


def _some(texts: Iterable[str]) -> tuple[str, ...]:
    listed = tuple(texts)
    return listed if len(listed) <= _SHOWN else (*listed[:_SHOWN], "…")
