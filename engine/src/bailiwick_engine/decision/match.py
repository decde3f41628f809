"""Matching: the rules that apply to this call, and the state of each. Runs on every decision.

Holds: an empty selector matches nothing; a rule that is unknown, expired or disabled never widens.
"""

from enum import Enum, auto
from typing import Final

import msgspec

from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.policy.model import CompiledRule, Effect
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_engine.reasons import Reason
from bailiwick_engine.truth import TOO_COSTLY, UNKNOWN, Truth


class Standing(Enum):
    """How a rule stands to a call."""

    APPLIES = auto()
    SILENT = auto()
    DENIES = auto()
    """A RequireApproval that is over, off, asked for another purpose, or has a condition that cannot be evaluated: it
    keeps the gate shut."""


class Finding(msgspec.Struct, frozen=True, gc=False):
    """A rule and its standing. `reason` says why it is silent or denies; `message` is the condition's own, if any."""

    rule: CompiledRule
    standing: Standing
    reason: Reason | None = None
    message: str | None = None


# Members of an enumeration are looked up slowly, and this runs for every candidate.
_ALLOW, _DENY = Effect.ALLOW, Effect.DENY
_APPLIES, _SILENT, _DENIES = Standing.APPLIES, Standing.SILENT, Standing.DENIES


def candidates(endpoint: CompiledEndpoint, call: Call, party: Party) -> list[tuple[CompiledRule, Truth]]:
    """Return the rules that may apply to this party, action and resource, in no particular order.

    Each comes with whether it names the party: UNKNOWN if that depends on a workload that is unknown or not approved.
    Call `RuleIndex.too_much` first.
    """
    found: list[tuple[CompiledRule, Truth]] = []
    for rule in endpoint.index.speaking_of(party.keys, call.action.name):
        if not rule.covers(call.resource):
            continue
        named = naming(rule, party) if rule.workloads else True
        if named is not False:
            found.append((rule, named))
    return found


def naming(rule: CompiledRule, party: Party) -> Truth:
    """Tell whether a rule that asks for workloads, and has a key of this party, speaks of it.

    Of an Allow for another workload it is UNKNOWN, to tell what was missing: it allows nothing.
    """
    named = rule.names(party)
    return UNKNOWN if named is False and rule.effect is _ALLOW else named


def standing(
    rule: CompiledRule,
    call: Call,
    inputs: Inputs | None,
    now: float,
    *,
    named: Truth = True,
) -> Finding:
    """Return how a candidate stands: "What a rule does" in docs/reference/policy.md, a column of it for each effect.

    `named` UNKNOWN: the workload is not known, so that a Deny speaks of it, a gate stays shut and an Allow is silent.
    `inputs` may be None for a rule without conditions.
    """
    effect = rule.effect
    if named is not True and effect is _ALLOW:
        return Finding(rule, _SILENT, Reason.WORKLOAD_UNAPPROVED)
    held, message = _conditions(rule, inputs) if rule.conditions else _HELD
    if held is False:
        return Finding(rule, _SILENT, Reason.CONDITION_FALSE, message)
    if effect is _ALLOW:
        if held is not True:
            return Finding(rule, _SILENT, _undecided_reason(held), message)
        why = disabled_reason(rule, call, now) if rule.limits else None
        return Finding(rule, _APPLIES) if why is None else Finding(rule, _SILENT, why)
    if effect is _DENY:
        return Finding(rule, _APPLIES, Reason.POLICY_DENIED if held is True else _undecided_reason(held))
    # A gate for an approved workload is no way through for one that is not known, with an approval or without.
    why = Reason.WORKLOAD_UNAPPROVED if named is not True else disabled_reason(rule, call, now)
    if why is None and held is not True:
        # Nor is one whose condition cannot be evaluated: it may be false, and then no approval would let through.
        return Finding(rule, _DENIES, _undecided_reason(held), message)
    return Finding(rule, _DENIES, why) if why else Finding(rule, _APPLIES)


_Held = tuple[Truth, str | None]
_HELD: Final[_Held] = (True, None)


def _conditions(rule: CompiledRule, inputs: Inputs | None) -> _Held:
    """Return what all conditions say together, False first, and the message of the one that decided."""
    held = _HELD
    for condition in rule.conditions:
        outcome = UNKNOWN if inputs is None else condition.outcome(inputs)
        if outcome is False:
            return (False, condition.message)
        if outcome is not True:
            held = (outcome, condition.message)
    return held


def _undecided_reason(held: Truth) -> Reason:
    return Reason.TOO_COSTLY if held is TOO_COSTLY else Reason.CONDITION_ERROR


def disabled_reason(rule: CompiledRule, call: Call, now: float) -> Reason | None:
    """Return why a rule that is no Deny does not hold for a call at this moment, whatever its conditions say."""
    for limit in rule.limits:
        if (reason := limit(rule, call, now)) is not None:
            return reason
    return None
