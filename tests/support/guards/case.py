"""A case of a guard: a request that one expression refuses, and the nearest one that passes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from support.guards.ground import Ask, Ground

FORBIDDEN: Final = 403
INVALID: Final = 422


@dataclass(frozen=True, slots=True)
class Case:
    """`refused` and `accepted` arrange what they need on a ground and return the request itself.

    `says` is the refusal where it is more than the expression's message. `then` is who refuses when the expression is
    left out; empty: nobody, which shows that the expression alone refuses. `unruled` is for what the schema refuses
    first: such a case is played where the schema has no rules.
    """

    guard: str
    message: str
    title: str
    refused: Callable[[Ground], Ask]
    accepted: Callable[[Ground], Ask]
    says: str = ""
    status: int = FORBIDDEN
    then: str = ""
    unruled: bool = False

    def __str__(self) -> str:
        return f"{self.guard.removeprefix('bailiwick-').removeprefix('grants-')}: {self.title}"
