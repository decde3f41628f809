"""Outcomes: the result of replaying one record, in stable classes.

Standing: under all other modules here. Holds: the policies' verdict on a call is one of three; the use of a grant does
not change it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.approval.strength import compare_gates, difference_words, gets_further
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.dimensions.clause import Clause
from bailiwick_engine.reasons import Reason


class PolicyVerdict(StrEnum):
    """The verdict of the policies alone: allow, require an approval, or deny."""

    ALLOW = "allow"
    APPROVAL = "approval"
    DENY = "deny"


class ReplayClass(StrEnum):
    """How the candidate's verdict compares with the old one. MAYBE: a sealed value decides.

    APPROVAL_WEAKER: the approval of the candidate takes less, so that the call may get further. APPROVAL_APPROVAL: it
    is another one that does not.
    """

    UNCHANGED = "unchanged"
    ALLOW_DENY = "allow→deny"
    ALLOW_APPROVAL = "allow→approval"
    APPROVAL_ALLOW = "approval→allow"
    APPROVAL_DENY = "approval→deny"
    APPROVAL_WEAKER = "approval→weaker"
    APPROVAL_APPROVAL = "approval→approval"
    DENY_ALLOW = "deny→allow"
    DENY_APPROVAL = "deny→approval"
    MAYBE = "maybe"
    NOT_REPLAYABLE = "not_replayable"


class Hindrance(StrEnum):
    """Why a record cannot be replayed."""

    POLICY_MISSING = "policy_missing"
    ATTRIBUTE_NOT_RECORDED = "attribute_not_recorded"
    HISTORY_NOT_RECORDED = "history_not_recorded"
    SEALED = "sealed"
    STATE = "state"
    SEARCH = "search"
    ENGINE_VERSION = "engine_version"
    BASELINE_DIFFERS = "baseline_differs"
    UNREADABLE = "unreadable"


HINDRANCES: Final[dict[Hindrance, str]] = {
    Hindrance.POLICY_MISSING: "The text of a policy that decided is missing. Give the operator's ledger of that"
    " time, or --policies.",
    Hindrance.ATTRIBUTE_NOT_RECORDED: "The candidate reads an attribute that the record does not have. Keep it"
    " with endpointSettings.record.keep.",
    Hindrance.HISTORY_NOT_RECORDED: "The candidate reads a history whose numbers the record does not have, and the"
    " log does not say which calls it counts. Keep its key, amount and conditions with endpointSettings.record.keep.",
    Hindrance.SEALED: "Too many conditions depend on sealed values to try all outcomes.",
    Hindrance.STATE: "The store, the proof of an identity or a change in progress decided, and not the rules alone.",
    Hindrance.SEARCH: "A search has no single verdict.",
    Hindrance.ENGINE_VERSION: "Another version of the engine decided, and this one decides differently or cannot tell.",
    Hindrance.BASELINE_DIFFERS: "The policies in the record do not lead to its verdict: it is not evidence."
    " `audit verify --policies` lists such records.",
    Hindrance.UNREADABLE: "The line is torn, in no chain, not a record of this version, or another line has its"
    " number.",
}
"""The sentence for each hindrance."""

FLIPS: Final[dict[tuple[PolicyVerdict, PolicyVerdict], ReplayClass]] = {
    (PolicyVerdict.ALLOW, PolicyVerdict.DENY): ReplayClass.ALLOW_DENY,
    (PolicyVerdict.ALLOW, PolicyVerdict.APPROVAL): ReplayClass.ALLOW_APPROVAL,
    (PolicyVerdict.APPROVAL, PolicyVerdict.ALLOW): ReplayClass.APPROVAL_ALLOW,
    (PolicyVerdict.APPROVAL, PolicyVerdict.DENY): ReplayClass.APPROVAL_DENY,
    (PolicyVerdict.DENY, PolicyVerdict.ALLOW): ReplayClass.DENY_ALLOW,
    (PolicyVerdict.DENY, PolicyVerdict.APPROVAL): ReplayClass.DENY_APPROVAL,
}
# No approval lets such a call through: it lacks what a gate asks for, or reviewers cannot see it or be kept apart.
_SHUT: Final = frozenset({Reason.CONTEXT_INSUFFICIENT, Reason.UNINSPECTABLE, Reason.APPROVAL_UNVERIFIABLE})
_APPROVALS: Final = frozenset({ReplayClass.APPROVAL_WEAKER, ReplayClass.APPROVAL_APPROVAL})
CHANGES: Final = frozenset(FLIPS.values()) | _APPROVALS
"""Classes in which a decision comes out otherwise than before."""
WIDER: Final = frozenset(
    {
        ReplayClass.DENY_ALLOW,
        ReplayClass.DENY_APPROVAL,
        ReplayClass.APPROVAL_ALLOW,
        ReplayClass.APPROVAL_WEAKER,
    }
)
"""Classes in which a call gets further than before."""


class NearestRule(NamedTuple):
    """The rule that came nearest to allowing a call, by policy and name, and its first clause that does not hold."""

    place: tuple[str, str]
    lacks: Clause


@dataclass(frozen=True, slots=True)
class ReplaySide:
    """One side's answer. `rule`: policy and name of the rule that decided, or came nearest; `steps` of an approval.

    `differs`: of the candidate's approval, in what it takes less, more or something else than the old one.
    `near`: for a denial by no rule, if no part of it is sealed.
    """

    verdict: PolicyVerdict
    reason: str
    rule: tuple[str, str] | None
    steps: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()
    near: NearestRule | None = field(default=None, compare=False)

    @classmethod
    def of_verdict(cls, verdict: Verdict, before: Verdict | None = None) -> "ReplaySide":
        """Return the parts of a verdict that are reported. `before`: the old one, of the candidate's verdict."""
        rule = None if verdict.rule is None else verdict.rule.place
        steps = () if verdict.gate is None else tuple(step.name for step in verdict.gate.steps)
        differs = () if before is None else _differences(before.gate, verdict.gate)
        return cls(policy_verdict(verdict), verdict.reason.value, rule, steps, differs)


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """The result for a record. `news`: the candidate's answer, or for MAYBE each possible one; `may`: MAYBE's classes.

    `old_ns`, `new_ns`: how long each side took to decide, in nanoseconds; 0 if that was not measured.
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
        """The class, with the reason if the record is not replayable."""
        return self.kind.value if self.hindrance is None else f"{self.kind}:{self.hindrance}"


def policy_verdict(verdict: Verdict) -> PolicyVerdict:
    """Return the verdict of the policies, from a verdict that was made without grants."""
    if verdict.outcome is Outcome.ALLOW:
        return PolicyVerdict.ALLOW
    # The call cannot be shown to reviewers, but an approval is still required.
    shown = verdict.reason is Reason.UNINSPECTABLE and verdict.rule is not None
    return PolicyVerdict.APPROVAL if verdict.gate is not None or shown else PolicyVerdict.DENY


def not_replayable(hindrance: Hindrance) -> ReplayOutcome:
    """Return the result for a record that cannot be replayed."""
    return ReplayOutcome(ReplayClass.NOT_REPLAYABLE, hindrance)


def compare_verdicts(old: Verdict, new: Verdict) -> ReplayClass:
    """Return the class of the candidate's verdict."""
    before, after = policy_verdict(old), policy_verdict(new)
    if before is not after:
        return FLIPS[before, after]
    return _compare_approvals(old, new) if before is PolicyVerdict.APPROVAL else ReplayClass.UNCHANGED


def classes_from(old: Verdict) -> frozenset[ReplayClass]:
    """Return all classes that a candidate's verdict can have."""
    verdict = policy_verdict(old)
    flips = {kind for (before, _), kind in FLIPS.items() if before is verdict}
    approvals = _APPROVALS if verdict is PolicyVerdict.APPROVAL else frozenset[ReplayClass]()
    return frozenset({ReplayClass.UNCHANGED}) | flips | approvals


def _compare_approvals(old: Verdict, new: Verdict) -> ReplayClass:
    """Return the class of two approvals, by the comparison of gates that `diff` has."""
    if old.reason in _SHUT and new.reason not in _SHUT:
        return ReplayClass.APPROVAL_WEAKER
    if old.gate is None or new.gate is None:
        return ReplayClass.UNCHANGED if old.gate is new.gate else ReplayClass.APPROVAL_APPROVAL
    found = {} if old.gate is new.gate else compare_gates(old.gate, new.gate)
    if not found:
        return ReplayClass.UNCHANGED
    return ReplayClass.APPROVAL_WEAKER if gets_further(found) else ReplayClass.APPROVAL_APPROVAL


def _differences(old: Gate | None, new: Gate | None) -> tuple[str, ...]:
    if old is None or new is None or old is new:
        return ()
    return difference_words(compare_gates(old, new))
