"""Decide: the one function that answers, for webhook, CLI, tests and admission alike (DESIGN, "A decision").

Holds: pure; the strictest rule wins; order and age of policies never matter; what is unknown, over or off never widens.
"""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from bailiwick_engine import display, grants as approval, match
from bailiwick_engine.binding import NotCanonicalError, digest as digest_of
from bailiwick_engine.call import Call, Subject, Unproven
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.compiled import CompiledRule, Effect, Gate
from bailiwick_engine.conditions import inputs
from bailiwick_engine.grants import Fitness, Grant
from bailiwick_engine.match import Finding, Standing
from bailiwick_engine.reasons import Reason
from bailiwick_engine.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.verdict import Outcome, Verdict

MAX_TRIED_GRANTS = 4
_RANK = {reason: rank for rank, reason in enumerate(Reason)}


def decide(snapshot: Snapshot, call: Call, grants: Iterable[Grant], around: Circumstances) -> Verdict:
    """Return the verdict on a call. `grants` are those of this endpoint and subject; others change nothing."""
    endpoint = snapshot.endpoints.get((call.namespace, call.endpoint))
    if endpoint is None or not _may_ask(endpoint, call):
        # Unknown endpoint and stranger are told the same, so that nobody learns which endpoints exist.
        return Verdict(outcome=Outcome.FORBIDDEN, reason=Reason.NO_RULE)
    dry_run = call.caller.username not in endpoint.enforcers
    closed = _closed(snapshot, endpoint, call, around)
    if closed is not None:
        return _deny(closed, dry_run=dry_run)
    if isinstance(call.subject, Unproven):
        return _deny(call.subject.reason, dry_run=dry_run)
    if call.subject.id in endpoint.broken:
        return _deny(Reason.POLICY_INVALID, dry_run=dry_run)
    return _weigh(endpoint, _Case(call, call.subject, around, dry_run), grants)


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

    def deny(self, reason: Reason, rule: CompiledRule | None = None, message: str | None = None) -> Verdict:
        return Verdict(
            outcome=Outcome.DENY, reason=reason, rule=rule, message=message, dry_run=self.dry_run, audit=self.audit
        )


def _may_ask(endpoint: CompiledEndpoint, call: Call) -> bool:
    """An enforcer may ask; so may a subject about itself, where the endpoint's rules name it."""
    if call.caller.username in endpoint.enforcers:
        return True
    if not isinstance(call.subject, Subject):
        return False
    about_itself = (call.subject.id, call.subject.uid) == (call.caller.username, call.caller.uid)
    return about_itself and call.caller.username in endpoint.named_subjects


def _weigh(endpoint: CompiledEndpoint, case: _Case, grants: Iterable[Grant]) -> Verdict:
    values = inputs(case.call, case.subject, case.around.now)
    findings = [
        match.standing(rule, case.call, values, case.around.now)
        for rule in match.candidates(endpoint, case.call, case.subject)
    ]
    case = case._replace(audit=_audited(findings))
    enforced = sorted((finding for finding in findings if not finding.rule.audit), key=_precedence)
    for effect, standing in (
        (Effect.DENY, Standing.APPLIES),
        (Effect.REQUIRE_APPROVAL, Standing.DENIES),
    ):
        if (shut := _first(enforced, effect, standing)) is not None:
            return case.deny(shut.reason or Reason.POLICY_DENIED, shut.rule, shut.message)
    gates = [(found.rule, found.rule.gate) for found in enforced if found.standing is Standing.APPLIES]
    asked = [(rule, gate) for rule, gate in gates if gate is not None]
    if len(asked) > 1:
        return case.deny(Reason.MULTIPLE_GATES, asked[0][0])
    if asked:
        return _gated(*asked[0], case, grants)
    if (allowed := _first(enforced, Effect.ALLOW, Standing.APPLIES)) is not None:
        return Verdict(
            outcome=Outcome.ALLOW, reason=Reason.ALLOWED, rule=allowed.rule, dry_run=case.dry_run, audit=case.audit
        )
    nearest = _first(enforced, Effect.ALLOW, Standing.SILENT)
    if nearest is None:
        return case.deny(Reason.NO_RULE)
    return case.deny(nearest.reason or Reason.NO_RULE, nearest.rule, nearest.message)


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
    refusal = _refusal(call, around)
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


def _refusal(call: Call, around: Circumstances) -> Reason | None:
    """Why no grant can serve at the moment, whatever it says."""
    if around.freshness is not Freshness.FRESH:
        return Reason.STORE_STALE
    if not around.guard_proven:
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


def _first(findings: list[Finding], effect: Effect, standing: Standing) -> Finding | None:
    return next((found for found in findings if found.rule.effect is effect and found.standing is standing), None)


def _deny(reason: Reason, *, dry_run: bool) -> Verdict:
    return Verdict(outcome=Outcome.DENY, reason=reason, dry_run=dry_run)
