"""Hops: a call is evaluated for each actor of its chain, and the verdict is the strictest of all.

Holds: no chain is ever wider than any of its hops. Only the matched key changes from hop to hop; CEL's `subject` is
always the party for whom the call is made.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final, cast

import msgspec

from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.cost.estimate import LIMIT
from bailiwick_engine.cel.data import Data
from bailiwick_engine.cel.datascope import DataInputs
from bailiwick_engine.cel.inputs import HistoryInputs, HistoryMembers, Inputs, inputs
from bailiwick_engine.decision import match
from bailiwick_engine.decision.match import Finding, Standing
from bailiwick_engine.historynumbers import HistoryNumbers, HistoryReadings
from bailiwick_engine.policy.model import CompiledCondition, CompiledDelegation, CompiledRule, CompiledSettings, Effect
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_engine.reasons import Reason
from bailiwick_engine.truth import Truth

_UNCOUNTED: Final = 16
"""So many conditions that take some microseconds each need not be counted."""


class Hop(msgspec.Struct, frozen=True, gc=False):
    """One party and its rules. `must_allow`: without an Allow or a gate of its own the call is denied.

    `actor` is the party if it acts for another, as conditions see it; `refused` is a reason that no rule can override.
    `seen`: the inputs of its conditions, if there were any.
    """

    party: Party
    findings: tuple[Finding, ...]
    must_allow: bool
    actor: Party | None = None
    refused: Reason | None = None
    seen: Inputs | None = None


def invalid(settings: CompiledSettings, call: Call, subject: Party) -> bool:
    """Tell whether the chain of a call, which has one, is such that the endpoint does not accept it at all."""
    delegation = settings.delegation
    if delegation is None or len(call.actors) > delegation.max_depth:
        return True
    return subject.keys.isdisjoint(delegation.principals)


def hops(
    endpoint: CompiledEndpoint,
    call: Call,
    subject: Party,
    now: float,
    numbers: Mapping[str, HistoryNumbers] | None = None,
) -> tuple[Hop, ...]:
    """Return every party that must pass: the subject for a call of its own, else each actor and the person.

    `numbers`: what is known of the endpoint's histories; None where it has none.
    """
    delegation = endpoint.settings.delegation if call.actors and endpoint.settings else None
    outside = _OutsideInputs.of_endpoint(endpoint, numbers) if endpoint.reads or numbers is not None else None
    if delegation is None:
        return (_hop(endpoint, call, subject, _View(subject, None, now, LIMIT, outside), must_allow=True),)
    # What the conditions of a call may take is shared by all that they are asked for: each hop, and its ceiling.
    share = LIMIT // (2 * len(call.actors) + 1)
    found: list[Hop] = []
    for actor in call.actors:
        view = _View(subject, actor, now, share, outside)
        refused = None if _under_ceiling(delegation, call, view) else Reason.SCOPE_EXCEEDED
        found.append(_hop(endpoint, call, actor, view, must_allow=True, refused=refused))
    # The person's own Deny and RequireApproval always count; an Allow of their own only where it is asked for.
    last = _View(subject, None, now, share, outside)
    found.append(_hop(endpoint, call, subject, last, must_allow=delegation.entitled))
    return tuple(found)


def numbers_of(endpoint: CompiledEndpoint, readings: HistoryReadings) -> Mapping[str, HistoryNumbers] | None:
    """Return what is known of an endpoint's histories; None where it has none."""
    return readings.numbers if endpoint.histories else None


def applies(hop: Hop) -> bool:
    """Tell whether a rule lets this hop through, be it with an approval."""
    for finding in hop.findings:
        rule = finding.rule
        if finding.standing is _APPLIES and rule.effect is not _DENY and not rule.audit:
            return True
    return False


_APPLIES, _DENY = Standing.APPLIES, Effect.DENY


class _OutsideInputs(msgspec.Struct, frozen=True, gc=False):
    """What conditions see that is not of the call. `data` None: no policy of the endpoint names any."""

    data: Data | None
    history: HistoryMembers

    @classmethod
    def of_endpoint(cls, endpoint: CompiledEndpoint, numbers: Mapping[str, HistoryNumbers] | None) -> "_OutsideInputs":
        """Return what conditions of an endpoint see; a name that it has no history of is unknown to them."""
        known: HistoryMembers = {}
        if numbers:
            known = {one.name: numbers[one.name].members for one in endpoint.histories if one.name in numbers}
        return cls(endpoint.data if endpoint.reads else None, known)

    def inputs(self, call: Call, subject: Party, now: float, actor: Party | None) -> Inputs:
        kind = HistoryInputs if self.data is None else DataInputs
        found = cast("HistoryInputs", inputs(call, subject, now, actor, kind))
        found.history = self.history
        if self.data is not None:
            cast("DataInputs", found).data = self.data
        return found


class _View(msgspec.Struct, frozen=True, gc=False):
    """What conditions see at one hop, and what all of them may take together, in picoseconds.

    `outside` None: the call is all that they see.
    """

    subject: Party
    actor: Party | None
    now: float
    limit: int
    outside: _OutsideInputs | None

    def inputs(self, call: Call) -> Inputs:
        if self.outside is None:
            return inputs(call, self.subject, self.now, self.actor)
        return self.outside.inputs(call, self.subject, self.now, self.actor)


def _hop(
    endpoint: CompiledEndpoint,
    call: Call,
    party: Party,
    view: _View,
    *,
    must_allow: bool,
    refused: Reason | None = None,
) -> Hop:
    if endpoint.index.laden and endpoint.index.too_much(party.keys):
        return Hop(party, (), must_allow, view.actor, Reason.TOO_COSTLY)
    rules = match.candidates(endpoint, call, party)
    values = _values(rules, call, view)
    found: list[Finding] = []
    for rule, named in rules:
        found.append(match.standing(rule, call, values, view.now, named=named))
    return Hop(party, tuple(found), must_allow, view.actor, refused, values)


def _values(rules: Sequence[tuple[CompiledRule, Truth]], call: Call, view: _View) -> Inputs | None:
    """Return what the conditions of these rules see; None where there are none.

    Most rules have no condition, and gathering what conditions see takes longer than all else about them.
    """
    count, light = 0, True
    for rule, _ in rules:
        if rule.conditions:
            count += len(rule.conditions)
            light = light and rule.light
    if not count:
        return None
    values = view.inputs(call)
    if not (light and values.small and count <= _UNCOUNTED):
        share(values, [condition for rule, _ in rules for condition in rule.conditions], view.limit)
    return values


def seen(
    endpoint: CompiledEndpoint,
    call: Call,
    subject: Party,
    now: float,
    actor: Party | None = None,
    numbers: Mapping[str, HistoryNumbers] | None = None,
) -> Inputs:
    """Return what conditions of an endpoint see of a call, of the data that they read, and of the histories."""
    outside = _OutsideInputs.of_endpoint(endpoint, numbers) if endpoint.reads or numbers is not None else None
    return _View(subject, actor, now, LIMIT, outside).inputs(call)


def share(values: Inputs, conditions: Iterable[CompiledCondition], limit: int) -> None:
    """Let each of these conditions take so much that all that are evaluated take no more than the limit together.

    The cheapest are evaluated, as many as fit; of equals all or none. So the order of rules never matters.
    """
    spent = allowed = 0
    for cost, equals in groupby(sorted(values.cost(condition.cost) for condition in conditions)):
        spent += cost * len(list(equals))
        if spent > limit:
            break
        allowed = cost
    values.allowance = allowed


def _under_ceiling(delegation: CompiledDelegation, call: Call, view: _View) -> bool:
    """A ceiling entry is an Allow: what it cannot tell, it does not cover."""
    entries = [entry for entry in delegation.ceiling if entry.covers(call.action.name, call.resource)]
    conditions = [condition for entry in entries for condition in entry.conditions]
    if not conditions:
        return bool(entries)
    values = view.inputs(call)
    share(values, conditions, view.limit)
    return any(all(condition.outcome(values) is True for condition in entry.conditions) for entry in entries)
