"""Scopes: what one rule gives to one subject, when that was used, and what can be said of it.

Standing: under `attribution`. Holds: a scope is unused only where a whole window is known, in which it was there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bailiwick_engine.keys import Key
from bailiwick_engine.policy.model import CompiledPolicy, Effect


class RuleScope(NamedTuple):
    """A rule that gives something, and one subject that it names."""

    namespace: str
    policy: str
    rule: str
    subject: Key


class ScopeState(StrEnum):
    """What can be said of a scope within a window."""

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
        """Take that it was in force."""
        self.first_seen = moment if self.first_seen is None else min(self.first_seen, moment)

    def miss(self, moment: float) -> None:
        """Take that it was not in force: what was seen before begins anew."""
        if self.first_seen is not None and self.first_seen <= moment:
            self.first_seen = None

    def use(self, moment: float) -> None:
        """Take a use."""
        self.last_use = moment if self.last_use is None else max(self.last_use, moment)
        self.uses += 1

    def state(self, begin: float, *, whole: bool) -> ScopeState:
        """Return what can be said of the window since `begin`. `whole`: all of its uses are known."""
        if self.last_use is not None and self.last_use >= begin:
            return ScopeState.USED
        known = whole and self.first_seen is not None and self.first_seen <= begin
        return ScopeState.UNUSED if known else ScopeState.NOT_YET_KNOWN


def scopes_of(policy: CompiledPolicy) -> Iterator[RuleScope]:
    """Yield what a policy gives. A Deny and a suspended rule give nothing, and Audit mode decides nothing."""
    for rule in policy.rules:
        if rule.effect is not Effect.DENY and not (rule.audit or rule.suspended):
            for subject in sorted(rule.subjects):
                yield RuleScope(policy.ref.namespace, policy.ref.name, rule.name, subject)
