"""Outcomes: what the rules of an endpoint come to for a call, in every world of their conditions.

Standing: under the questions. Holds: it is `decide` that is asked, on the endpoint as it is but for its conditions,
which say what the world says; Audit mode decides nothing. Conditions that are too costly for one decision are not
distinguished: every one is taken to be evaluated.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.cel.members import Path
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.dimensions.atom import TooManyError
from bailiwick_engine.policy.model import CompiledCondition, CompiledPolicy, CompiledRule, PolicyRef
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey, Snapshot
from bailiwick_engine.revocations import NONE, Revocations
from bailiwick_engine.truth import Truth
from bailiwick_regions.formulas import Formula, Literal
from bailiwick_regions.rights import terms
from bailiwick_regions.rights.refusals import TokenRefusals
from bailiwick_regions.rights.terms import Outcomes, Term, World
from bailiwick_regions.stage import CALLER
from bailiwick_regions.walk import DIGEST
from bailiwick_regions.worlds import StoodCondition, Worlds

MOST_DECISIONS: Final = 200_000
"""So many decisions one question may take."""
_MOST_WORLDS: Final = 20_000
_MOST_WAYS: Final = 200


class AccessLevel(StrEnum):
    """How far a call comes."""

    ALLOW = "allow"
    APPROVAL = "approval"


@dataclass(frozen=True, slots=True)
class GivenCondition:
    """A condition that has to come to one of these outcomes. `key` is what it asks, the others are for people."""

    key: Formula
    outcomes: Outcomes
    rule: CompiledRule = field(compare=False)
    condition: CompiledCondition = field(compare=False)

    @property
    def data(self) -> list[str]:
        """The names of the `EndpointData` that it reads."""
        return sorted({path[1] for path in self.condition.reads if path[0] == "data" and len(path) > 1})

    @property
    def histories(self) -> list[str]:
        """The names of the histories that it reads."""
        return sorted(self.condition.histories)


@dataclass(frozen=True, slots=True)
class AccessWay:
    """One way in which a call comes through: by these rules, given these conditions, all of them.

    `gate` is what an approval takes; None: no approval is needed. `until`: from then on it is no more, in seconds since
    the epoch.
    """

    level: AccessLevel
    rules: tuple[CompiledRule, ...]
    given: tuple[GivenCondition, ...] = ()
    until: float | None = None
    gate: Gate | None = field(default=None, compare=False)

    @property
    def kind(self) -> Hashable:
        """What an answer is, whichever rule gives it: allowed, or an approval of these rules."""
        return (self.level, self.rules if self.gate is not None else ())

    @property
    def term(self) -> Term:
        """What its conditions have to come to."""
        return {one.key: one.outcomes for one in self.given}

    @property
    def meaning(self) -> Hashable:
        """All of it but by which rule and condition."""
        return (self.kind, frozenset(self.term.items()), self.until)


@dataclass(frozen=True, slots=True)
class WatchedCondition(StoodCondition):
    """A condition of which the outcome is kept, where it is asked. What is known of the call is evaluated."""

    watch: "EndpointOutcomes"

    def outcome(self, inputs: Inputs) -> Truth:
        """Return what it comes to in this world."""
        if self.watch.knows(self):
            return CompiledCondition.outcome(self, inputs)
        found = StoodCondition.outcome(self, inputs)
        self.watch.asked[self.formula] = found
        return found


class EndpointOutcomes:
    """One endpoint at one time. `known`: what conditions may read of the calls, since it is the same in all of them.

    `revocations`: those that are in force.
    """

    def __init__(
        self, key: EndpointKey, endpoint: CompiledEndpoint, now: float, known: Iterable[Path] = (), *,
        limit: int = MOST_DECISIONS, revocations: Revocations = NONE,
    ) -> None:  # fmt: skip
        self.key, self.endpoint, self.now = key, endpoint, now
        self.refusals = TokenRefusals(endpoint, revocations, now)
        self.asked: dict[Formula, Truth] = {}
        self._known = frozenset(known)
        self.left = limit
        """How many decisions it may still take."""
        self._worlds = Worlds((), endpoint.enforced, ({}, endpoint.data))
        self._conditions: dict[Formula, tuple[CompiledRule, CompiledCondition]] = {}
        self._rules: dict[tuple[str, str], CompiledRule] = {rule.place: rule for rule in endpoint.enforced}
        self._snapshot = self._stage()

    def _stage(self) -> Snapshot:
        """Return the endpoint with conditions that are watched, of which we are an enforcer."""
        rules: list[CompiledRule] = []
        for rule, stood in self._worlds.head.items():
            made: list[CompiledCondition] = []
            for own, condition in zip(rule.conditions, _standing_conditions(stood), strict=True):
                self._conditions.setdefault(condition.formula, (rule, own))
                made.append(_watch(condition, self))
            rules.append(replace(stood, conditions=tuple(made)))
        ref = PolicyRef(self.key[0], "~", "~", 0)
        settings = self.endpoint.settings
        if settings is not None:
            # Nothing is counted here: what a condition reads of a history is one more thing that the world says.
            settings = replace(settings, histories=())
        built = CompiledEndpoint.of([CompiledPolicy(ref, self.key[1], "", settings, tuple(rules))], [])
        staged = replace(
            built,
            enforcers=frozenset((CALLER.username,)),
            conflicted=self.endpoint.conflicted,
            denied_whole=self.endpoint.denied_whole,
            broken=self.endpoint.broken,
        )
        return Snapshot({self.key: staged})

    def knows(self, condition: StoodCondition) -> bool:
        """Tell whether all that a condition reads is the same in all calls."""
        if isinstance(condition.formula, Literal):
            return True
        # What it reads of the clock, another time may say otherwise.
        if not condition.reads or condition.timed:
            return False
        return all(any(read[: len(one)] == one for one in self._known) for read in condition.reads)

    def ways(self, call: Call, ends: Sequence[float] = ()) -> tuple[AccessWay, ...]:
        """Return each way in which a call comes through now. `ends`: later times from when on rules are over.

        Raises `TooManyError`.
        """
        party: Party = call.subject  # type: ignore[assignment]  # a party that is proven
        if self.endpoint.index.too_much(party.keys) or self.refusals.refusal(party) is not None:
            # The decision point denies such a party whatever it asks.
            return ()
        found = self._ways_at(call, self.now)
        later = [(time, self._ways_at(call, time)) for time in ends if found]
        return tuple(
            replace(
                way,
                until=next((time for time, ways in later if not any(_covers(one, way) for one in ways)), None),
            )
            for way in found
        )

    def _ways_at(self, call: Call, time: float) -> tuple[AccessWay, ...]:
        """Return each way at one time, of those that say the same the first."""
        found: dict[tuple[object, ...], World] = {}
        self._worlds.begin()
        while True:
            self.left -= 1
            if self.left < 0:
                raise TooManyError
            self.asked = {}
            world = self._world(decide(self._snapshot, call, (), Circumstances(now=time), DIGEST))
            found.setdefault((frozenset(world.truths.items()), world.outcome), world)
            if len(found) > _MOST_WORLDS:
                raise TooManyError
            if not self._worlds.more():
                break
        return absorb(self._covering(list(found.values())))

    def _covering(self, worlds: Sequence[World]) -> list[AccessWay]:
        """Return ways of which one is there in every world in which a call comes through."""
        against: dict[Hashable, list[World]] = {}
        made: dict[Hashable, list[AccessWay]] = {}
        for world in worlds:
            outcome = world.outcome
            known = made.setdefault(outcome, [])
            if outcome is None or any(terms.holds(way.term, world) for way in known):
                continue
            if outcome not in against:
                against[outcome] = [one for one in worlds if one.outcome != outcome]
            known.append(self._way(world, terms.term_of(world, against[outcome])))
            if len(known) > _MOST_WAYS:
                raise TooManyError
        return [way for ways in made.values() for way in ways]

    def _world(self, verdict: Verdict) -> World:
        rules = self._deciding(verdict)
        own = frozenset(
            condition.formula for rule in rules for condition in _standing_conditions(self._worlds.head[rule])
        )
        if verdict.outcome is Outcome.ALLOW:
            return World(self.asked, (AccessLevel.ALLOW,), own, verdict)
        return World(self.asked, (AccessLevel.APPROVAL, rules) if rules else None, own, verdict)

    def _deciding(self, verdict: Verdict) -> tuple[CompiledRule, ...]:
        """Return the rules by which a call comes through, as the endpoint has them."""
        if verdict.gate is not None:
            return tuple(self._rules[one.policy, one.rule] for one in verdict.gate.rules)
        if verdict.outcome is Outcome.ALLOW and verdict.rule is not None:
            return (self._rules[verdict.rule.place],)
        return ()

    def _way(self, world: World, term: Term) -> AccessWay:
        given = tuple(GivenCondition(key, outcomes, *self._conditions[key]) for key, outcomes in term.items())
        level = AccessLevel.ALLOW if world.verdict.gate is None else AccessLevel.APPROVAL
        return AccessWay(level, self._deciding(world.verdict), given, gate=world.verdict.gate)


def absorb(ways: Iterable[AccessWay]) -> tuple[AccessWay, ...]:
    """Return the ways of which none is a part of another one."""
    kept: list[AccessWay] = []
    for way in ways:
        if not any(_covers(one, way) for one in kept):
            kept = [one for one in kept if not _covers(way, one)]
            kept.append(way)
    return tuple(kept)


def _covers(one: AccessWay, other: AccessWay) -> bool:
    """Tell whether a way is there whenever the other one is, and as long."""
    lasting = one.until is None or (other.until is not None and one.until >= other.until)
    return one.kind == other.kind and lasting and terms.is_implied(other.term, one.term)


def _standing_conditions(rule: CompiledRule) -> list[StoodCondition]:
    return [one for one in rule.conditions if isinstance(one, StoodCondition)]


def _watch(condition: StoodCondition, watch: EndpointOutcomes) -> WatchedCondition:
    return WatchedCondition(*condition.parts, condition.formula, condition.missing, condition.worlds, watch)
