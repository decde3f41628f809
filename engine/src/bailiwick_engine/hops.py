"""Hops: a call is judged for each actor of its chain, and the verdict is the meet over all (DESIGN, "A decision" 7).

Holds: no chain is ever wider than any hop of it; only the key that is matched changes from hop to hop, CEL's `subject`
is always the one whom the call is for.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bailiwick_engine import match
from bailiwick_engine.call import Call, Subject
from bailiwick_engine.compiled import CompiledDelegation, CompiledSettings, Effect
from bailiwick_engine.conditions import Inputs, inputs
from bailiwick_engine.match import Finding, Standing
from bailiwick_engine.reasons import Reason
from bailiwick_engine.snapshot import CompiledEndpoint


@dataclass(frozen=True, slots=True)
class Hop:
    """One party and how the rules stand to it. `must_allow`: without an Allow or a gate of its own the call is denied.

    `values` is what its conditions see; `refused` is a reason that no rule can mend.
    """

    party: Subject
    values: Inputs
    findings: tuple[Finding, ...]
    must_allow: bool
    refused: Reason | None = None


def invalid(settings: CompiledSettings, call: Call, subject: Subject) -> bool:
    """Tell whether the chain is one that the endpoint does not accept at all."""
    if not call.actors:
        return False
    delegation = settings.delegation
    if delegation is None or len(call.actors) > delegation.max_depth:
        return True
    return subject.keys.isdisjoint(delegation.principals)


def hops(endpoint: CompiledEndpoint, call: Call, subject: Subject, now: float) -> Iterator[Hop]:
    """Yield every party that must pass: the subject for a call of its own, else each actor and the person."""
    delegation = endpoint.settings.delegation if endpoint.settings else None
    if not call.actors or delegation is None:
        values = inputs(call, subject, now)
        yield Hop(subject, values, _findings(endpoint, call, subject, values, now), must_allow=True)
        return
    for actor in call.actors:
        values = inputs(call, subject, now, actor)
        refused = None if _under_ceiling(delegation, call, values) else Reason.SCOPE_EXCEEDED
        yield Hop(actor, values, _findings(endpoint, call, actor, values, now), must_allow=True, refused=refused)
    # The person's own Deny and RequireApproval always count; an Allow of their own only where it is asked for.
    values = inputs(call, subject, now)
    own = _findings(endpoint, call, subject, values, now)
    yield Hop(subject, values, own, must_allow=delegation.entitled)


def applies(hop: Hop) -> bool:
    """Tell whether a rule lets this hop through, be it with an approval."""
    return any(
        finding.standing is Standing.APPLIES and finding.rule.effect is not Effect.DENY and not finding.rule.audit
        for finding in hop.findings
    )


def _findings(
    endpoint: CompiledEndpoint, call: Call, party: Subject, values: Inputs, now: float
) -> tuple[Finding, ...]:
    return tuple(
        match.standing(rule, call, values, now, named=named) for rule, named in match.candidates(endpoint, call, party)
    )


def _under_ceiling(delegation: CompiledDelegation, call: Call, values: Inputs) -> bool:
    """A ceiling entry is an Allow: what it cannot tell, it does not cover."""
    return any(
        call.action.name in entry.actions
        and any(resource.covers(call.resource, absent_matches=False) for resource in entry.resources)
        and all(delegation.scope.evaluate(condition.expression, values) is True for condition in entry.conditions)
        for entry in delegation.ceiling
    )
