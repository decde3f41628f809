"""Chain gates: what stands before a call that somebody makes for somebody else, where the gates of each stay as strong.

Standing: under the walk, which compares one party at a time. Holds: a rule that stands before several parties of a call
is met once, and no grant meets more than some rules. So all gates of a call together may ask for less than before. Nor
does a grant meet gates that are all bound to a scope of which the call lacks a part, unless another one is beside them.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from bailiwick_engine.approval.gates import Gate, unmeetable
from bailiwick_engine.approval.grants import scope_of
from bailiwick_engine.approval.strength import SAME, STRONGER, compare_gates, meaning
from bailiwick_engine.call import Call, Party
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.dimensions.table import reads_of
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_regions.sides import WalkSide

_AS_MUCH: Final = frozenset({SAME, STRONGER})
# Of so many parties, rules that ask any two for as much as before ask all for as much. Of five, four rules can stand
# before each pair as two rules did, and before all of them where five did.
_COMPARED_BY_PAIRS: Final = 3


class ChainGates:
    """The gates of one endpoint. `added`: the rules that only the head has."""

    def __init__(self, base: WalkSide, head: WalkSide, added: Iterable[CompiledRule]) -> None:
        self._base = base
        self._rules = tuple({rule.place: rule for rule in side.rules if rule.gate is not None} for side in (base, head))
        self._added = frozenset(rule.place for rule in added if rule.gate is not None)
        self._acting = _acting(base, head)
        self._longest = _longest(base, head)

    def weaker(self, call: Call, base: Gate | None, head: Gate | None) -> str:
        """Return why all gates of a call may ask for less, where those of its subject do not; empty if they do not."""
        if head is None or not isinstance(call.subject, Party):
            return ""
        own = call.subject.keys
        if not head.scope and self._may_lack_a_scope(call, own, base):
            return "a call without its whole scope"
        if self._acting is None or base is None:
            return ""
        crowded = self._may_be_too_many(call)
        if crowded and len(head.rules) < len(base.rules):
            return "fewer rules"
        before, after = (
            [rules[place] for one in gate.rules if (place := (one.policy, one.rule)) in rules]
            for gate, rules in zip((base, head), self._rules, strict=True)
        )
        if self._added.isdisjoint(rule.place for rule in after) or _is_each_kept(before, after):
            return ""
        others = [
            frozenset((key,))
            for key in frozenset[Key]().union(*(rule.subjects for rule in after)) - own
            if self._may_act(own, (key,))
        ]
        if self._longest > _COMPARED_BY_PAIRS and others:
            others.append(frozenset[Key]().union(*others))
        for keys in others:
            if not _is_met_apart(keys, base, before, head, after):
                return "a rule before several parties"
            # Fewer before both together, although not before either.
            alone = sum(not _stands_before(keys, rule) for rule in before)
            if crowded and sum(keys.isdisjoint(rule.subjects) for rule in after) < alone:
                return "fewer rules"
        return ""

    def _may_act(self, own: Iterable[Key], others: Iterable[Key]) -> bool:
        """Tell whether who has these keys may be in one chain with who has one of the others."""
        return self._acting is not None and any(map(self._acting, (*own, *others)))

    def _may_lack_a_scope(self, call: Call, own: frozenset[Key], base: Gate | None) -> bool:
        """Tell whether there may have been a scope before a call that it lacks a part of, and nothing but scopes."""
        if base is not None and not base.scope:
            return False
        known = [base] if base is not None else []
        known += [gate for rule, gate in self._speaking(call) if gate.scope and self._may_act(own, rule.subjects)]
        return any(scope_of(call.resource, gate) is None for gate in known)

    def _may_be_too_many(self, call: Call) -> bool:
        """Tell whether there may have been more gates before a call than a grant can meet."""
        return self._base.partial or unmeetable([gate for _, gate in self._speaking(call)]) is not None

    def _speaking(self, call: Call) -> list[tuple[CompiledRule, Gate]]:
        """Return the rules with gates that speak of a call by any party."""
        endpoint = self._base.endpoint
        speaking = endpoint.speaking_of(call.action.name) if endpoint is not None else ()
        return [
            (rule, rule.gate)
            for rule in speaking
            if rule.gate is not None and not rule.audit and rule.covers(call.resource)
        ]


def _acting(base: WalkSide, head: WalkSide) -> Callable[[Key], bool] | None:
    """Return what tells if who has a key may be in one chain with any other; None if there are no chains.

    Where only one side has a delegation, that itself is a change of the settings.
    """
    if base.partial:
        return lambda _: True
    if base.settings is None or head.settings is None:
        return None
    delegation = head.settings.delegation
    if base.settings.delegation is None or delegation is None:
        return None
    return lambda key: delegation.max_depth > 1 or key in delegation.principals


def _longest(base: WalkSide, head: WalkSide) -> int:
    """Return how many parties a chain can have on both sides, more than are compared by pairs where it is not known."""
    if base.settings is None or head.settings is None or base.partial:
        return _COMPARED_BY_PAIRS + 1
    depths = (
        side.max_depth if side is not None else 0 for side in (base.settings.delegation, head.settings.delegation)
    )
    return 1 + min(depths)


def _is_each_kept(before: Iterable[CompiledRule], after: Iterable[CompiledRule]) -> bool:
    """Tell whether each rule stands there still and asks for as much, so that it does before any parties together."""
    now = {rule.place: rule.gate for rule in after}
    return all(
        rule.gate is not None
        and (gate := now.get(rule.place)) is not None
        and compare_gates(rule.gate, gate).get("steps", SAME) in _AS_MUCH
        for rule in before
    )


def _is_met_apart(
    keys: frozenset[Key], base: Gate, before: Sequence[CompiledRule], head: Gate, after: Sequence[CompiledRule]
) -> bool:
    """Tell whether the rules that did not stand before who has one of these keys too ask for as much as all did before.

    With several keys, a rule that did is one that asked for the same, before the same subjects.
    """
    left = _count_meanings(keys, (rule for rule in before if _stands_before(keys, rule)))
    apart: list[CompiledRule] = []
    for rule in after:
        if not keys.isdisjoint(rule.subjects):
            (demand,) = _count_meanings(keys, [rule])
            if not left[demand]:
                continue
            left[demand] -= 1
        apart.append(rule)
    steps = tuple(step for rule in apart if rule.gate is not None for step in rule.gate.steps)
    return compare_gates(base, replace(head, steps=steps)).get("steps", SAME) in _AS_MUCH


def _stands_before(keys: frozenset[Key], rule: CompiledRule) -> bool:
    """Tell whether a rule that stands before one party of a call stands before who has one of these keys too.

    Not if it asks from where they call, or who acts: that differs from party to party.
    """
    by_party = rule.workloads or any(path[0] == "actor" for path in reads_of(rule))
    return not keys.isdisjoint(rule.subjects) and not by_party


def _count_meanings(keys: frozenset[Key], rules: Iterable[CompiledRule]) -> Counter[Hashable]:
    """Return how many of the rules ask for the same, by what they ask for, and with several keys also before whom."""
    several = len(keys) > 1
    return Counter((meaning(rule.gate), rule.subjects if several else keys) for rule in rules if rule.gate is not None)
