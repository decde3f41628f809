"""Reach: which rules can never decide, because another rule always decides before them, or has no possible subject.

Holds: pure, and by what rules list: said only where it holds of every call. What depends on a condition, a workload, an
intent or a property of the other rule is never said.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from bailiwick_engine.keys import label
from bailiwick_engine.policy.model import CompiledResource, CompiledRule, CompiledSettings, Effect
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_regions.parties import provable

_STRICTNESS: Final = (Effect.ALLOW, Effect.REQUIRE_APPROVAL, Effect.DENY)


def unreachable(rules: Sequence[CompiledRule]) -> Iterator[tuple[CompiledRule, str]]:
    """Yield each rule of one endpoint that can never decide, and why. Audit mode decides nothing, and hides nothing."""
    enforced = [rule for rule in rules if not rule.audit]
    certain = [(place, rule) for place, rule in enumerate(enforced) if _always(rule)]
    for place, rule in enumerate(enforced):
        for other_place, other in certain:
            if other is not rule and _before(other, rule, earlier=other_place < place) and _covers(other, rule):
                yield rule, _sentence(rule, other)
                break


def unproven(endpoint: CompiledEndpoint) -> Iterator[tuple[CompiledRule, str]]:
    """Yield each rule that names subjects who can never be proven at its endpoint, and who they are.

    Where somebody may act for another, nothing is said: an issuer also speaks of actors who could prove nothing here by
    themselves. Nor is it of Audit mode, of which the settings may be others.
    """
    settings = endpoint.settings
    if settings is None or settings.delegation is not None:
        return
    for rule in endpoint.enforced:
        unprovable = [label(key) for key in sorted(rule.subjects) if not provable(settings, key)]
        if unprovable:
            yield rule, f"rule {rule.name} can never be about {', '.join(unprovable)}: {_accepted_subjects(settings)}"


def _accepted_subjects(settings: CompiledSettings) -> str:
    if settings.asserted:
        return "the endpoint takes the enforcer's word, which names entities and service accounts"
    return f"the endpoint accepts subjects of {', '.join(sorted(settings.issuers)) or 'no issuer'}"


def _before(other: CompiledRule, rule: CompiledRule, *, earlier: bool) -> bool:
    """Tell whether the other rule decides what both speak of. Of two Allow rules that are equal the earlier does."""
    if other.effect is not rule.effect:
        return _STRICTNESS.index(other.effect) > _STRICTNESS.index(rule.effect)
    return rule.effect is Effect.ALLOW and (earlier or not (_always(rule) and _covers(rule, other)))


def _always(rule: CompiledRule) -> bool:
    """Tell whether a rule takes every call of what it lists, at any time."""
    # A gate that a limit keeps from holding is shut.
    unlimited = not rule.limits or rule.effect is not Effect.ALLOW
    return unlimited and not rule.conditions and not rule.workloads


def _covers(other: CompiledRule, rule: CompiledRule) -> bool:
    return (
        other.subjects >= rule.subjects
        and other.actions.covers(rule.actions)
        and all(any(_is_within(entry, wider) for wider in other.resources) for entry in rule.resources)
    )


def _is_within(entry: CompiledResource, wider: CompiledResource) -> bool:
    return wider.type == entry.type and wider.ids.covers(entry.ids) and not wider.properties


def _sentence(rule: CompiledRule, other: CompiledRule) -> str:
    by = f"{other.policy.name}/{other.name}"
    if other.effect is Effect.ALLOW:
        return f"rule {rule.name} is not needed: {by} allows every call that it allows"
    what = "denies" if other.effect is Effect.DENY else "requires an approval for"
    return f"rule {rule.name} never decides: {by} {what} every call that it covers"
