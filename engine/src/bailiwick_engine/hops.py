"""Hops: a call is judged for each actor of its chain, and the verdict is the meet over all (DESIGN, "A decision" 7).

Holds: no chain is ever wider than any hop of it; only the key that is matched changes from hop to hop, CEL's `subject`
is always the one whom the call is for.
"""

import msgspec

from bailiwick_engine import match
from bailiwick_engine.call import Call, Subject
from bailiwick_engine.compiled import CompiledDelegation, CompiledSettings, Effect
from bailiwick_engine.inputs import Inputs, inputs
from bailiwick_engine.match import Finding, Standing
from bailiwick_engine.reasons import Reason
from bailiwick_engine.snapshot import CompiledEndpoint


class Hop(msgspec.Struct, frozen=True):
    """One party and how the rules stand to it. `must_allow`: without an Allow or a gate of its own the call is denied.

    `actor` is the party where it acts for somebody, as conditions see it; `refused` is a reason that no rule can mend.
    """

    party: Subject
    findings: tuple[Finding, ...]
    must_allow: bool
    actor: Subject | None = None
    refused: Reason | None = None


def invalid(settings: CompiledSettings, call: Call, subject: Subject) -> bool:
    """Tell whether the chain is one that the endpoint does not accept at all."""
    if not call.actors:
        return False
    delegation = settings.delegation
    if delegation is None or len(call.actors) > delegation.max_depth:
        return True
    return subject.keys.isdisjoint(delegation.principals)


def hops(endpoint: CompiledEndpoint, call: Call, subject: Subject, now: float) -> tuple[Hop, ...]:
    """Return every party that must pass: the subject for a call of its own, else each actor and the person."""
    delegation = endpoint.settings.delegation if call.actors and endpoint.settings else None
    if delegation is None:
        return (Hop(subject, _findings(endpoint, call, subject, subject, None, now), must_allow=True),)
    found: list[Hop] = []
    for actor in call.actors:
        refused = None if _under_ceiling(delegation, call, inputs(call, subject, now, actor)) else Reason.SCOPE_EXCEEDED
        findings = _findings(endpoint, call, actor, subject, actor, now)
        found.append(Hop(actor, findings, must_allow=True, actor=actor, refused=refused))
    # The person's own Deny and RequireApproval always count; an Allow of their own only where it is asked for.
    own = _findings(endpoint, call, subject, subject, None, now)
    found.append(Hop(subject, own, must_allow=delegation.entitled))
    return tuple(found)


def applies(hop: Hop) -> bool:
    """Tell whether a rule lets this hop through, be it with an approval."""
    for finding in hop.findings:
        rule = finding.rule
        if finding.standing is _APPLIES and rule.effect is not _DENY and not rule.audit:
            return True
    return False


_APPLIES, _DENY = Standing.APPLIES, Effect.DENY


def _findings(
    endpoint: CompiledEndpoint, call: Call, party: Subject, subject: Subject, actor: Subject | None, now: float
) -> tuple[Finding, ...]:
    found: list[Finding] = []
    values: Inputs | None = None
    for rule, named in match.candidates(endpoint, call, party):
        # Most rules have no condition, and gathering what conditions see takes longer than all else about them.
        if values is None and rule.conditions:
            values = inputs(call, subject, now, actor)
        found.append(match.standing(rule, call, values, now, named=named))
    return tuple(found)


def _under_ceiling(delegation: CompiledDelegation, call: Call, values: Inputs) -> bool:
    """A ceiling entry is an Allow: what it cannot tell, it does not cover."""
    return any(
        call.action.name in entry.actions
        and any(resource.covers(call.resource, absent_matches=False) for resource in entry.resources)
        and all(delegation.scope.evaluate(condition.expression, values) is True for condition in entry.conditions)
        for entry in delegation.ceiling
    )
