"""Uses: when each policy last let a call through.

Standing: beside `counts`, for the operator to ask by uid (`http/status/usage`). Holds: written on the event loop alone;
one store for a call that is allowed; bounded, and where that is too little it begins anew, as a process that restarts.
"""

from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.decision.uses import used_rules
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_webhook.metrics.shadowtable import CandidateCounts

MOST_POLICIES: Final = 65_536
"""Policies of which uses are remembered, those that are gone among them."""


class UsageTally:
    """What one process remembers of uses.

    `memory` names it, and what the process remembers of candidates as well: another name, and both are forgotten.
    """

    __slots__ = ("_candidates", "memory", "used")

    def __init__(self, candidates: CandidateCounts) -> None:
        self._candidates = candidates
        self.memory = uuid4().hex
        self.used: dict[str, float] = {}
        """The moment of the last use, in seconds since the epoch, by the policy's uid."""

    def use(self, verdict: Verdict, passed: Sequence[Hop] | None, moment: float) -> None:
        """Take note of a call that was let through, by this verdict. `passed`: see `decide.weighed`."""
        if verdict.dry_run:
            return
        used = self.used
        if verdict.gate is not None:
            for gate in verdict.gate.rules:
                used[gate.policy_uid] = moment
        elif verdict.rule is not None:
            used[verdict.rule.policy.uid] = moment
        if passed is not None and len(passed) > 1:
            # On behalf of another: the verdict names one rule, and each party passed by its own.
            for _, rule in used_rules(passed):
                used[rule.policy.uid] = moment
        if len(used) > MOST_POLICIES:
            self.memory = uuid4().hex
            used.clear()
            # Counts of two names are added up.
            self._candidates.clear()
