"""Derive: decide the call of one record again, with the serving engine, from the record and the policies' texts.

Holds: pure. All possible values of what the record does not contain are tried, up to a limit. What no record can
contain (the state of grants, limits, clocks, the store, tokens) is taken from its reason, and only if the engine gets
far enough to need it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from bailiwick_engine.call import Call
from bailiwick_engine.cel.members import Path
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.historynumbers import HistoryNumbers, HistoryReadings
from bailiwick_engine.policy.dimensions.table import reads_of
from bailiwick_engine.policy.model import CompiledSettings, PolicyRef
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.reasonrow import Disposition, ReasonState
from bailiwick_engine.reasons import EXPLAINED, Reason, reasons_of
from bailiwick_evidence.derive.choices import Unknowns
from bailiwick_evidence.derive.derivation import (
    UNWRITTEN,
    Derivation,
    DerivationClass,
    EngineAnswer,
    Obstacle,
    underivable,
)
from bailiwick_evidence.derive.grantfit import grant_fits
from bailiwick_evidence.derive.rebuild import CallOnRecord, rebuild_call
from bailiwick_evidence.derive.shape import RecordShape, parse_record
from bailiwick_evidence.derive.texts import KnownEndpoint, PolicyTexts
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_evidence.linekinds import DECISIONS

_REASONS: Final = frozenset(reason.value for reason in Reason)
MOST_RUNS: Final = 4_096
"""The maximum number of combinations of unknown values that are tried."""
# What an adapter could not read as a call.
REFUSALS: Final = reasons_of(ReasonState.ADAPTER)
_UNPROVEN: Final = reasons_of(ReasonState.IDENTITY)
_AT_A_GATE: Final = reasons_of(ReasonState.GATE)
# Whatever the rules let through, and what a number that was not known could have let through.
_NOT_COUNTED: Final = frozenset({Reason.HISTORY_UNAVAILABLE, Reason.HISTORY_UNCOUNTABLE})
_DERIVED: Final = Derivation(DerivationClass.DERIVED)
_ATTESTED: Final = Derivation(DerivationClass.ATTESTED)


class Retrace(NamedTuple):
    """A recorded call and the engine's verdict on it without grants: the verdict from which the record follows, if any.

    `endpoint` as it was then; None: the decision point knew none. Conditions and properties that depend on `sealed`
    values have the outcomes from which the record follows, until something else is derived with the same texts.
    `history` are the numbers that were known.
    """

    call: Call
    endpoint: CompiledEndpoint | None
    verdict: Verdict
    now: float
    sealed: frozenset[Path]
    history: Mapping[str, HistoryNumbers] = {}


def derive(
    record: Mapping[str, Any], policies: PolicyTexts, engine: Mapping[str, str] | None = engine_versions()
) -> Derivation:
    """Return the result for a record. `engine`: the versions that decided, from the line that opens the chain.

    Without that line it is None. A record of another engine is derived as any, but never contradicted or unreadable.
    """
    return retrace_record(record, policies, engine)[0]


def retrace_record(
    record: Mapping[str, Any], policies: PolicyTexts, engine: Mapping[str, str] | None = engine_versions()
) -> tuple[Derivation, Retrace | None]:
    """Return the result for a record as `derive` does, and its call if the record follows or is contradicted."""
    found, retrace = _retrace(record, policies)
    if engine == engine_versions():
        # Its own version reads all that a process writes, so that no member can keep a forged verdict from being found.
        return Derivation(DerivationClass.UNREADABLE, found.obstacle) if found.obstacle in UNWRITTEN else found, retrace
    if found.kind is DerivationClass.CONTRADICTED:
        return underivable(Obstacle.ENGINE_VERSION_UNKNOWN), None
    return found, retrace


def _retrace(record: Mapping[str, Any], policies: PolicyTexts) -> tuple[Derivation, Retrace | None]:
    """Return the result for a record as if this version had decided, and its call."""
    if record.get("kind") not in DECISIONS:
        return underivable(Obstacle.NOT_A_DECISION), None
    shape = parse_record(record)
    if shape is None:
        return underivable(Obstacle.RECORD_UNREADABLE), None
    if shape.now is None:
        return underivable(Obstacle.ATTRIBUTE_MISSING), None
    if shape.reason not in _REASONS:
        return underivable(Obstacle.REASON_UNKNOWN), None
    known = endpoint_on_record(shape, policies)
    if isinstance(known, Obstacle):
        return underivable(known), None
    # The settings are those of a policy that does not compile, so they are unknown.
    unread = known is not None and not known.configured and _has_broken_policy(shape, policies)
    found, retrace = _compare_verdicts(shape, known, unread=unread)
    if unread and found.kind is DerivationClass.CONTRADICTED:
        return underivable(Obstacle.POLICY_BROKEN), None
    return found, retrace


def endpoint_on_record(shape: RecordShape, policies: PolicyTexts) -> KnownEndpoint | Obstacle | None:
    """Return the endpoint; None if the decision point knew none."""
    listed: Mapping[str, str | None] | None = shape.policies
    if shape.policies_digest is not None:
        listed = policies.find_list(shape.policies_digest)
        if listed is None:
            return Obstacle.POLICY_LIST_MISSING
    if listed is None:
        return None
    if shape.policy is not None and listed.get(shape.policy.name) != shape.policy.digest:
        return Obstacle.RECORD_UNREADABLE
    namespace, _, name = shape.endpoint.partition("/")
    return policies.endpoint(namespace, name, listed, shape.suspended)


def _has_broken_policy(shape: RecordShape, policies: PolicyTexts) -> bool:
    """Tell whether one of the policies did not compile."""
    listed = shape.policies if shape.policies_digest is None else policies.find_list(shape.policies_digest)
    return None in (listed or {}).values()


def _compare_verdicts(
    shape: RecordShape, known: KnownEndpoint | None, *, unread: bool
) -> tuple[Derivation, Retrace | None]:
    """Compare the record with every verdict that its call can have. `unread`: the settings are unknown."""
    first: Retrace | None = None
    reason = Reason(shape.reason)
    for refused in (None, reason) if reason in REFUSALS else (None,):
        found = rebuild_call(shape, refused)
        if found is None:
            return underivable(Obstacle.RECORD_UNREADABLE), None
        if known is not None and shape.attributes is None and shape.subject is not None and _reads(known.compiled):
            return underivable(Obstacle.ATTRIBUTE_MISSING), None
        for run, (verdict, chosen, endpoint) in enumerate(_verdicts(shape, found, known, unread=unread)):
            fits = fit(shape, verdict, found)
            retrace = Retrace(found.call, endpoint, verdict, shape.now or 0.0, found.sealed, found.history)
            first = first or retrace
            if fits is not None and not _uncounted(shape, retrace):
                return (_ATTESTED if chosen else fits), retrace
            if run >= MOST_RUNS:
                return underivable(Obstacle.TOO_MANY_UNKNOWN), None
    answer = None if first is None else EngineAnswer.from_verdict(first.verdict, _uncounted(shape, first))
    return Derivation(DerivationClass.CONTRADICTED, answer=answer), first


def _reads(endpoint: CompiledEndpoint) -> bool:
    """Tell whether a rule reads attributes of a call, so that its record contains them."""
    return any(rule.conditions or reads_of(rule) for rule in endpoint.rules)


def _verdicts(
    shape: RecordShape, found: CallOnRecord, known: KnownEndpoint | None, *, unread: bool
) -> Iterator[tuple[Verdict, bool, CompiledEndpoint | None]]:
    """Yield each verdict that the engine can reach, whether it depends on unknown values, and for which endpoint."""
    call = found.call
    around = circumstances(shape, found)
    key = (call.namespace, call.endpoint)
    if known is None:
        yield decide(Snapshot({}), call, (), around), False, None
        return

    def decided(endpoint: CompiledEndpoint) -> tuple[Verdict, CompiledEndpoint]:
        present = (_with_enforcer(endpoint, call) if unread else endpoint).with_data(found.data)
        return decide(Snapshot({key: present}), call, (), around), present

    wanted: list[Unknowns] = []
    if shape.limits != "nul":
        # First as if every condition had been evaluated: most are, however large the call is.
        if found.sealed:
            wanted.append(Unknowns(found.sealed))
        else:
            verdict, present = decided(known.compiled)
            yield verdict, unread, present
    if shape.limits is not None or shape.reason == Reason.TOO_COSTLY:
        wanted.append(Unknowns(found.sealed, shape.limits or "size"))
    for unknown in wanted:
        endpoint, choices = known.standing_in(unknown)
        while True:
            verdict, present = decided(endpoint)
            yield verdict, unread or choices.has_choices, present
            if not choices.more():
                break


def circumstances(shape: RecordShape, found: CallOnRecord) -> Circumstances:
    """Return what the rules of a record were evaluated with. If the call could be counted, its record does not show."""
    return Circumstances(shape.now or 0.0, history=HistoryReadings(found.history, rules_alone=True))


def _uncounted(shape: RecordShape, retrace: Retrace) -> tuple[str, ...]:
    """Return the histories that count an allowed call for certain, and that its record does not count it in."""
    if not shape.decision or shape.dry_run or retrace.endpoint is None:
        return ()
    counted = {one.name for one in shape.history if one.added}
    return tuple(one.name for one in retrace.endpoint.histories if one.counts(retrace.call) and one.name not in counted)


def _with_enforcer(endpoint: CompiledEndpoint, call: Call) -> CompiledEndpoint:
    """Return the endpoint with settings that make the caller an enforcer, as it must have been for the decision."""
    caller = frozenset({call.caller.username})
    carrier = PolicyRef(call.namespace, "", "", 0)
    settings = CompiledSettings(carrier, caller, frozenset(), asserted=False, issuers=frozenset(), delegation=None)
    return replace(endpoint, settings=settings, enforcers=caller)


def fit(shape: RecordShape, verdict: Verdict, found: CallOnRecord) -> Derivation | None:
    """Return how the record follows from a verdict without grants, in a normal state; None if it does not."""
    if (shape.disposition_id == Disposition.UNAUTHORIZED) != (verdict.outcome is Outcome.FORBIDDEN):
        return None
    if shape.dry_run != verdict.dry_run:
        return None
    reason = Reason(shape.reason)
    if not shape.decision and (derivation := _state(shape, reason, verdict)) is not None:
        return derivation
    if not _same_place(shape, verdict):
        return None
    gated = verdict.gate is not None or (verdict.reason is Reason.UNINSPECTABLE and verdict.rule is not None)
    if gated and reason in _AT_A_GATE:
        return _ATTESTED if _gate_passed(shape, reason, verdict, found) else None
    if reason is not verdict.reason or shape.decision != (
        verdict.outcome is Outcome.ALLOW and shape.kind == "evaluation"
    ):
        return None
    derivable = EXPLAINED[reason].footing == "derivable" and shape.subject is not None
    return _DERIVED if derivable else _footing(shape, verdict)


def _footing(shape: RecordShape, verdict: Verdict) -> Derivation | None:
    if verdict.outcome is Outcome.FORBIDDEN:
        # A caller that is not an enforcer stays one for every subject.
        return _DERIVED
    return (
        _ATTESTED if shape.subject is not None or verdict.reason in _UNPROVEN | {Reason.ENDPOINT_UNCONFIGURED} else None
    )


def _state(shape: RecordShape, reason: Reason, verdict: Verdict) -> Derivation | None:
    """Return the result for a denial that the decision point gives in a state, regardless of the rules."""
    if verdict.outcome is Outcome.FORBIDDEN:
        return None
    if reason is Reason.STORE_STALE or reason is Reason.POLICY_INVALID:
        return _ATTESTED if shape.policy is None and not shape.audit else None
    if reason is Reason.IDENTITY_REVOKED:
        # Before any rule, of parties that are proven, and by an object that the record names.
        named = shape.revocation is not None and shape.subject is not None
        return _ATTESTED if named and shape.policy is None and not shape.audit else None
    opens = verdict.outcome is Outcome.ALLOW or verdict.gate is not None or verdict.wants_numbers
    if reason in _NOT_COUNTED or (reason is Reason.POLICY_OUTDATED and shape.snapshot.pending_seconds is not None):
        return _ATTESTED if opens and _same_place(shape, verdict) else None
    return None


def _same_place(shape: RecordShape, verdict: Verdict) -> bool:
    told = None if shape.policy is None else (shape.policy.name, shape.policy.rule)
    place = None if verdict.rule is None else verdict.rule.place
    audit = tuple((one.policy, one.rule, one.effect) for one in shape.audit)
    return (told, shape.hop, audit) == (place, verdict.hop, verdict.audit)


def _gate_passed(shape: RecordShape, reason: Reason, verdict: Verdict, found: CallOnRecord) -> bool:
    """Tell whether a grant can have let the call through, or can have been missing for it."""
    if reason is not Reason.ALLOWED:
        return not shape.decision
    if shape.kind == "request":
        return not shape.decision
    if not shape.decision or verdict.gate is None:
        return False
    # A dry run uses no grant.
    return shape.dry_run or (
        shape.grant is not None and grant_fits(shape.grant, shape.digest, verdict.gate, found.call)
    )
