"""The row of a reason code: what can be true of one, and in which words.

Standing: under `reasons`, which has the codes and the table of their rows.
"""

from enum import IntEnum, StrEnum
from typing import Literal, NamedTuple

NextAction = Literal["request", "retry", "none"]
Footing = Literal["derivable", "attested"]


class Disposition(IntEnum):
    """OCSF's `disposition_id` (API Activity 6003, profile Security Control)."""

    ALLOWED = 1
    BLOCKED = 2
    APPROVED = 8
    CHALLENGE = 23
    REVOKED = 24
    REJECTED = 25
    UNAUTHORIZED = 26
    ERROR = 27


class ReasonState(StrEnum):
    """Which state of the decision point, or of what it was sent, a reason can stand for, beside what the rules say."""

    ADAPTER = "adapter"
    """An adapter could not read the request as one call."""
    IDENTITY = "identity"
    """The evidence does not prove the subject or an actor."""
    GATE = "gate"
    """A gate stands before the call, and its approval decides."""
    PROCESS = "process"
    """The decision point is in a state in which it denies whatever the rules say."""


class ReasonRow(NamedTuple):
    """All that is true of a reason.

    `sentence` is for the caller, `next_action` what the caller can do (ARAP). `when` is for operators;
    `docs/reference/reasons.md` is made from it. `footing`: whether a verdict with this reason follows from its record
    and the text of the policies alone, or is the decision point's word for a state that is gone: of grants, limits,
    clocks, the store, tokens, or of what no record holds. `disposition` is that of a denial.
    """

    sentence: str
    next_action: NextAction
    when: str
    footing: Footing
    disposition: Disposition
    states: frozenset[ReasonState] = frozenset()


def unproven_row(sentence: str, when: str) -> ReasonRow:
    """Return the row of a reason why the evidence does not prove a party, and never will."""
    return ReasonRow(sentence, "none", when, "attested", Disposition.BLOCKED, frozenset({ReasonState.IDENTITY}))
