"""What the records say of the use of rules, once somebody had them read: for every page that shows a rule.

Holds: nothing is read here; where no record was read, nothing is said, and nothing is called unused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bailiwick_api import times
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_evidence.usage.scopes import RuleScope, ScopeState, ScopeUse

Uses = Mapping[RuleScope, tuple[ScopeUse, ScopeState]]


@dataclass
class KnownUses:
    """The uses of the last reading of the records."""

    uses: Uses = field(default_factory=dict)

    def told(self, rule: CompiledRule, keys: Iterable[Key]) -> tuple[str, ...]:
        """Return what is known of a rule and these subjects, a line for each that it names."""
        scopes = (RuleScope(rule.policy.namespace, rule.policy.name, rule.name, key) for key in sorted(keys))
        known = [self.uses[scope] for scope in scopes if scope in self.uses]
        return tuple(f"{state.value}: {use.uses} uses, {last(use)}" for use, state in known)


def last(use: ScopeUse) -> str:
    """Return when something was last used, in words."""
    if use.last_use is None:
        return "never, as far as these records go"
    return f"last {times.epoch_stamp(use.last_use)}"
