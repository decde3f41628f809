"""Derivation: what came of deriving one record again.

Holds: codes are stable; each obstacle has a sentence that says what would help.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bailiwick_engine.decision.verdict import Verdict


class DerivationClass(StrEnum):
    """DERIVED: verdict, reason and rule follow. ATTESTED: they can, but hang on what only the decision point knew."""

    DERIVED = "derived"
    ATTESTED = "attested"
    UNDERIVABLE = "underivable"
    CONTRADICTED = "contradicted"


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
    Obstacle.ATTRIBUTE_MISSING: "The record does not contain what the rules read of the call, or when it was decided.",
    Obstacle.REASON_UNKNOWN: "This engine does not know the reason of the record. Use a newer version.",
    Obstacle.POLICY_TEXT_MISSING: "The text of a policy is not at hand. Give the ledger of the operator of that time.",
    Obstacle.POLICY_TEXT_WRONG: "The text that was given for a policy does not have the digest of the record.",
    Obstacle.POLICY_LIST_MISSING: "The line that lists the endpoint's policies is not at hand. Give earlier files.",
    Obstacle.POLICY_ELSEWHERE: "A policy that the record names is of another endpoint.",
    Obstacle.POLICY_BROKEN: "The policy with the endpoint's settings did not compile, and its text is not on record.",
    Obstacle.ENGINE_VERSION_UNKNOWN: "Another version of the engine decided, and this one decides otherwise.",
    Obstacle.TOO_MANY_UNKNOWN: "Too many conditions hang on sealed values to try all of their outcomes.",
}
"""What to tell of each."""


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """What the engine says of a record's call. `rule` is policy and name of the rule that decided, or came nearest.

    `audit`: policy, rule and effect of each rule in Audit mode. `gated`: a grant decides.
    """

    outcome: str
    reason: str
    rule: tuple[str, str] | None
    hop: str | None
    dry_run: bool
    audit: tuple[tuple[str, str, str], ...]
    gated: bool

    @classmethod
    def of(cls, verdict: Verdict) -> "EngineAnswer":
        """Return what of a verdict a record tells."""
        rule = None if verdict.rule is None else verdict.rule.place
        gated = verdict.gate is not None
        return cls(
            verdict.outcome.value, verdict.reason.value, rule, verdict.hop, verdict.dry_run, verdict.audit, gated
        )


@dataclass(frozen=True, slots=True)
class Derivation:
    """What a record came to. `obstacle` of one that is underivable, `answer` of one that is contradicted."""

    kind: DerivationClass
    obstacle: Obstacle | None = None
    answer: EngineAnswer | None = None


def underivable(obstacle: Obstacle) -> Derivation:
    """Return that there is an obstacle."""
    return Derivation(DerivationClass.UNDERIVABLE, obstacle)
