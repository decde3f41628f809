"""Truth with three values (Kleene): a requirement of a rule holds, does not hold, or is unknown.

Holds: unknown is never taken for either of the others: it has no truth value, so that `if`, `and` and `not` on it are
errors. Compare by identity.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final, NoReturn


class Indeterminate(Enum):
    """Neither true nor false, and why. What it does is for the rule's effect to say, never to anybody's advantage."""

    UNKNOWN = "unknown"
    """Something is missing, cannot be read, or is an error."""
    TOO_COSTLY = "too costly"
    """To find out would take longer than it may."""

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self.value} is neither true nor false: compare with `is`")


UNKNOWN: Final = Indeterminate.UNKNOWN
TOO_COSTLY: Final = Indeterminate.TOO_COSTLY
Truth = bool | Indeterminate


def any_of(truths: Iterable[Truth]) -> Truth:
    """Return True if one is true, otherwise UNKNOWN if one is unknown, otherwise False."""
    found: Truth = False
    for truth in truths:
        if truth is True:
            return True
        if truth is not False:
            found = UNKNOWN
    return found
