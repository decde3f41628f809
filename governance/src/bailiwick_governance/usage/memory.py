"""Memory of uses: what earlier logs say, and up to which line of each chain.

Standing: under `logusage`; the command line keeps it in a file. Holds: a line that was counted is not counted again.
"""

from dataclasses import dataclass, field

from bailiwick_engine.keys import Key
from bailiwick_evidence.usage.scopes import RuleScope, ScopeUse


@dataclass(slots=True)
class UseMemory:
    """What is known of scopes. `chains`: the number of lines of each chain that were counted.

    `covered`: up to when there are lines. `broken`: up to when uses may be missing; None: none are. `doubtful`: whose
    uses are not known, with the last time.
    """

    scopes: dict[RuleScope, ScopeUse] = field(default_factory=dict)
    chains: dict[str, int] = field(default_factory=dict)
    doubtful: dict[Key, float] = field(default_factory=dict)
    covered: float | None = None
    broken: float | None = None

    def scope(self, scope: RuleScope) -> ScopeUse:
        """Return what is known of a scope, from now on."""
        return self.scopes.setdefault(scope, ScopeUse())

    def cover(self, begin: float, end: float, gap: float) -> None:
        """Take that there are lines of all that time. More than `gap` seconds without any are missing."""
        if self.covered is not None and begin - self.covered > gap:
            self.lose(begin)
        self.covered = end if self.covered is None else max(self.covered, end)

    def doubt(self, subject: Key, moment: float) -> None:
        """Take that a use of a subject then is not known."""
        self.doubtful[subject] = max(self.doubtful.get(subject, moment), moment)

    def lose(self, moment: float) -> None:
        """Take that uses up to then may be missing."""
        self.broken = moment if self.broken is None else max(self.broken, moment)

    def whole_since(self, subject: Key, moment: float) -> bool:
        """Tell whether every use of a subject since then is known."""
        return all(one is None or one < moment for one in (self.broken, self.doubtful.get(subject)))
