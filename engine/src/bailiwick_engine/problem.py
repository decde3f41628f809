"""A problem in a policy, with its place. What compile reports and what a person reads in `kubectl describe`.

Holds: a problem always names the field, and where it is text the line and column in it (both from 1).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `path` is the field (`spec.rules[2].conditions[0].expression`).

    `costly`: nothing is wrong with what it says, but it could take longer than a decision may.
    """

    path: str
    message: str
    line: int = 0
    column: int = 0
    costly: bool = False

    def __str__(self) -> str:
        """Return `path:line:column: message`, without the position where there is none."""
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return f"{place}: {self.message}" if place else self.message


def place(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of an offset into a text, both from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
