"""Shadows: an endpoint with a candidate in place of the policy that it replaces, for a second decision.

Standing: over `index`, under `snapshot`, which builds an endpoint with its shadows. Holds: a candidate is not a part of
the endpoint that answers. Its shadow needs memory only for its own rules, since all others are shared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bailiwick_engine.approval.gates import in_place_of
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.index import RuleIndex
from bailiwick_engine.policy.model import CompiledPolicy, CompiledRule, PolicyRef
from bailiwick_engine.steps import Steps


@dataclass(frozen=True, slots=True)
class OverlaidIndex(RuleIndex):
    """The rules of a candidate, and those of `base` except for the policy `without`.

    `laden` also counts the rules that are left out, so it may report the limit of a decision slightly early.
    """

    base: RuleIndex
    without: str

    def speaking_of(self, keys: frozenset[Key], action: str) -> Sequence[CompiledRule]:
        """Return the rules that name one of these keys and this action, each once."""
        kept = [rule for rule in self.base.speaking_of(keys, action) if rule.policy.name != self.without]
        return (*kept, *RuleIndex.speaking_of(self, keys, action))


def standing_rules(candidate: CompiledPolicy, replaced: PolicyRef) -> tuple[CompiledRule, ...]:
    """Return a candidate's rules as they would stand in place of the replaced policy: enforced, by the same grants."""
    return tuple(
        replace(
            rule,
            audit=False,
            gate=None if rule.gate is None else in_place_of(rule.gate, replaced.name, replaced.uid),
        )
        for rule in sorted(candidate.rules, key=lambda rule: rule.name)
    )


def overlaid(base: RuleIndex, without: str, rules: Sequence[CompiledRule]) -> Steps[OverlaidIndex]:
    """Return the index of all rules of `base` but those of one policy, and of these."""
    made = yield from RuleIndex.steps(rules)
    laden = base.laden
    if made.laden:
        laden = {key: base.laden.get(key, 0) + made.laden.get(key, 0) for key in base.laden.keys() | made.laden.keys()}
    return OverlaidIndex(made.exact, made.tried, laden, base, without)
