"""Truth of three values (Kleene): what a rule asks of a call holds, does not, or cannot be told.

Holds: what cannot be told is never taken for either: it has no truth of its own, so that `if`, `and` and `not` of it
are errors. Compare by identity.
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
    """Return True where one is, else UNKNOWN where one cannot be told, else False."""
    found: Truth = False
    for truth in truths:
        if truth is True:
            return True
        if truth is not False:
            found = UNKNOWN
    return found
