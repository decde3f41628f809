"""Decide: the one function that answers, for webhook, CLI, tests and admission alike.

Holds: pure; the strictest rule wins; order and age of policies never matter; what is unknown, over or off never widens.
"""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from bailiwick_engine.approval import display, grants as approval
from bailiwick_engine.approval.binding import digest as digest_of, hash_of
from bailiwick_engine.approval.cooldown import same_request
from bailiwick_engine.approval.gates import Gate, join_gates, unmeetable
from bailiwick_engine.approval.grants import Fitness, Grant
from bailiwick_engine.call import Call, Party, ShownApproval
from bailiwick_engine.canonicaljson import NotCanonicalError
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.decision.historyneeds import is_touched, with_history
from bailiwick_engine.decision.hops import Hop, hops, invalid
from bailiwick_engine.decision.match import Finding, Standing
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.keys import CLUSTER
from bailiwick_engine.policy.model import CompiledRule, Effect
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_engine.revocations import PartyRevocation

MAX_TRIED_GRANTS = 4
# Members of an enumeration are looked up slowly, and these are on every decision's way.
_ALLOW, _DENY = Effect.ALLOW, Effect.DENY
_SILENT, _DENIES = Standing.SILENT, Standing.DENIES
_ALLOWED, _BY_RULE = Outcome.ALLOW, Reason.ALLOWED
_DEAD = Freshness.DEAD
_RANK = {reason: rank for rank, reason in enumerate(Reason)}


def decide(
    snapshot: Snapshot, call: Call, grants: Iterable[Grant], around: Circumstances, digest: str | None = None
) -> Verdict:
    """Return the verdict on a call. `grants` are those of this endpoint and subject; others change nothing.

    `digest`: the digest of this same call, from an earlier verdict. To digest large arguments again takes long.
    """
    return evaluate_hops(snapshot, call, grants, around, digest)[0]


def evaluate_hops(
    snapshot: Snapshot, call: Call, grants: Iterable[Grant], around: Circumstances, digest: str | None = None
) -> tuple[Verdict, tuple[Hop, ...] | None]:
    """Return the verdict and what was weighed for it; None where it was denied before any rule was looked at."""
    endpoint = snapshot.endpoints.get((call.namespace, call.endpoint))
    enforcing = endpoint is not None and call.caller.username in endpoint.enforcers
    if endpoint is None or not (enforcing or may_ask(endpoint, call)):
        # An unknown endpoint and an unknown caller get the same answer, so that no caller learns which endpoints exist.
        return Verdict(outcome=Outcome.FORBIDDEN, reason=Reason.NO_RULE), None
    dry_run = call.dry_run or not enforcing
    admitted = admit(snapshot, endpoint, call, around)
    # A test for a Party, and not for a reason, is fast for almost every call.
    if not isinstance(admitted, Party):
        revocation = None
        if admitted is Reason.IDENTITY_REVOKED and (found := find_revocation(endpoint, call, around)) is not None:
            revocation = found.name
        return Verdict(outcome=Outcome.DENY, reason=admitted, dry_run=dry_run, revocation=revocation), None
    numbers = around.history.numbers if endpoint.histories else None
    passed = hops(endpoint, call, admitted, around.now, numbers)
    audit = _audit_rules(passed) if endpoint.audits else ()
    verdict = _weigh(passed, _Case(call, admitted, around, dry_run, audit, digest, endpoint), grants)
    if numbers is not None and is_touched(passed, endpoint, call):
        verdict = with_history(verdict, passed, endpoint, call, admitted, around)
    return _deny_while_outdated(verdict) if around.outdated else verdict, passed


def _deny_while_outdated(verdict: Verdict) -> Verdict:
    """Return the verdict where a change of the policies is not compiled yet: what would let through denies.

    So does what is used up: the call that took the last use may come again, and is let through by that. And so does
    what numbers of histories could let through: none are read, and nothing is counted.
    """
    final = verdict.reason is not Reason.APPROVAL_CONSUMED and verdict.needs is None and not verdict.wants_numbers
    if verdict.outcome is Outcome.DENY and final:
        return verdict
    # Without a gate nothing is looked for that could be used.
    return replace(
        verdict,
        outcome=Outcome.DENY,
        reason=Reason.POLICY_OUTDATED,
        message=None,
        gate=None,
        digest=None,
        grants=(),
        needs=None,
        wants_numbers=False,
    )


def admit(snapshot: Snapshot, endpoint: CompiledEndpoint, call: Call, around: Circumstances) -> Party | Reason:
    """Return the proven subject, or why the call is denied before any rule is looked at."""
    closed = _closed_reason(snapshot, endpoint, call, around)
    if closed is not None:
        return closed
    if not isinstance(call.subject, Party):
        return call.subject.reason
    if around.revocations and find_revocation(endpoint, call, around) is not None:
        return Reason.IDENTITY_REVOKED
    if endpoint.broken and not endpoint.broken.keys().isdisjoint(
        key for party in (call.subject, *call.actors) for key in party.keys
    ):
        return Reason.POLICY_INVALID
    if call.actors and (endpoint.settings is None or invalid(endpoint.settings, call, call.subject)):
        return Reason.DELEGATION_INVALID
    return call.subject if call.refused is None else call.refused


def find_revocation(endpoint: CompiledEndpoint, call: Call, around: Circumstances) -> PartyRevocation | None:
    """Return the revocation that refuses a party of a call: its enforcer, its subject or one of its actors.

    The subject and the outermost actor show tokens of their own. An enforcer and the actors within show none that
    counts here, so that they are refused by name.
    """
    revocations = around.revocations
    if call.caller.username in endpoint.enforcers:
        found = revocations.of_name(CLUSTER, call.caller.username)
        if found is not None:
            return found
    parties = (call.subject, *call.actors)
    for place, party in enumerate(parties):
        if isinstance(party, Party) and (found := revocations.refusal(party, shown=place <= 1)) is not None:
            return found
    return None


def _closed_reason(snapshot: Snapshot, endpoint: CompiledEndpoint, call: Call, around: Circumstances) -> Reason | None:
    """Return why the endpoint denies every call, for any subject; None if it does not."""
    if around.freshness is _DEAD:
        return Reason.STORE_STALE
    return Reason.POLICY_INVALID if call.namespace in snapshot.unreadable else endpoint.closed


class _Case(msgspec.Struct, frozen=True, gc=False):
    call: Call
    subject: Party
    around: Circumstances
    dry_run: bool
    audit: tuple[tuple[str, str, str], ...]
    digest: str | None
    endpoint: CompiledEndpoint

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
    if not isinstance(call.subject, Party):
        return False
    about_itself = (call.subject.id, call.subject.uid) == (call.caller.username, call.caller.uid) and not call.actors
    return about_itself and not call.subject.keys.isdisjoint(endpoint.named_subjects)


class _Effects(msgspec.Struct, gc=False):
    """What rules that are enforced do to a call. `stopped`: the first hop that must pass, and does not."""

    denying: list[tuple[Finding, Hop]]
    allowing: list[CompiledRule]
    gated: dict[CompiledRule, Gate]
    stopped: Hop | None = None


def _effects(passed: Iterable[Hop]) -> _Effects:
    """Return what the rules do, in no order; one with a gate may stand before several hops."""
    found = _Effects([], [], {})
    for hop in passed:
        let_through = not hop.must_allow
        for finding in hop.findings:
            rule, standing = finding.rule, finding.standing
            if standing is _SILENT or rule.audit:
                continue
            if standing is _DENIES or rule.effect is _DENY:
                found.denying.append((finding, hop))
                continue
            let_through = True
            if rule.gate is not None:
                found.gated[rule] = rule.gate
            elif rule.effect is _ALLOW:
                found.allowing.append(rule)
        if found.stopped is None and (hop.refused is not None or not let_through):
            found.stopped = hop
    return found


def _weigh(passed: Iterable[Hop], case: _Case, grants: Iterable[Grant]) -> Verdict:
    found = _effects(passed)
    hop = found.stopped
    # What no rule lets through is denied whatever an undecided Deny comes to, so that one says nothing of such a call.
    if found.denying and (hop is None or not all(_is_undecided_deny(finding) for finding, _ in found.denying)):
        return _deny(found.denying, case)
    if hop is not None:
        return _deny_without_rule(case, hop) if hop.refused is None else case.deny(hop.refused, hop=hop)
    if found.gated:
        gated = dict(sorted(found.gated.items(), key=lambda one: one[0].place))
        rule = next(iter(gated))
        # Before they are joined: one namespace may have thousands of such rules.
        if unmeetable(gated.values()) is not None:
            return case.deny(Reason.MULTIPLE_GATES, rule)
        return _decide_gate(rule, join_gates([case.endpoint.gate(*one) for one in gated.items()]), case, grants)
    if not found.allowing:
        return case.deny(Reason.NO_RULE)
    allowed = found.allowing[0] if len(found.allowing) == 1 else min(found.allowing, key=lambda rule: rule.place)
    return Verdict(outcome=_ALLOWED, reason=_BY_RULE, rule=allowed, dry_run=case.dry_run, audit=case.audit)


def _is_undecided_deny(finding: Finding) -> bool:
    return finding.rule.effect is _DENY and finding.reason is not Reason.POLICY_DENIED


def _deny(denying: Iterable[tuple[Finding, Hop]], case: _Case) -> Verdict:
    """Deny by what weighs most: a Deny before a gate that is shut, of either the first."""
    finding, hop = min(denying, key=lambda one: (one[0].standing is _DENIES, _precedence(one[0])))
    return case.deny(finding.reason or Reason.POLICY_DENIED, finding.rule, finding.message, hop)


def _deny_without_rule(case: _Case, hop: Hop) -> Verdict:
    """Deny for want of a rule, and name the one that came nearest."""
    silent = [finding for finding in hop.findings if not finding.rule.audit and finding.rule.effect is Effect.ALLOW]
    if not silent:
        return case.deny(Reason.NO_RULE, hop=hop)
    nearest = min(silent, key=_precedence)
    return case.deny(nearest.reason or Reason.NO_RULE, nearest.rule, nearest.message, hop)


def _precedence(finding: Finding) -> tuple[int, tuple[str, str]]:
    """Order findings of one effect: by what is to be said, so that names decide only which of equals is named."""
    return (-1 if finding.reason is None else _RANK[finding.reason], finding.rule.place)


def _decide_gate(rule: CompiledRule, gate: Gate, case: _Case, grants: Iterable[Grant]) -> Verdict:
    call, subject, around = case.call, case.subject, case.around
    try:
        digest = case.digest or digest_of(call, subject)
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
    judged, alike = _judge_grants(grants, case, gate, digest)
    # Over all of them: a caller cannot ask reviewers again sooner by naming another approval, by showing an invalid
    # token, or by varying attributes that no rule reads.
    cools_until = _cools_until([*judged, *alike], gate, around)
    shown = call.shown
    if shown is not None:
        if not _proves(shown, call, subject, digest):
            return replace(denied, reason=Reason.APPROVAL_TOKEN_INVALID, cools_until=cools_until)
        judged = [(found, grant) for found, grant in judged if grant.id == shown.id]
    usable = approval.order_grants(grant for found, grant in judged if found is Fitness.USABLE)
    if usable:
        if gate.by_token and (shown is None or shown.token is None):
            # Named, so that the caller gets the token of this grant.
            return replace(denied, reason=Reason.APPROVAL_TOKEN_REQUIRED, pending=usable[0])
        return replace(
            denied, outcome=Outcome.USE_GRANT, reason=Reason.ALLOWED, grants=tuple(usable[:MAX_TRIED_GRANTS])
        )
    waiting = approval.order_grants(grant for found, grant in judged if found is Fitness.PENDING)
    if waiting:
        return replace(denied, reason=Reason.APPROVAL_PENDING, pending=waiting[0])
    latest = approval.latest_ended(grant for _, grant in judged)
    nothing = Fitness.OUTDATED if cools_until is None else Fitness.DENIED
    found = next((found for found, grant in judged if grant is latest), nothing)
    by = None
    if found is Fitness.REVOKED and latest is not None:
        by = approval.find_revocation(latest, call, subject, around)
    return replace(denied, reason=found.value, cools_until=cools_until, revocation=None if by is None else by.name)


def _judge_grants(
    grants: Iterable[Grant], case: _Case, gate: Gate, digest: str
) -> tuple[list[tuple[Fitness, Grant]], list[tuple[Fitness, Grant]]]:
    """Return the grants of this very call, and those whose denial would be one of this call too."""
    judged, alike = [], []
    same = same_request(case.call, case.subject, gate)
    for grant in grants:
        if approval.answers(grant, case.call, case.subject, digest):
            judged.append((approval.fitness(grant, gate, case.call, case.subject, case.around), grant))
        elif same(grant):
            alike.append((approval.fitness(grant, gate, case.call, case.subject, case.around), grant))
    return judged, alike


def _proves(shown: ShownApproval, call: Call, subject: Party, digest: str) -> bool:
    """Tell whether what was shown of an approval may be of this call. A token is never enough, a wrong one denies."""
    token = shown.token
    if shown.invalid or token is None:
        return not shown.invalid
    return (
        token.grant == shown.id
        and token.subject_uid == subject.uid
        and list(token.actors) == approval.chain(call)
        and token.binding_hash in {None, hash_of(digest)}
    )


def _cools_until(judged: Iterable[tuple[Fitness, Grant]], gate: Gate, around: Circumstances) -> float | None:
    """Return until when reviewers are not asked again after a denial; forever while its time is unknown."""
    denials = [grant.denied_at for found, grant in judged if found is Fitness.DENIED]
    ends = [float("inf") if since is None else since + gate.limits.deny_cooldown_seconds for since in denials]
    return max((end for end in ends if not around.surely_past(end)), default=None)


def _refusal(call: Call, subject: Party, gate: Gate, around: Circumstances) -> Reason | None:
    """Why no grant can serve at the moment, whatever it says."""
    if around.freshness is not Freshness.FRESH:
        return Reason.STORE_STALE
    if not around.guard_proven:
        return Reason.APPROVAL_UNVERIFIABLE
    people = any(step.kind == "Human" for step in gate.steps)
    if people and any(party.reviewer is None for party in (subject, *call.actors)):
        # It could not be detected that a reviewer approves their own request.
        return Reason.APPROVAL_UNVERIFIABLE
    if display.lacking(call, gate) or (gate.scope and approval.scope_of(call.resource, gate) is None):
        return Reason.CONTEXT_INSUFFICIENT
    return None if display.inspectable(call, gate) else Reason.UNINSPECTABLE


def _audit_rules(passed: Iterable[Hop]) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        sorted(
            (finding.rule.policy.name, finding.rule.name, finding.rule.effect.value)
            for hop in passed
            for finding in hop.findings
            if finding.rule.audit and finding.standing is not Standing.SILENT
        )
    )
