"""History needs: what a verdict depends on that the endpoint counts, and what it is where numbers are missing.

Standing: under `decide`, which asks for it only at endpoints with histories. Holds: pure; what has to be counted and is
not lets no call through; a denial that numbers could lift is never called final.
"""

from collections.abc import Iterable, Iterator, Sequence, Set as AbstractSet
from typing import Final

from msgspec.structs import replace

from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.hops import Hop, applies, seen
from bailiwick_engine.decision.match import Finding, Standing, disabled_reason
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.history.needs import HistoryNeeds, denial_needs, history_needs
from bailiwick_engine.policy.model import CompiledCeiling, CompiledRule, Effect
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_engine.reasons import EXPLAINED, Reason

_OPENS: Final = frozenset({Outcome.ALLOW, Outcome.USE_GRANT})


def with_history(
    verdict: Verdict,
    passed: Sequence[Hop],
    endpoint: CompiledEndpoint,
    call: Call,
    subject: Party,
    around: Circumstances,
) -> Verdict:
    """Return the verdict with what it needs of histories; a denial where that cannot be had.

    `passed` is what it was weighed from, with the numbers of `around`.
    """
    basis = _VerdictBasis(passed, endpoint, call, around.now)
    readings = around.history
    # The call that took the last use may come again, and is let through by that.
    opens = verdict.outcome in _OPENS or verdict.reason is Reason.APPROVAL_CONSUMED
    defined = frozenset[str]() if opens else frozenset(one.name for one in endpoint.histories)
    hangs = not opens and basis.could_pass(defined)
    if readings.rules_alone:
        return replace(verdict, wants_numbers=hangs and basis.could_pass(defined - readings.numbers.keys()))
    if not (opens or hangs or verdict.awaits_approval):
        return verdict
    needs = basis.needs(subject)
    if isinstance(needs, Reason):
        # So that no reviewer is asked about a call that could not be counted.
        return _denied(verdict, needs)
    if needs is None or not (opens or hangs):
        return verdict
    if opens:
        if needs.counts and not readings.counted:
            return replace(_denied(verdict, readings.refusal or Reason.HISTORY_UNAVAILABLE), needs=needs)
        known = not readings.numbers.keys().isdisjoint(_read(needs))
        return replace(verdict, needs=needs) if needs.counts or known or basis.audits() else verdict
    # What is left out of the needs, because the call lacks a part of its key, is never known.
    if not basis.could_pass(_read(needs)):
        return verdict
    if basis.could_pass(_read(needs) - readings.numbers.keys()):
        verdict = replace(_denied(verdict, readings.refusal or Reason.HISTORY_UNAVAILABLE), wants_numbers=True)
    return replace(verdict, needs=needs)


def is_touched(passed: Iterable[Hop], endpoint: CompiledEndpoint, call: Call) -> bool:
    """Tell whether a history may count a call that passes, or a rule reads one. Most calls are not touched by any."""
    action = call.action.name
    for history in endpoint.histories:
        if not history.counts_denied and action in history.actions:
            return True
    for hop in passed:
        for finding in hop.findings:
            for condition in finding.rule.conditions:
                if condition.histories:
                    return True
    return bool(call.actors) and any(one.histories for entry in endpoint.ceiling for one in entry.conditions)


def denied_needs(endpoint: CompiledEndpoint, call: Call, verdict: Verdict, now: float) -> HistoryNeeds | None:
    """Return the objects that a denied call is counted in, after its answer; None: it is counted in none.

    It counts where the rules denied it to an enforcer, for a subject that is known: not where a state of the decision
    point or of an approval did, or what could not be read of the call.
    """
    subject = call.subject
    if verdict.outcome is not Outcome.DENY or verdict.dry_run or EXPLAINED[verdict.reason].states:
        return None
    if not isinstance(subject, Party):
        return None
    if not any(one.counts_denied and call.action.name in one.actions for one in endpoint.histories):
        return None
    return denial_needs(endpoint.histories, call, subject, seen(endpoint, call, subject, now))


def _denied(verdict: Verdict, reason: Reason) -> Verdict:
    """Return a denial in place of a verdict. Without a gate nothing is looked for that could be used or asked for."""
    return replace(
        verdict,
        outcome=Outcome.DENY,
        reason=reason,
        message=None,
        gate=None,
        digest=None,
        grants=(),
        pending=None,
        cools_until=None,
    )


def _read(needs: HistoryNeeds) -> frozenset[str]:
    return frozenset(history.name for need in needs.objects for history in need.reads)


class _VerdictBasis:
    """The rules that a verdict was weighed from, and what numbers could make of them."""

    def __init__(self, passed: Sequence[Hop], endpoint: CompiledEndpoint, call: Call, now: float) -> None:
        self._passed, self._endpoint, self._call, self._now = passed, endpoint, call, now

    def needs(self, subject: Party) -> HistoryNeeds | Reason | None:
        """Return what the call needs, see `history_needs`. It is the same whatever numbers are known."""
        endpoint, call = self._endpoint, self._call
        read = {name for part in self._parts() for one in part.conditions for name in one.histories}
        return history_needs(endpoint.histories, call, subject, seen(endpoint, call, subject, self._now), sorted(read))

    def audits(self) -> bool:
        """Tell whether a rule of an Audit-mode policy reads a history: what it would have done is recorded too."""
        return any(rule.audit and _reads(rule, None) for rule in self._rules())

    def could_pass(self, names: AbstractSet[str]) -> bool:
        """Tell whether other numbers of these histories could let a denied call get further. It errs to yes."""
        if not names or not all(self._could_pass_hop(hop, names) for hop in self._passed):
            return False
        # What stands in the way of a hop that could pass reads one of them; a gate may do so too.
        return any(_is_blocked(hop) for hop in self._passed) or any(
            finding.standing is Standing.APPLIES and finding.rule.gate is not None and _reads(finding.rule, names)
            for hop in self._passed
            for finding in _enforced(hop)
        )

    def _could_pass_hop(self, hop: Hop, names: AbstractSet[str]) -> bool:
        # Of what refuses a hop, the ceiling alone reads anything.
        if hop.refused is not None and not any(_reads(entry, names) for entry in self._ceiling()):
            return False
        enforced = _enforced(hop)
        if any(_denies(finding) and not _reads(finding.rule, names) for finding in enforced):
            return False
        return not hop.must_allow or applies(hop) or any(self._could_allow(one, hop.seen, names) for one in enforced)

    def _could_allow(self, finding: Finding, values: Inputs | None, names: AbstractSet[str]) -> bool:
        """Tell whether a rule that does not let the hop through could, with other numbers."""
        rule = finding.rule
        if rule.effect is Effect.DENY or finding.reason is Reason.WORKLOAD_UNAPPROVED or not _reads(rule, names):
            return False
        fixed = (one for one in rule.conditions if one.histories.isdisjoint(names))
        if values is None or not all(one.outcome(values) is True for one in fixed):
            return False
        return not rule.limits or disabled_reason(rule, self._call, self._now) is None

    def _parts(self) -> Iterator[CompiledRule | CompiledCeiling]:
        yield from self._rules()
        yield from self._ceiling()

    def _rules(self) -> Iterator[CompiledRule]:
        return (finding.rule for hop in self._passed for finding in hop.findings)

    def _ceiling(self) -> Iterable[CompiledCeiling]:
        """Return the entries of the ceiling that speak of a call on behalf of others."""
        call = self._call
        entries = self._endpoint.ceiling if call.actors else ()
        return (entry for entry in entries if entry.covers(call.action.name, call.resource))


def _reads(part: CompiledRule | CompiledCeiling, names: AbstractSet[str] | None) -> bool:
    """Tell whether a rule reads one of these histories; `names` None: any."""
    found = (one.histories for one in part.conditions)
    return any(found) if names is None else any(not one.isdisjoint(names) for one in found)


def _enforced(hop: Hop) -> list[Finding]:
    return [finding for finding in hop.findings if not finding.rule.audit]


def _is_blocked(hop: Hop) -> bool:
    """Tell whether a hop does not pass: the ceiling, a rule that denies, or the want of one that lets it through."""
    return hop.refused is not None or any(map(_denies, _enforced(hop))) or (hop.must_allow and not applies(hop))


def _denies(finding: Finding) -> bool:
    if finding.standing is Standing.DENIES:
        return True
    return finding.standing is Standing.APPLIES and finding.rule.effect is Effect.DENY
