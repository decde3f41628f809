"""Derivation: the result of deriving one record again.

Holds: codes are stable; each obstacle has a sentence that says what would help.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bailiwick_engine.decision.verdict import Verdict


class DerivationClass(StrEnum):
    """DERIVED: verdict, reason and rule follow. ATTESTED: they can, depending on what only the decision point knew.

    UNREADABLE: the record is said to be of this very version, and no process of it writes such a record.
    UNPROVEN: what cannot be derived is said to be an allow. A decision point that lies can always write such a record,
    by naming policies that no ledger has, or another version. An honest one leaves it where a ledger is not whole.
    """

    DERIVED = "derived"
    ATTESTED = "attested"
    UNDERIVABLE = "underivable"
    UNPROVEN = "unproven"
    CONTRADICTED = "contradicted"
    UNREADABLE = "unreadable"


class Obstacle(StrEnum):
    """Why a record can be neither derived nor contradicted."""

    NOT_A_DECISION = "not_a_decision"
    RECORD_UNREADABLE = "record_unreadable"
    ATTRIBUTE_MISSING = "attribute_missing"
    REASON_UNKNOWN = "reason_unknown"
    POLICY_TEXT_MISSING = "policy_text_missing"
    POLICY_TEXT_WRONG = "policy_text_wrong"
    POLICY_LIST_MISSING = "policy_list_missing"
    POLICY_ELSEWHERE = "policy_elsewhere"
    POLICY_BROKEN = "policy_broken"
    ENGINE_VERSION_UNKNOWN = "engine_version_unknown"
    TOO_MANY_UNKNOWN = "too_many_unknown"


OBSTACLES: Final[dict[Obstacle, str]] = {
    Obstacle.NOT_A_DECISION: "The line is not the record of a decision on one call.",
    Obstacle.RECORD_UNREADABLE: "A member of the record is missing or has another type than it always has.",
    Obstacle.ATTRIBUTE_MISSING: "The record lacks an attribute that the rules read, or the time of the decision.",
    Obstacle.REASON_UNKNOWN: "This engine does not know the reason of the record. Use a newer version.",
    Obstacle.POLICY_TEXT_MISSING: "The text of a policy is missing. Give the operator's ledger of that time.",
    Obstacle.POLICY_TEXT_WRONG: "The text given for a policy does not have the digest in the record.",
    Obstacle.POLICY_LIST_MISSING: "The line that lists the endpoint's policies is missing. Give earlier files.",
    Obstacle.POLICY_ELSEWHERE: "The record names a policy of another endpoint.",
    Obstacle.POLICY_BROKEN: "The policy with the settings did not compile, and its text is not in the record.",
    Obstacle.ENGINE_VERSION_UNKNOWN: "Another version of the engine decided, and this version decides differently.",
    Obstacle.TOO_MANY_UNKNOWN: "Too many conditions depend on sealed values to try all outcomes.",
}
"""The sentence for each obstacle."""

UNWRITTEN: Final[dict[Obstacle, str]] = {
    Obstacle.RECORD_UNREADABLE: "a member is missing, has another type than it always has, or contradicts another one",
    Obstacle.ATTRIBUTE_MISSING: "it lacks an attribute that the rules read, or the time of the decision",
    Obstacle.REASON_UNKNOWN: "this version has no such reason",
    Obstacle.POLICY_ELSEWHERE: "it names a policy of another endpoint",
}
"""The obstacles that no process leaves to its own version, each with what is wrong with such a record."""


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """The engine's answer for a record's call. `rule`: policy and name of the rule that decided, or came nearest.

    `audit`: policy, rule and effect of each rule in Audit mode. `gated`: a grant decides. `uncounted`: the histories
    that count the call, and that the record does not count it in.
    """

    outcome: str
    reason: str
    rule: tuple[str, str] | None
    hop: str | None
    dry_run: bool
    audit: tuple[tuple[str, str, str], ...]
    gated: bool
    uncounted: tuple[str, ...] = ()

    @classmethod
    def from_verdict(cls, verdict: Verdict, uncounted: tuple[str, ...] = ()) -> "EngineAnswer":
        """Return the parts of a verdict that a record contains."""
        rule = None if verdict.rule is None else verdict.rule.place
        gated = verdict.gate is not None
        outcome, reason = verdict.outcome.value, verdict.reason.value
        return cls(outcome, reason, rule, verdict.hop, verdict.dry_run, verdict.audit, gated, uncounted)


@dataclass(frozen=True, slots=True)
class Derivation:
    """The result for a record. An underivable or unreadable one has an `obstacle`, a contradicted one an `answer`."""

    kind: DerivationClass
    obstacle: Obstacle | None = None
    answer: EngineAnswer | None = None


def underivable(obstacle: Obstacle) -> Derivation:
    """Return the result for a record with an obstacle."""
    return Derivation(DerivationClass.UNDERIVABLE, obstacle)
