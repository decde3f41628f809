"""Matching: which rules speak of this call, and how each of them stands. Runs on every decision.

Holds: an empty selector matches nothing; what is unknown, over or switched off never widens (DESIGN, "A decision" 5).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from bailiwick_engine.call import Call, Subject
from bailiwick_engine.compiled import CompiledRule, Effect
from bailiwick_engine.conditions import UNKNOWN, Inputs
from bailiwick_engine.reasons import Reason
from bailiwick_engine.snapshot import CompiledEndpoint


class Standing(Enum):
    """How a rule stands to a call."""

    APPLIES = auto()
    SILENT = auto()
    DENIES = auto()
    """A RequireApproval that is over, off or asked for another purpose: it keeps the gate shut."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule and its standing. `reason` says why it is silent or denies; `message` is the condition's own, if any."""

    rule: CompiledRule
    standing: Standing
    reason: Reason | None = None
    message: str | None = None


def candidates(endpoint: CompiledEndpoint, call: Call, party: Subject) -> Iterator[tuple[CompiledRule, bool | None]]:
    """Yield the rules that may speak of this party, action and resource, in no promised order.

    With each whether it names the party: None where that hangs on a workload that is not known or not approved.
    """
    for rule in endpoint.index.speaking_of(party.keys, call.action.name):
        if not rule.covers(call.resource):
            continue
        # Without a question about the workload, being found is being named.
        named = rule.names(party) if rule.workloads else True
        if named is not False:
            yield rule, named
        elif rule.effect is Effect.ALLOW:
            # Only to tell what was missing: a rule for another workload allows nothing.
            yield rule, None


def standing(
    rule: CompiledRule,
    call: Call,
    inputs: Inputs,
    now: float,
    *,
    named: bool | None = True,
) -> Finding:
    """Return how a candidate stands: the table of DESIGN "A decision" 5, one row per effect.

    `named` None: the workload is not known, so that a Deny speaks of it, a gate stays shut and an Allow is silent.
    """
    if named is None and rule.effect is Effect.ALLOW:
        return Finding(rule, Standing.SILENT, Reason.WORKLOAD_UNAPPROVED)
    held, message = _conditions(rule, inputs)
    if held is False:
        return Finding(rule, Standing.SILENT, Reason.CONDITION_FALSE, message)
    match rule.effect:
        case Effect.DENY:
            return Finding(rule, Standing.APPLIES, Reason.POLICY_DENIED if held is True else Reason.CONDITION_ERROR)
        case Effect.REQUIRE_APPROVAL:
            # A gate for an approved workload is no way through for one that is not known, with an approval or without.
            off = Reason.WORKLOAD_UNAPPROVED if named is None else _off(rule, call, now)
            # A condition that cannot be evaluated leaves the gate standing.
            return Finding(rule, Standing.DENIES, off) if off else Finding(rule, Standing.APPLIES)
        case Effect.ALLOW:
            if held is not True:
                return Finding(rule, Standing.SILENT, Reason.CONDITION_ERROR, message)
            off = _off(rule, call, now)
            return Finding(rule, Standing.SILENT, off) if off else Finding(rule, Standing.APPLIES)


def _conditions(rule: CompiledRule, inputs: Inputs) -> tuple[bool | str, str | None]:
    """Return True, False or UNKNOWN over all conditions, False first, and the message of the one that decided."""
    held: tuple[bool | str, str | None] = (True, None)
    for condition in rule.conditions:
        outcome = rule.scope.evaluate(condition.expression, inputs)
        if outcome is False:
            return (False, condition.message)
        if outcome == UNKNOWN:
            held = (UNKNOWN, condition.message)
    return held


def _off(rule: CompiledRule, call: Call, now: float) -> Reason | None:
    if rule.suspended:
        return Reason.POLICY_SUSPENDED
    if rule.over(now):
        return Reason.EXPIRED
    return None if rule.accepts(call.intent) else Reason.INTENT_MISMATCH
