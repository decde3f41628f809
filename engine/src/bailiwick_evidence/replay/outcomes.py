"""Outcomes: what came of replaying one record, by classes that are stable.

Standing: under all else here. Holds: what a policy says of a call is one of three; that a grant was used changes none.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.dimensions.clause import Clause
from bailiwick_engine.reasons import Reason


class PolicyVerdict(StrEnum):
    """What the policies alone say: let it through, ask somebody, or neither."""

    ALLOW = "allow"
    APPROVAL = "approval"
    DENY = "deny"


class ReplayClass(StrEnum):
    """How the candidate's verdict stands to the old one. MAYBE: a sealed value decides."""

    UNCHANGED = "unchanged"
    ALLOW_DENY = "allow→deny"
    ALLOW_APPROVAL = "allow→approval"
    APPROVAL_ALLOW = "approval→allow"
    APPROVAL_DENY = "approval→deny"
    DENY_ALLOW = "deny→allow"
    DENY_APPROVAL = "deny→approval"
    MAYBE = "maybe"
    NOT_REPLAYABLE = "not_replayable"


class Hindrance(StrEnum):
    """Why a record cannot be replayed."""

    POLICY_MISSING = "policy_missing"
    ATTRIBUTE_NOT_RECORDED = "attribute_not_recorded"
    SEALED = "sealed"
    STATE = "state"
    SEARCH = "search"
    ENGINE_VERSION = "engine_version"
    BASELINE_DIFFERS = "baseline_differs"
    UNREADABLE = "unreadable"


HINDRANCES: Final[dict[Hindrance, str]] = {
    Hindrance.POLICY_MISSING: "The text of a policy that decided is not at hand. Give the operator's ledger of that"
    " time, or --policies.",
    Hindrance.ATTRIBUTE_NOT_RECORDED: "The candidate reads something of the call that the record does not have. Keep it"
    " with endpointSettings.record.keep.",
    Hindrance.SEALED: "Too many conditions hang on sealed values to try all of their outcomes.",
    Hindrance.STATE: "The store, the proof of an identity or a change in progress decided, and not the rules alone.",
    Hindrance.SEARCH: "A search has no single verdict.",
    Hindrance.ENGINE_VERSION: "Another version of the engine decided, and this one decides otherwise or cannot tell.",
    Hindrance.BASELINE_DIFFERS: "The policies that the record names do not come to its verdict: it is no evidence."
    " `audit verify --policies` tells which records these are.",
    Hindrance.UNREADABLE: "The line is torn, in no chain, or no record as this version knows it.",
}
"""What to tell of each."""

FLIPS: Final[dict[tuple[PolicyVerdict, PolicyVerdict], ReplayClass]] = {
    (PolicyVerdict.ALLOW, PolicyVerdict.DENY): ReplayClass.ALLOW_DENY,
    (PolicyVerdict.ALLOW, PolicyVerdict.APPROVAL): ReplayClass.ALLOW_APPROVAL,
    (PolicyVerdict.APPROVAL, PolicyVerdict.ALLOW): ReplayClass.APPROVAL_ALLOW,
    (PolicyVerdict.APPROVAL, PolicyVerdict.DENY): ReplayClass.APPROVAL_DENY,
    (PolicyVerdict.DENY, PolicyVerdict.ALLOW): ReplayClass.DENY_ALLOW,
    (PolicyVerdict.DENY, PolicyVerdict.APPROVAL): ReplayClass.DENY_APPROVAL,
}
WIDER: Final = frozenset({ReplayClass.DENY_ALLOW, ReplayClass.DENY_APPROVAL, ReplayClass.APPROVAL_ALLOW})
"""A call goes further than it did."""


class NearestRule(NamedTuple):
    """The rule that came nearest to letting a call through, by policy and name, and the first clause that it lacks."""

    place: tuple[str, str]
    lacks: Clause


@dataclass(frozen=True, slots=True)
class ReplaySide:
    """What one side says. `rule`: policy and name of the rule that decided, or came nearest; `steps` of an approval.

    `near`: of a denial that is no rule's, where nothing of it is sealed.
    """

    verdict: PolicyVerdict
    reason: str
    rule: tuple[str, str] | None
    steps: tuple[str, ...] = ()
    near: NearestRule | None = field(default=None, compare=False)

    @classmethod
    def of(cls, verdict: Verdict) -> "ReplaySide":
        """Return what of a verdict is told."""
        rule = None if verdict.rule is None else verdict.rule.place
        steps = () if verdict.gate is None else tuple(step.name for step in verdict.gate.steps)
        return cls(policy_verdict(verdict), verdict.reason.value, rule, steps)


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What a record came to. `news`: what the candidate says; of MAYBE, each that it may say. `may`: MAYBE's classes.

    `old_ns`, `new_ns`: how long each side took to decide, in nanoseconds; 0 where that was not measured.
    """

    kind: ReplayClass
    hindrance: Hindrance | None = None
    old: ReplaySide | None = None
    news: tuple[ReplaySide, ...] = ()
    may: frozenset[ReplayClass] = frozenset()
    old_ns: int = 0
    new_ns: int = 0

    @property
    def code(self) -> str:
        """The class, with the reason of one that is not replayable."""
        return self.kind.value if self.hindrance is None else f"{self.kind}:{self.hindrance}"


def policy_verdict(verdict: Verdict) -> PolicyVerdict:
    """Return what the policies say, by a verdict that was made without grants."""
    if verdict.outcome is Outcome.ALLOW:
        return PolicyVerdict.ALLOW
    # What is to be approved cannot be shown: a gate stands there all the same.
    shown = verdict.reason is Reason.UNINSPECTABLE and verdict.rule is not None
    return PolicyVerdict.APPROVAL if verdict.gate is not None or shown else PolicyVerdict.DENY


def hindered(hindrance: Hindrance) -> ReplayOutcome:
    """Return that a record cannot be replayed."""
    return ReplayOutcome(ReplayClass.NOT_REPLAYABLE, hindrance)


def compared(old: ReplaySide, news: Iterable[ReplaySide]) -> frozenset[ReplayClass]:
    """Return the classes that the candidate can come to."""
    return frozenset(FLIPS.get((old.verdict, new.verdict), ReplayClass.UNCHANGED) for new in news)
