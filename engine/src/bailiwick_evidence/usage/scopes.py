"""Scopes: what one rule gives to one subject, when it was used, and its state in a window.

Standing: under `attribution`. Holds: a scope is unused only if it was in force for a whole window whose uses are known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bailiwick_engine.keys import Key
from bailiwick_engine.policy.model import CompiledPolicy, Effect


class RuleScope(NamedTuple):
    """A rule that lets calls through, and one subject that it names."""

    namespace: str
    policy: str
    rule: str
    subject: Key


class ScopeState(StrEnum):
    """The state of a scope within a window."""

    USED = "Used"
    UNUSED = "Unused"
    NOT_YET_KNOWN = "NotYetKnown"


@dataclass(slots=True)
class ScopeUse:
    """Since when a scope is in force, when it was last used, in seconds since the epoch, and how often.

    `endpoint`: at which it was last seen, `<namespace>/<name>`.
    """

    first_seen: float | None = None
    last_use: float | None = None
    uses: int = 0
    endpoint: str | None = None

    def see(self, moment: float) -> None:
        """Record that it was in force."""
        self.first_seen = moment if self.first_seen is None else min(self.first_seen, moment)

    def miss(self, moment: float) -> None:
        """Record that it was not in force: it counts as new from the next sighting."""
        if self.first_seen is not None and self.first_seen <= moment:
            self.first_seen = None

    def use(self, moment: float) -> None:
        """Record a use."""
        self.last_use = moment if self.last_use is None else max(self.last_use, moment)
        self.uses += 1

    def state(self, begin: float, *, whole: bool) -> ScopeState:
        """Return the state in the window since `begin`. `whole`: all uses in the window are known."""
        if self.last_use is not None and self.last_use >= begin:
            return ScopeState.USED
        known = whole and self.first_seen is not None and self.first_seen <= begin
        return ScopeState.UNUSED if known else ScopeState.NOT_YET_KNOWN


def scopes_of(policy: CompiledPolicy) -> Iterator[RuleScope]:
    """Yield the scopes of a policy. Deny rules and suspended rules give nothing, and Audit mode decides nothing."""
    for rule in policy.rules:
        if rule.effect is not Effect.DENY and not (rule.audit or rule.suspended):
            for subject in sorted(rule.subjects):
                yield RuleScope(policy.ref.namespace, policy.ref.name, rule.name, subject)
