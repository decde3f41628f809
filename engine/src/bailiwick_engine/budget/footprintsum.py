"""Footprint sum: what several policies of a namespace take together; an expression that many have is counted once.

Standing: below the ledger. Holds: adding and removing are exact, in whichever order.
"""

from dataclasses import dataclass, field

from bailiwick_engine.budget.footprint import Footprint


@dataclass(slots=True)
class FootprintSum:
    """What some policies of a namespace take together. Of each expression: its bytes, and how many have it."""

    own: int = 0
    shared: int = 0
    text: int = 0
    count: int = 0
    expressions: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """All of them."""
        return self.own + self.shared

    def more(self, made: Footprint) -> int:
        """Return how many bytes a policy would add."""
        known = self.expressions
        return made.own + sum(size for one, size in made.expressions if one not in known)

    def add(self, made: Footprint) -> None:
        """Take one more in."""
        self.own, self.text, self.count = self.own + made.own, self.text + made.text, self.count + 1
        for one, size in made.expressions:
            known, times = self.expressions.get(one, (size, 0))
            self.expressions[one] = (known, times + 1)
            self.shared += 0 if times else known

    def remove(self, made: Footprint) -> None:
        """Take one out that is in."""
        self.own, self.text, self.count = self.own - made.own, self.text - made.text, self.count - 1
        for one, _ in made.expressions:
            known, times = self.expressions[one]
            if times > 1:
                self.expressions[one] = (known, times - 1)
            else:
                del self.expressions[one]
                self.shared -= known
