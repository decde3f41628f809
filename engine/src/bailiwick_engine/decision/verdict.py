"""Verdict: the result of a decision. Every adapter translates it into its own protocol.

Holds: a verdict that is not ALLOW opens nothing; USE_GRANT allows only after a use was recorded on one of its grants.
"""

from enum import StrEnum
from typing import Final

import msgspec

from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.history.needs import HistoryNeeds
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.reasonrow import NextAction
from bailiwick_engine.reasons import EXPLAINED, Reason

BY_APPROVAL: Final = "An approval allows this call."


class Outcome(StrEnum):
    """FORBIDDEN: the caller may not ask. USE_GRANT: allowed if one of the grants can be used."""

    ALLOW = "allow"
    DENY = "deny"
    USE_GRANT = "use_grant"
    FORBIDDEN = "forbidden"


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`rule` decided, or came nearest. `gate`, `digest` and `grants` stand only where an approval decides.

    `hop` is the party of a delegated call at which it failed. `message` is the policy's own word (a condition's
    message) and may be None. `audit` names the rules of Audit-mode policies that would have applied, as (policy, rule,
    effect). `cools_until`: a reviewer denied this same request, and until then (seconds since the epoch) no
    reviewer is asked again.

    `needs`: the objects of histories that the call is to be counted in, or whose numbers the verdict depends on; None:
    it is final without them. `wants_numbers`: it is a denial that a number which is not known could lift.
    `revocation`: the name of the SubjectRevocation that it is denied by.
    """

    outcome: Outcome
    reason: Reason
    rule: CompiledRule | None = None
    message: str | None = None
    gate: Gate | None = None
    digest: str | None = None
    grants: tuple[Grant, ...] = ()
    pending: Grant | None = None
    cools_until: float | None = None
    hop: str | None = None
    dry_run: bool = False
    audit: tuple[tuple[str, str, str], ...] = ()
    needs: HistoryNeeds | None = None
    wants_numbers: bool = False
    revocation: str | None = None

    @property
    def next_action(self) -> NextAction:
        """What the caller can do (ARAP `next_action`)."""
        found = EXPLAINED[self.reason].next_action
        return "none" if found == "request" and self.cools_until is not None else found

    @property
    def requestable(self) -> bool:
        """An approval can be asked for."""
        return self.outcome is Outcome.DENY and self.gate is not None and self.next_action == "request"

    @property
    def awaits_approval(self) -> bool:
        """An approval would let the call through: one that can be asked for, is waited for, or has to be shown."""
        return self.outcome is Outcome.DENY and self.gate is not None and self.next_action != "none"

    @property
    def sentence(self) -> str:
        """Why, in one sentence; the policy's own message where it has one."""
        if self.message is None and self.outcome is Outcome.USE_GRANT:
            return BY_APPROVAL
        return self.message or EXPLAINED[self.reason].sentence
