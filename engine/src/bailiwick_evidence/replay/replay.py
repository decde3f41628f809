"""Replay: decide one record's call with the policies that decided it, and with the candidate.

Standing: under `projections`. Holds: the old policies decide first; if their verdict differs from the record, the
record is not evidence. All outcomes of unknown values are tried on both sides at once, up to a limit. Combinations that
do not lead to the record are left out.
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
from bailiwick_engine.decision.decide import evaluate_hops
from bailiwick_engine.decision.explain import explain
from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.historynumbers import HistoryNumbers, HistoryReadings
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.reasonrow import ReasonState
from bailiwick_engine.reasons import Reason, reasons_of
from bailiwick_evidence.derive.choices import Choices, Unknowns
from bailiwick_evidence.derive.derivation import Derivation, DerivationClass, Obstacle
from bailiwick_evidence.derive.derive import REFUSALS, derive, endpoint_on_record, fit
from bailiwick_evidence.derive.rebuild import CallOnRecord, rebuild_call
from bailiwick_evidence.derive.shape import RecordShape, parse_record
from bailiwick_evidence.derive.texts import KnownEndpoint, PolicyTexts
from bailiwick_evidence.replay.candidate import Candidate
from bailiwick_evidence.replay.knowledge import (
    covers,
    known_numbers,
    new_groups,
    proofs_alike,
    recorded_paths,
    unrecorded_paths,
    workload_unrecorded,
)
from bailiwick_evidence.replay.outcomes import (
    Hindrance,
    NearestRule,
    PolicyVerdict,
    ReplayClass,
    ReplayOutcome,
    ReplaySide,
    classes_from,
    compare_verdicts,
    not_replayable,
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
# Reasons for a state of the decision point: not only the rules decided.
_STATES: Final = reasons_of(ReasonState.PROCESS)
_TIMED: Final = 5
_LONGEST: Final = 10**18
MOST_TRIED: Final = 512
"""The maximum number of combinations of unknown values that are tried for one record."""


class EndpointStates:
    """The pairs of states, by the policies in records. Both sides are made from the same texts.

    `clock`: a monotonic time in nanoseconds; without it nothing is measured.
    """

    def __init__(self, texts: PolicyTexts, candidate: Candidate, clock: Callable[[], int] | None = None) -> None:
        self.texts = texts
        self.candidate = candidate
        self.clock = clock
        self._pairs: dict[tuple[int, int], EndpointPair] = {}

    def pair(self, shape: RecordShape) -> EndpointPair | Hindrance | None:
        """Return the states of a record's endpoint; None if the candidate does not concern it."""
        namespace, _, name = shape.endpoint.partition("/")
        listed: Mapping[str, str | None] | None = shape.policies
        if shape.policies_digest is not None:
            listed = self.texts.find_list(shape.policies_digest)
            if listed is None and not self.candidate.concerns(namespace, name, {}):
                return None
        before = listed or {}
        if not self.candidate.concerns(namespace, name, before):
            return None
        old = endpoint_on_record(shape, self.texts)
        if isinstance(old, Obstacle):
            return _OBSTACLES[old]
        after = self.candidate.candidate_digests(namespace, name, before)
        # An unchanged policy stays as it was, even if it was being deleted.
        off = [one for one in shape.suspended if after.get(one) == before.get(one)]
        new = self.texts.endpoint(namespace, name, after, off) if after else None
        if isinstance(new, Obstacle):
            return _OBSTACLES[new]
        if old is not None and not old.configured and None in before.values():
            # Its settings were those of a policy that did not compile.
            return Hindrance.POLICY_MISSING
        return self._find_pair(old, new)

    def _find_pair(self, old: KnownEndpoint | None, new: KnownEndpoint | None) -> EndpointPair:
        key = (id(old), id(new))
        found = self._pairs.get(key)
        if found is None:
            found = self._pairs[key] = EndpointPair(old, new)
        return found


def replay_record(
    record: Mapping[str, Any],
    states: EndpointStates,
    engine: Mapping[str, str] | None,
    counted: Mapping[str, HistoryNumbers] | None = None,
) -> ReplayOutcome | None:
    """Return the result for a record; None if the candidate does not concern its endpoint. `engine`: see `derive`.

    `counted`: the numbers of the candidate's histories that the calls of the log add up to, by name.
    """
    shape = parse_record(record)
    if shape is None:
        return not_replayable(Hindrance.UNREADABLE)
    pair = states.pair(shape)
    if pair is None:
        return None
    if isinstance(pair, Hindrance):
        return not_replayable(pair)
    derived = derive(record, states.texts, engine)
    if (hindrance := _hindrance(shape, derived)) is not None:
        return not_replayable(hindrance)
    reason = Reason(shape.reason)
    for refused in (None, reason) if reason in REFUSALS else (None,):
        found = rebuild_call(shape, refused)
        if found is not None:
            outcome = _CallReplay(shape, found, pair, states.clock, counted or {}).outcome()
            if outcome is not None:
                return outcome
    return not_replayable(Hindrance.BASELINE_DIFFERS)


def _hindrance(shape: RecordShape, derived: Derivation) -> Hindrance | None:
    if derived.kind in {DerivationClass.CONTRADICTED, DerivationClass.UNREADABLE}:
        # By what its own policies say, or because no process of the version that decided writes it: another version
        # would not read it otherwise.
        return Hindrance.BASELINE_DIFFERS
    if derived.obstacle is not None:
        return _OBSTACLES[derived.obstacle]
    return Hindrance.STATE if not shape.decision and Reason(shape.reason) in _STATES else None


class _Run(NamedTuple):
    """A combination of unknown values that leads to the record. `has`: the paths that the record would have with it."""

    old: Verdict
    has: frozenset[Path]
    new: Verdict


@dataclass(frozen=True, slots=True)
class _CallReplay:
    shape: RecordShape
    found: CallOnRecord
    pair: EndpointPair
    clock: Callable[[], int] | None
    counted: Mapping[str, HistoryNumbers]

    def outcome(self) -> ReplayOutcome | None:
        """Return the result for the call; None if the old state does not lead to the record."""
        tried = self._runs(Unknowns(self.found.sealed, self._limits), (), new=False)
        if self.pair.same:
            # One combination stands for all: both sides give the same answer for each.
            one = next((run for run in tried if run is not None), None)
            side = None if one is None else ReplaySide.of_verdict(one.old)
            return None if side is None else ReplayOutcome(ReplayClass.UNCHANGED, old=side, news=(side,))
        first = list(itertools.islice(tried, MOST_TRIED))
        if len(first) == MOST_TRIED:
            return not_replayable(Hindrance.SEALED)
        fitting = [run for run in first if run is not None]
        if not fitting:
            return None
        has = frozenset.intersection(*(run.has for run in fitting))
        call, (old, new) = self.found.call, (self.pair.old, self.pair.new)
        more = unrecorded_paths(new, self.found, self.shape, has)
        groups = new_groups(old, new, call)
        if len(groups) > _MOST_GROUPS or workload_unrecorded(old, new, call, self.shape):
            return not_replayable(Hindrance.ATTRIBUTE_NOT_RECORDED)
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
        """Return the result of both sides. `unsure`: the result if several classes are possible; None: MAYBE."""
        tried = self._tried(unknown, groups, missing, sealed=unsure is None)
        if tried is None:
            return not_replayable(unsure or Hindrance.SEALED)
        runs, may = tried
        if not runs:
            return not_replayable(Hindrance.ATTRIBUTE_NOT_RECORDED)
        if (hindrance := self._unproven(runs)) is not None:
            return not_replayable(hindrance)
        if len(may) > 1 and unsure is not None:
            return not_replayable(unsure)
        old = ReplaySide.of_verdict(runs[0].old)
        news = tuple(dict.fromkeys(ReplaySide.of_verdict(run.new, run.old) for run in runs))
        if len(may) > 1:
            return ReplayOutcome(ReplayClass.MAYBE, old=old, news=news, may=may)
        (kind,) = may
        if unknown or groups:
            return ReplayOutcome(kind, old=old, news=news[:1])
        return self._certain(kind, old, news[0])

    def _tried(
        self, unknown: Unknowns, groups: tuple[tuple[int, str], ...], missing: frozenset[Path], *, sealed: bool
    ) -> tuple[list[_Run], frozenset[ReplayClass]] | None:
        """Return the combinations that lead to the record, and the classes that they have; None if there are too many.

        `sealed`: several classes are a result too. Else two of them are enough.
        """
        runs: list[_Run] = []
        may: set[ReplayClass] = set()
        for count, run in enumerate(self._runs(unknown, groups, new=True)):
            if count >= MOST_TRIED:
                every = len({policy_verdict(one.new) for one in runs}) == len(PolicyVerdict)
                # Any verdict is possible, and so is each class that was not seen yet.
                return (runs, classes_from(runs[0].old)) if sealed and every else None
            # The record would contain a value for this, and does not.
            if run is None or any(covers(run.has, path) for path in missing):
                continue
            runs.append(run)
            may.add(compare_verdicts(run.old, run.new))
            if may >= classes_from(run.old) or (not sealed and len(may) > 1):
                break
        return runs, frozenset(may)

    def _certain(self, kind: ReplayClass, old: ReplaySide, new: ReplaySide) -> ReplayOutcome:
        """Return the result for a call if all that either side reads is known."""
        if kind is not ReplayClass.UNCHANGED:
            old, new = self._explain(old, self.pair.old), self._explain(new, self.pair.new, new=True)
        before, after = self._times()
        return ReplayOutcome(kind, old=old, news=(new,), old_ns=before, new_ns=after)

    def _explain(self, side: ReplaySide, endpoint: CompiledEndpoint | None, *, new: bool = False) -> ReplaySide:
        """Return a side's answer with the rule that came nearest, if it is a denial by no rule."""
        if side.verdict is not PolicyVerdict.DENY or side.rule is not None:
            return side
        call = self.found.call
        found = explain(self._snapshot(endpoint, call), call, self._circumstances(endpoint, new=new))
        for one in () if found is None else found.near:
            # Attributes that only other rules read are not in the record and would be unknown; the call may have them.
            lacks = next((clause for clause in one.unmet if clause.held is False), None)
            if lacks is not None:
                return dataclasses.replace(side, near=NearestRule(one.rule.place, lacks))
        return side

    def _unproven(self, runs: list[_Run]) -> Hindrance | None:
        """Return why the candidate's verdict does not count: the record lacks what it depends on."""
        if any(run.new.wants_numbers for run in runs):
            return Hindrance.HISTORY_NOT_RECORDED
        call, (old, new) = self.found.call, (self.pair.old, self.pair.new)
        closed = all(run.new.outcome is Outcome.FORBIDDEN for run in runs) or settings_of(new) is None
        if closed:
            return None
        if isinstance(call.subject, UnprovenParty):
            # The record does not contain who it was.
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
        """Yield each combination of unknown values; None for one that does not lead to the record.

        `new`: evaluate the candidate too; otherwise its verdict is the old one.
        """
        plain = (self.pair.old, self.pair.new, Choices())
        old, after, choices = self.pair.joint(unknown) if unknown or groups else plain
        call = self.found.call
        while True:
            verdict, passed = self._decide(old, call)
            if fit(self.shape, verdict, self.found) is None:
                yield None
            else:
                other = self._decide(after, _in_groups(call, groups, choices), new=True)[0] if new else verdict
                yield _Run(verdict, recorded_paths(old, call, passed), other)
            if not choices.more():
                return

    def _decide(
        self, endpoint: CompiledEndpoint | None, call: Call, *, new: bool = False
    ) -> tuple[Verdict, tuple[Hop, ...] | None]:
        return evaluate_hops(self._snapshot(endpoint, call), call, (), self._circumstances(endpoint, new=new))

    def _circumstances(self, endpoint: CompiledEndpoint | None, *, new: bool) -> Circumstances:
        """Return what a side's rules are evaluated with: the calls before are as they were made, on both sides.

        `new`: it is the candidate's side, so that what the record does not have is what the calls of the log add up to.
        """
        known = known_numbers(endpoint, self.pair.old, self.found)
        if new:
            known = {**self.counted, **known}
        return Circumstances(self.shape.now or 0.0, history=HistoryReadings(known, rules_alone=True))

    def _snapshot(self, endpoint: CompiledEndpoint | None, call: Call) -> Snapshot:
        if endpoint is None:
            return Snapshot({})
        return Snapshot({(call.namespace, call.endpoint): endpoint.with_data(self.found.data)})

    def _times(self) -> tuple[int, int]:
        """Return how long each state takes to decide, the shortest of several runs."""
        if self.clock is None:
            return 0, 0
        call, sides = self.found.call, (self.pair.old, self.pair.new)
        snapshots = [self._snapshot(endpoint, call) for endpoint in sides]
        arounds = [self._circumstances(endpoint, new=new) for endpoint, new in zip(sides, (False, True), strict=True)]
        best = [_LONGEST, _LONGEST]
        # Alternate, so that a temporary slowdown of the machine affects both.
        for turn in range(2 * _TIMED):
            side = turn % 2
            began = self.clock()
            evaluate_hops(snapshots[side], call, (), arounds[side])
            best[side] = min(best[side], self.clock() - began)
        return best[0], best[1]


def _in_groups(call: Call, groups: tuple[tuple[int, str], ...], choices: Choices) -> Call:
    """Return the call with its parties in some of these groups, by the choices."""
    taken = [(number, name) for number, name in groups if choices.outcome_of(("group", number, name), (False, True))]
    if not taken:
        return call
    parties = [call.subject, *call.actors]
    for number, name in taken:
        party = parties[number]
        if isinstance(party, Party):
            parties[number] = replace(party, groups=(*party.groups, name))
    subject, *actors = parties
    return replace(call, subject=subject, actors=tuple(one for one in actors if isinstance(one, Party)))
