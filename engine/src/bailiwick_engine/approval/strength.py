"""Strength: a comparison of the requirements of two approvals, component by component.

Standing: over `gates`, for what compares policies and what replays calls. Holds: an approval is stronger only if no
component requires less. Components that are neither stronger nor weaker are incomparable, and never reported as either.
A stronger component never outweighs another that lets a call get further.
"""

from collections.abc import Hashable, Sequence
from typing import Final

from bailiwick_api.kinds.approvalgrant import GrantStep
from bailiwick_api.kinds.approvalrequirement import ReasonRequirement
from bailiwick_engine.approval.gates import Gate

SAME: Final = 0
STRONGER: Final = 1
WEAKER: Final = -1
Components = dict[str, int | None]
_SIGNS: Final = {WEAKER: "weaker", STRONGER: "stronger", None: "other"}
# How a review is signed: more is stronger.
_SIGNATURES: Final = {None: 0, "Key": 1, "Required": 2}
# How an approval is requested. It affects neither what a review lets through, nor whose review counts.
_ASKING: Final = frozenset(
    {
        "pendingSeconds",
        "reason",
        "open",
        "limits.pendingPerSubject",
        "limits.requestsPerHour",
        "limits.denyCooldownSeconds",
    }
)
# Patterns that match every reason of one line.
_ANY_REASON: Final = frozenset({None, "", ".*", "^.*$", "(?s).*", "(?s:.*)", ".*?", "[\\s\\S]*"})


def compare_gates(base: Gate, head: Gate) -> Components:
    """Return how the head compares with the base, by component: STRONGER, WEAKER, None if incomparable; no SAME."""
    found: Components = {
        "steps": _steps(base.steps, head.steps),
        "binding": _order(_binding_order(base), _binding_order(head)),
        "scope properties": _order(base.scope_properties, head.scope_properties) if base.scope and head.scope else SAME,
        "maxUses": _less(base.max_uses, head.max_uses),
        "windowSeconds": _less(base.window_seconds, head.window_seconds),
        "pendingSeconds": _less(base.pending_seconds, head.pending_seconds),
        "reason": _reasons_order(base.reasons, head.reasons),
        "requiredContext": _order(base.required_context, head.required_context),
        "show": _shown_order(base, head),
        "allowUnseen": _less(base.unseen, head.unseen),
        "presentation": _order(base.by_token, head.by_token),
        "open": _less(base.on_deny, head.on_deny),
        "limits.pendingPerSubject": _less(base.limits.pending_per_subject, head.limits.pending_per_subject),
        "limits.requestsPerHour": _less(base.limits.requests_per_hour, head.limits.requests_per_hour),
        "limits.denyCooldownSeconds": _order(base.limits.deny_cooldown_seconds, head.limits.deny_cooldown_seconds),
    }
    return {name: outcome for name, outcome in found.items() if outcome != SAME}


def gets_further(components: Components) -> bool:
    """Tell whether a call may get further by the head, where these components differ.

    So it may if who can approve, how many must, what an approval is bound to, what reviewers see, or how often it can
    be used is weaker or incomparable, even if other components are stronger; and if only the way of requesting is
    weaker. If that is stronger in parts and weaker in others, it is just another approval.
    """
    deciding, asking = split_outcomes(components)
    if not deciding.isdisjoint({WEAKER, None}) or None in asking:
        return True
    return WEAKER in asking and STRONGER not in deciding | asking


def split_outcomes(components: Components) -> tuple[frozenset[int | None], frozenset[int | None]]:
    """Return the outcomes of components that decide whose review lets a call through, and of those of requesting."""
    asking = components.keys() & _ASKING
    return (
        frozenset(outcome for name, outcome in components.items() if name not in asking),
        frozenset(components[name] for name in asking),
    )


def difference_words(components: Components) -> tuple[str, ...]:
    """Return how each component of the head differs, in words: `weaker maxUses`."""
    return tuple(f"{_SIGNS[outcome]} {name}" for name, outcome in components.items())


def meaning(gate: Gate) -> Hashable:
    """Return everything that `compare_gates` compares, so that gates with equal meanings compare as the same."""
    return (
        tuple(
            sorted(
                (one.policy, one.kind, tuple(sorted(one.groups or ())), one.count, _SIGNATURES[one.signature])
                for one in gate.steps
            )
        ),
        (gate.scope, gate.scope_properties, gate.max_uses, gate.window_seconds, gate.pending_seconds),
        (tuple(sorted(_reasons(gate), key=repr)), gate.required_context, frozenset(gate.show or ()), gate.show is None),
        (gate.unseen, gate.by_token, gate.on_deny),
        tuple(sorted(gate.limits.model_dump().items())),
    )


def _order(base: "frozenset[object] | int", head: "frozenset[object] | int") -> int | None:
    """More is stronger."""
    if base == head:
        return SAME
    if base <= head:  # type: ignore[operator]  # both are of one kind
        return STRONGER
    return WEAKER if base >= head else None  # type: ignore[operator]  # likewise


def _less(base: int, head: int) -> int | None:
    """Less is stronger."""
    return _order(head, base)


def _binding_order(gate: Gate) -> int:
    return 0 if gate.scope else 1


def _reasons(gate: Gate) -> frozenset[object]:
    return frozenset((one.required, one.pattern) for one in gate.reasons)


def _reasons_order(base: Sequence[ReasonRequirement], head: Sequence[ReasonRequirement]) -> int | None:
    up, down = _reasons_met(base, head), _reasons_met(head, base)
    if up and down:
        return SAME
    if up or down:
        return STRONGER if up else WEAKER
    newly_required = any(one.required for one in head) and not any(one.required for one in base)
    takes_any = all(one.pattern in _ANY_REASON for one in head)
    return WEAKER if takes_any and not newly_required else None


def _reasons_met(weak: Sequence[ReasonRequirement], strong: Sequence[ReasonRequirement]) -> bool:
    """Tell whether the weak requirements accept every reason that the strong ones accept."""
    return all(
        any(
            (other.required or not one.required) and (not one.pattern or one.pattern == other.pattern)
            for other in strong
        )
        or not (one.required or one.pattern)
        for one in weak
    )


def _shown_order(base: Gate, head: Gate) -> int | None:
    """Everything is more than any list."""
    if base.show is None or head.show is None:
        return _order(base.show is None, head.show is None)
    return _order(frozenset(base.show), frozenset(head.show))


def _steps(base: Sequence[GrantStep], head: Sequence[GrantStep]) -> int | None:
    up, down = _steps_met(base, head), _steps_met(head, base)
    if up and down:
        return SAME
    return STRONGER if up else WEAKER if down else None


def _steps_met(weak: Sequence[GrantStep], strong: Sequence[GrantStep]) -> bool:
    """Tell whether each weak step has its own strong step that requires at least as much.

    A matching of two kinds of nodes: it takes as long as the number of steps to the third power at most, and not one
    try for each order of them.
    """
    if len(weak) > len(strong):
        return False
    fitting = [[place for place, one in enumerate(strong) if _as_much(step, one)] for step in weak]
    holders: dict[int, int] = {}
    return all(_finds_place(number, fitting, holders, set()) for number in range(len(weak)))


def _finds_place(number: int, fitting: Sequence[Sequence[int]], holders: dict[int, int], tried: set[int]) -> bool:
    """Give a weak step a strong one of its own, and tell whether there is one. Others move to another where they can.

    `fitting`: the strong steps that would do, by the weak one. `holders`: the weak step that has each strong one.
    """
    for place in fitting[number]:
        if place not in tried:
            tried.add(place)
            if place not in holders or _finds_place(holders[place], fitting, holders, tried):
                holders[place] = number
                return True
    return False


def _as_much(weak: GrantStep, strong: GrantStep) -> bool:
    """Tell whether every review of the strong step could be one of the weak one, and at least as many must be."""
    if (weak.policy, weak.kind) != (strong.policy, strong.kind) or strong.count < weak.count:
        return False
    if _SIGNATURES[strong.signature] < _SIGNATURES[weak.signature]:
        return False
    return not weak.groups or (bool(strong.groups) and set(strong.groups or ()) <= set(weak.groups))
