"""Reach: which rules can never decide, because another rule always decides before them.

Holds: pure, and by what rules list: said only where it holds of every call. What hangs on a condition, a workload, an
intent or a property of the other rule is never said.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from bailiwick_engine.policy.model import CompiledResource, CompiledRule, Effect

_STRICTNESS: Final = (Effect.ALLOW, Effect.REQUIRE_APPROVAL, Effect.DENY)


def unreachable(rules: Sequence[CompiledRule]) -> Iterator[tuple[CompiledRule, str]]:
    """Yield each rule of one endpoint that can never decide, and why. Audit mode decides nothing, and hides nothing."""
    enforced = [rule for rule in rules if not rule.audit]
    certain = [(place, rule) for place, rule in enumerate(enforced) if _always(rule)]
    for place, rule in enumerate(enforced):
        for other_place, other in certain:
            if other is not rule and _before(other, rule, earlier=other_place < place) and _covers(other, rule):
                yield rule, _told(rule, other)
                break


def _before(other: CompiledRule, rule: CompiledRule, *, earlier: bool) -> bool:
    """Tell whether the other rule decides what both speak of. Of two Allow rules that are equal the earlier does."""
    if other.effect is not rule.effect:
        return _STRICTNESS.index(other.effect) > _STRICTNESS.index(rule.effect)
    return rule.effect is Effect.ALLOW and (earlier or not (_always(rule) and _covers(rule, other)))


def _always(rule: CompiledRule) -> bool:
    """Tell whether a rule takes every call of what it lists, at any time."""
    plain = not rule.conditions and not rule.workloads and rule.intents is None
    if rule.effect is Effect.ALLOW:
        return plain and rule.expires is None and not rule.suspended
    # A gate that is over, off or asked for another purpose keeps shut.
    return not rule.conditions and not rule.workloads


def _covers(other: CompiledRule, rule: CompiledRule) -> bool:
    return (
        other.subjects >= rule.subjects
        and other.actions.covers(rule.actions)
        and all(any(_within(entry, wider) for wider in other.resources) for entry in rule.resources)
    )


def _within(entry: CompiledResource, wider: CompiledResource) -> bool:
    return wider.type == entry.type and wider.ids.covers(entry.ids) and not wider.properties


def _told(rule: CompiledRule, other: CompiledRule) -> str:
    by = f"{other.policy.name}/{other.name}"
    if other.effect is Effect.ALLOW:
        return f"rule {rule.name} is not needed: {by} allows every call that it allows"
    what = "denies" if other.effect is Effect.DENY else "requires an approval for"
    return f"rule {rule.name} never decides: {by} {what} every call that it covers"
