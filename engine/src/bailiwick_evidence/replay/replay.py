"""Replay: one record by the policies that decided it, and by the candidate.

Standing: under `projections`. Holds: the old text is asked first, and another verdict than the recorded one is no
evidence; of what is not known every outcome is tried on both sides at once, up to a bound, and those that do not come
to the record are left out.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from bailiwick_engine.call import Call, Party, UnprovenParty
from bailiwick_engine.cel.members import Path
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import weighed
from bailiwick_engine.decision.explain import explain
from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.reasons import Reason, ReasonState, reasons_of
from bailiwick_evidence.derive.choices import Choices, Unknowns
from bailiwick_evidence.derive.derivation import Derivation, Obstacle
from bailiwick_evidence.derive.derive import REFUSALS, derive, endpoint_on_record, fit
from bailiwick_evidence.derive.rebuild import CallOnRecord, rebuilt
from bailiwick_evidence.derive.shape import RecordShape, parsed
from bailiwick_evidence.derive.texts import KnownEndpoint, PolicyTexts
from bailiwick_evidence.replay.candidate import Candidate
from bailiwick_evidence.replay.knowledge import covers, new_groups, not_told, proofs_alike, told, workload_untold
from bailiwick_evidence.replay.outcomes import (
    Hindrance,
    NearestRule,
    PolicyVerdict,
    ReplayClass,
    ReplayOutcome,
    ReplaySide,
    compared,
    hindered,
    policy_verdict,
)
from bailiwick_evidence.replay.pairs import EndpointPair, settings_of

_MOST_GROUPS: Final = 4
_OBSTACLES: Final[Mapping[Obstacle, Hindrance]] = {
    Obstacle.NOT_A_DECISION: Hindrance.UNREADABLE,
    Obstacle.RECORD_UNREADABLE: Hindrance.UNREADABLE,
    Obstacle.ATTRIBUTE_MISSING: Hindrance.ATTRIBUTE_NOT_RECORDED,
    Obstacle.REASON_UNKNOWN: Hindrance.ENGINE_VERSION,
    Obstacle.POLICY_TEXT_MISSING: Hindrance.POLICY_MISSING,
    Obstacle.POLICY_TEXT_WRONG: Hindrance.POLICY_MISSING,
    Obstacle.POLICY_LIST_MISSING: Hindrance.POLICY_MISSING,
    Obstacle.POLICY_ELSEWHERE: Hindrance.BASELINE_DIFFERS,
    Obstacle.POLICY_BROKEN: Hindrance.POLICY_MISSING,
    Obstacle.ENGINE_VERSION_UNKNOWN: Hindrance.ENGINE_VERSION,
    Obstacle.TOO_MANY_UNKNOWN: Hindrance.SEALED,
}
# These the decision point says of a state of its own, and the rules are not all that decided.
_STATES: Final = reasons_of(ReasonState.PROCESS)
_TIMED: Final = 5
_LONGEST: Final = 10**18
MOST_TRIED: Final = 512
"""So many combinations of what is not known are tried of one record."""


class EndpointStates:
    """The pairs of states by what records name. Both sides are made of the same texts.

    `clock`: what time it is, in nanoseconds since some moment; without it nothing is measured.
    """

    def __init__(self, texts: PolicyTexts, candidate: Candidate, clock: Callable[[], int] | None = None) -> None:
        self.texts = texts
        self.candidate = candidate
        self.clock = clock
        self._pairs: dict[tuple[int, int], EndpointPair] = {}

    def pair(self, shape: RecordShape) -> EndpointPair | Hindrance | None:
        """Return the states of a record's endpoint; None where the candidate says nothing of it."""
        namespace, _, name = shape.endpoint.partition("/")
        listed: Mapping[str, str | None] | None = shape.policies
        if shape.policies_digest is not None:
            listed = self.texts.listed(shape.policies_digest)
            if listed is None and not self.candidate.concerns(namespace, name, {}):
                return None
        before = listed or {}
        if not self.candidate.concerns(namespace, name, before):
            return None
        old = endpoint_on_record(shape, self.texts)
        if isinstance(old, Obstacle):
            return _OBSTACLES[old]
        after = self.candidate.over(namespace, name, before)
        # A policy of which nothing changes is as it was, also where it was being deleted.
        off = [one for one in shape.suspended if after.get(one) == before.get(one)]
        new = self.texts.endpoint(namespace, name, after, off) if after else None
        if isinstance(new, Obstacle):
            return _OBSTACLES[new]
        if old is not None and not old.configured and None in before.values():
            # Its settings were those of a policy that did not compile.
            return Hindrance.POLICY_MISSING
        return self._paired(old, new)

    def _paired(self, old: KnownEndpoint | None, new: KnownEndpoint | None) -> EndpointPair:
        key = (id(old), id(new))
        found = self._pairs.get(key)
        if found is None:
            found = self._pairs[key] = EndpointPair(old, new)
        return found


def replayed(
    record: Mapping[str, Any], states: EndpointStates, engine: Mapping[str, str] | None
) -> ReplayOutcome | None:
    """Return what a record comes to; None where the candidate says nothing of its endpoint. `engine`: see `derive`."""
    shape = parsed(record)
    if shape is None:
        return hindered(Hindrance.UNREADABLE)
    pair = states.pair(shape)
    if pair is None:
        return None
    if isinstance(pair, Hindrance):
        return hindered(pair)
    derived = derive(record, states.texts, engine)
    if (hindrance := _hindrance(shape, derived)) is not None:
        return hindered(hindrance)
    reason = Reason(shape.reason)
    for refused in (None, reason) if reason in REFUSALS else (None,):
        found = rebuilt(shape, refused)
        if found is not None:
            outcome = _CallReplay(shape, found, pair, states.clock).outcome()
            if outcome is not None:
                return outcome
    return hindered(Hindrance.BASELINE_DIFFERS)


def _hindrance(shape: RecordShape, derived: Derivation) -> Hindrance | None:
    if derived.obstacle is not None:
        return _OBSTACLES[derived.obstacle]
    if derived.kind == "contradicted":
        return Hindrance.BASELINE_DIFFERS
    return Hindrance.STATE if not shape.decision and Reason(shape.reason) in _STATES else None


class _Run(NamedTuple):
    """A combination of what is not known that comes to the record. `has`: what the record would have under it."""

    old: Verdict
    has: frozenset[Path]
    new: Verdict


@dataclass(frozen=True, slots=True)
class _CallReplay:
    shape: RecordShape
    found: CallOnRecord
    pair: EndpointPair
    clock: Callable[[], int] | None

    def outcome(self) -> ReplayOutcome | None:
        """Return what the call comes to; None where the old state does not come to the record."""
        tried = self._runs(Unknowns(self.found.sealed, self._limits), (), new=False)
        if self.pair.same:
            # One is as good as all of them: both sides say the same of each.
            one = next((run for run in tried if run is not None), None)
            side = None if one is None else ReplaySide.of(one.old)
            return None if side is None else ReplayOutcome(ReplayClass.UNCHANGED, old=side, news=(side,))
        first = list(itertools.islice(tried, MOST_TRIED))
        if len(first) == MOST_TRIED:
            return hindered(Hindrance.SEALED)
        fitting = [run for run in first if run is not None]
        if not fitting:
            return None
        has = frozenset.intersection(*(run.has for run in fitting))
        call, (old, new) = self.found.call, (self.pair.old, self.pair.new)
        more = not_told(new, self.found, self.shape, has)
        groups = new_groups(old, new, call)
        if len(groups) > _MOST_GROUPS or workload_untold(old, new, call, self.shape):
            return hindered(Hindrance.ATTRIBUTE_NOT_RECORDED)
        missing = frozenset(path for path in more if not covers(has, path))
        unsure = Hindrance.ATTRIBUTE_NOT_RECORDED if missing or groups else None
        return self._joint(Unknowns(self.found.sealed | more, self._limits), groups, missing, unsure)

    @property
    def _limits(self) -> str | None:
        return self.shape.limits or ("size" if self.shape.reason == Reason.TOO_COSTLY else None)

    def _joint(
        self,
        unknown: Unknowns,
        groups: tuple[tuple[int, str], ...],
        missing: frozenset[Path],
        unsure: Hindrance | None,
    ) -> ReplayOutcome:
        """Return what both sides together come to. `unsure`: what more than one class means; None: MAYBE."""
        runs: list[_Run] = []
        may: set[ReplayClass] = set()
        for count, run in enumerate(self._runs(unknown, groups, new=True)):
            if count >= MOST_TRIED:
                return hindered(unsure or Hindrance.SEALED)
            # What would be on record is known not to be as it would have to be for that.
            if run is None or any(covers(run.has, path) for path in missing):
                continue
            runs.append(run)
            may |= compared(ReplaySide.of(run.old), (ReplaySide.of(run.new),))
            if len(may) == len(PolicyVerdict) or (unsure is not None and len(may) > 1):
                break
        if not runs:
            return hindered(Hindrance.ATTRIBUTE_NOT_RECORDED)
        if (hindrance := self._unproven(runs)) is not None:
            return hindered(hindrance)
        if len(may) > 1 and unsure is not None:
            return hindered(unsure)
        old, news = ReplaySide.of(runs[0].old), tuple(dict.fromkeys(ReplaySide.of(run.new) for run in runs))
        if len(may) > 1:
            return ReplayOutcome(ReplayClass.MAYBE, old=old, news=news, may=frozenset(may))
        if unknown or groups:
            return ReplayOutcome(may.pop(), old=old, news=news[:1])
        return self._certain(may.pop(), old, news[0])

    def _certain(self, kind: ReplayClass, old: ReplaySide, new: ReplaySide) -> ReplayOutcome:
        """Return what a call comes to of which all is known that either side reads."""
        if kind is not ReplayClass.UNCHANGED:
            old, new = self._explained(old, self.pair.old), self._explained(new, self.pair.new)
        before, after = self._times()
        return ReplayOutcome(kind, old=old, news=(new,), old_ns=before, new_ns=after)

    def _explained(self, side: ReplaySide, endpoint: CompiledEndpoint | None) -> ReplaySide:
        """Return what a side says with the rule that came nearest, where it is a denial that is no rule's."""
        if side.verdict is not PolicyVerdict.DENY or side.rule is not None:
            return side
        call = self.found.call
        found = explain(self._snapshot(endpoint, call), call, Circumstances(self.shape.now or 0.0))
        for one in () if found is None else found.near:
            # What only other rules read is not on record, and would be unknown; it is not what the call lacks.
            lacks = next((clause for clause in one.unmet if clause.held is False), None)
            if lacks is not None:
                return dataclasses.replace(side, near=NearestRule(one.rule.place, lacks))
        return side

    def _unproven(self, runs: list[_Run]) -> Hindrance | None:
        """Return what keeps the candidate's verdict from counting, where it hangs on what the edge would have said."""
        call, (old, new) = self.found.call, (self.pair.old, self.pair.new)
        closed = all(run.new.outcome is Outcome.FORBIDDEN for run in runs) or settings_of(new) is None
        if closed:
            return None
        if isinstance(call.subject, UnprovenParty):
            # Who it was is not on record.
            strange = any(run.old.outcome is Outcome.FORBIDDEN for run in runs) or settings_of(old) is None
            if strange or not proofs_alike(old, new, call):
                return Hindrance.ATTRIBUTE_NOT_RECORDED
            return None
        if call.refused is not None:
            before, after = settings_of(old), settings_of(new)
            alike = before is not None and after is not None and before.routes == after.routes
            return None if alike else Hindrance.STATE
        denied = all(policy_verdict(run.new) is PolicyVerdict.DENY for run in runs)
        return None if denied or proofs_alike(old, new, call) else Hindrance.STATE

    def _runs(self, unknown: Unknowns, groups: tuple[tuple[int, str], ...], *, new: bool) -> Iterator[_Run | None]:
        """Yield each combination of what is not known; None for one that does not come to the record.

        `new`: ask the candidate too; else its verdict is the old one.
        """
        plain = (self.pair.old, self.pair.new, Choices())
        old, after, choices = self.pair.joint(unknown) if unknown or groups else plain
        call = self.found.call
        while True:
            verdict, passed = self._decided(old, call)
            if fit(self.shape, verdict, self.found) is None:
                yield None
            else:
                other = self._decided(after, _in_groups(call, groups, choices))[0] if new else verdict
                yield _Run(verdict, told(old, call, passed), other)
            if not choices.more():
                return

    def _decided(self, endpoint: CompiledEndpoint | None, call: Call) -> tuple[Verdict, tuple[Hop, ...] | None]:
        return weighed(self._snapshot(endpoint, call), call, (), Circumstances(self.shape.now or 0.0))

    def _snapshot(self, endpoint: CompiledEndpoint | None, call: Call) -> Snapshot:
        if endpoint is None:
            return Snapshot({})
        return Snapshot({(call.namespace, call.endpoint): endpoint.beside(self.found.data)})

    def _times(self) -> tuple[int, int]:
        """Return how long each state takes to decide, the shortest of some times."""
        if self.clock is None:
            return 0, 0
        call, around = self.found.call, Circumstances(self.shape.now or 0.0)
        snapshots = [self._snapshot(endpoint, call) for endpoint in (self.pair.old, self.pair.new)]
        best = [_LONGEST, _LONGEST]
        # In turns, so that what slows the machine down for a while slows both.
        for turn in range(2 * _TIMED):
            side = turn % 2
            began = self.clock()
            weighed(snapshots[side], call, (), around)
            best[side] = min(best[side], self.clock() - began)
        return best[0], best[1]


def _in_groups(call: Call, groups: tuple[tuple[int, str], ...], choices: Choices) -> Call:
    """Return the call with its parties in some of these groups, as the choices have it."""
    taken = [(number, name) for number, name in groups if choices.of(("group", number, name), (False, True))]
    if not taken:
        return call
    parties = [call.subject, *call.actors]
    for number, name in taken:
        party = parties[number]
        if isinstance(party, Party):
            parties[number] = replace(party, groups=(*party.groups, name))
    subject, *actors = parties
    return replace(call, subject=subject, actors=tuple(one for one in actors if isinstance(one, Party)))
