"""Decide: the one function that answers, for webhook, CLI, tests and admission alike (DESIGN, "A decision").

Holds: pure; the strictest rule wins; order and age of policies never matter; what is unknown, over or off never widens.
"""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from bailiwick_engine import display, grants as approval
from bailiwick_engine.binding import NotCanonicalError, digest as digest_of
from bailiwick_engine.call import Call, Subject, Unproven
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.compiled import CompiledRule, Effect, Gate
from bailiwick_engine.grants import Fitness, Grant
from bailiwick_engine.hops import Hop, applies, hops, invalid
from bailiwick_engine.match import Finding, Standing
from bailiwick_engine.reasons import Reason
from bailiwick_engine.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.verdict import Outcome, Verdict

MAX_TRIED_GRANTS = 4
_RANK = {reason: rank for rank, reason in enumerate(Reason)}


def decide(snapshot: Snapshot, call: Call, grants: Iterable[Grant], around: Circumstances) -> Verdict:
    """Return the verdict on a call. `grants` are those of this endpoint and subject; others change nothing."""
    endpoint = snapshot.endpoints.get((call.namespace, call.endpoint))
    if endpoint is None or not may_ask(endpoint, call):
        # Unknown endpoint and stranger are told the same, so that nobody learns which endpoints exist.
        return Verdict(outcome=Outcome.FORBIDDEN, reason=Reason.NO_RULE)
    dry_run = call.caller.username not in endpoint.enforcers
    admitted = admit(snapshot, endpoint, call, around)
    if isinstance(admitted, Reason):
        return Verdict(outcome=Outcome.DENY, reason=admitted, dry_run=dry_run)
    return _weigh(endpoint, _Case(call, admitted, around, dry_run), grants)


def admit(snapshot: Snapshot, endpoint: CompiledEndpoint, call: Call, around: Circumstances) -> Subject | Reason:
    """Return the proven subject, or why the call is denied before any rule is looked at."""
    closed = _closed(snapshot, endpoint, call, around)
    if closed is not None:
        return closed
    if isinstance(call.subject, Unproven):
        return call.subject.reason
    if not endpoint.broken.keys().isdisjoint(key for party in (call.subject, *call.actors) for key in party.keys):
        return Reason.POLICY_INVALID
    if endpoint.settings is None or invalid(endpoint.settings, call, call.subject):
        return Reason.DELEGATION_INVALID
    return call.subject


def _closed(snapshot: Snapshot, endpoint: CompiledEndpoint, call: Call, around: Circumstances) -> Reason | None:
    """Why the endpoint denies everybody, whoever the subject is."""
    if around.freshness is Freshness.DEAD:
        return Reason.STORE_STALE
    if call.namespace in snapshot.unreadable or endpoint.conflicted or endpoint.denied_whole is not None:
        return Reason.POLICY_INVALID
    return Reason.ENDPOINT_UNCONFIGURED if endpoint.settings is None else None


class _Case(NamedTuple):
    call: Call
    subject: Subject
    around: Circumstances
    dry_run: bool
    audit: tuple[tuple[str, str, str], ...] = ()

    def deny(
        self, reason: Reason, rule: CompiledRule | None = None, message: str | None = None, hop: Hop | None = None
    ) -> Verdict:
        return Verdict(
            outcome=Outcome.DENY,
            reason=reason,
            rule=rule,
            message=message,
            hop=hop.party.id if hop is not None and self.call.actors else None,
            dry_run=self.dry_run,
            audit=self.audit,
        )


def may_ask(endpoint: CompiledEndpoint, call: Call) -> bool:
    """An enforcer may ask; so may a subject about itself, where the endpoint's rules name it."""
    if call.caller.username in endpoint.enforcers:
        return True
    if not isinstance(call.subject, Subject):
        return False
    about_itself = (call.subject.id, call.subject.uid) == (call.caller.username, call.caller.uid) and not call.actors
    return about_itself and not call.subject.keys.isdisjoint(endpoint.named_subjects)


def _weigh(endpoint: CompiledEndpoint, case: _Case, grants: Iterable[Grant]) -> Verdict:
    passed = tuple(hops(endpoint, case.call, case.subject, case.around.now))
    everything = [(finding, hop) for hop in passed for finding in hop.findings]
    case = case._replace(audit=_audited(finding for finding, _ in everything))
    enforced = sorted(
        ((finding, hop) for finding, hop in everything if not finding.rule.audit),
        key=lambda found: _precedence(found[0]),
    )
    for effect, standing in (
        (Effect.DENY, Standing.APPLIES),
        (Effect.REQUIRE_APPROVAL, Standing.DENIES),
    ):
        if (shut := _first(enforced, effect, standing)) is not None:
            finding, hop = shut
            return case.deny(finding.reason or Reason.POLICY_DENIED, finding.rule, finding.message, hop)
    for hop in passed:
        if hop.refused is not None:
            return case.deny(hop.refused, hop=hop)
        if hop.must_allow and not applies(hop):
            return _missed(case, hop)
    # One gate may stand before several hops; it is asked for once.
    gates = {id(found.rule): found.rule for found, _ in enforced if found.standing is Standing.APPLIES}
    asked = [(rule, rule.gate) for rule in gates.values() if rule.gate is not None]
    if len(asked) > 1:
        return case.deny(Reason.MULTIPLE_GATES, asked[0][0])
    if asked:
        return _gated(*asked[0], case, grants)
    allowed = _first(enforced, Effect.ALLOW, Standing.APPLIES)
    if allowed is None:
        return case.deny(Reason.NO_RULE)
    return Verdict(
        outcome=Outcome.ALLOW, reason=Reason.ALLOWED, rule=allowed[0].rule, dry_run=case.dry_run, audit=case.audit
    )


def _missed(case: _Case, hop: Hop) -> Verdict:
    """Deny for want of a rule, and name the one that came nearest."""
    silent = [finding for finding in hop.findings if not finding.rule.audit and finding.rule.effect is Effect.ALLOW]
    if not silent:
        return case.deny(Reason.NO_RULE, hop=hop)
    nearest = min(silent, key=_precedence)
    return case.deny(nearest.reason or Reason.NO_RULE, nearest.rule, nearest.message, hop)


def _precedence(finding: Finding) -> tuple[int, tuple[str, str]]:
    """Order findings of one effect: by what is to be said, so that names decide only which of equals is named."""
    return (-1 if finding.reason is None else _RANK[finding.reason], finding.rule.place)


def _gated(rule: CompiledRule, gate: Gate, case: _Case, grants: Iterable[Grant]) -> Verdict:
    call, subject, around = case.call, case.subject, case.around
    try:
        digest = digest_of(call, subject)
    except NotCanonicalError:
        # The edge answers such a body with 400; what no approval can be bound to is denied here all the same.
        return case.deny(Reason.UNINSPECTABLE, rule)
    denied = Verdict(
        outcome=Outcome.DENY,
        reason=Reason.APPROVAL_REQUIRED,
        rule=rule,
        gate=gate,
        digest=digest,
        dry_run=case.dry_run,
        audit=case.audit,
    )
    refusal = _refusal(call, subject, gate, around)
    if refusal is not None:
        return replace(denied, reason=refusal)
    judged = [
        (approval.fitness(grant, gate, call, subject, around), grant)
        for grant in grants
        if approval.answers(grant, call, subject, digest)
    ]
    usable = approval.ordered(grant for found, grant in judged if found is Fitness.USABLE)
    if usable:
        return replace(
            denied, outcome=Outcome.USE_GRANT, reason=Reason.ALLOWED, grants=tuple(usable[:MAX_TRIED_GRANTS])
        )
    waiting = approval.ordered(grant for found, grant in judged if found is Fitness.PENDING)
    if waiting:
        return replace(denied, reason=Reason.APPROVAL_PENDING, pending=waiting[0])
    latest = approval.latest_ended(grant for _, grant in judged)
    found = next((found for found, grant in judged if grant is latest), Fitness.OUTDATED)
    return replace(denied, reason=found.value)


def _refusal(call: Call, subject: Subject, gate: Gate, around: Circumstances) -> Reason | None:
    """Why no grant can serve at the moment, whatever it says."""
    if around.freshness is not Freshness.FRESH:
        return Reason.STORE_STALE
    if not around.guard_proven:
        return Reason.APPROVAL_UNVERIFIABLE
    people = any(step.kind == "Human" for step in gate.steps)
    if people and any(party.reviewer is None for party in (subject, *call.actors)):
        # Nobody could tell whether a reviewer approves their own request.
        return Reason.APPROVAL_UNVERIFIABLE
    return None if display.inspectable(call) else Reason.UNINSPECTABLE


def _audited(findings: Iterable[Finding]) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        sorted(
            (found.rule.policy.name, found.rule.name, found.rule.effect.value)
            for found in findings
            if found.rule.audit and found.standing is not Standing.SILENT
        )
    )


def _first(findings: list[tuple[Finding, Hop]], effect: Effect, standing: Standing) -> tuple[Finding, Hop] | None:
    return next((one for one in findings if one[0].rule.effect is effect and one[0].standing is standing), None)
