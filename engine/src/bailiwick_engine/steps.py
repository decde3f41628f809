"""Steps: pure work that can be done piece by piece, so that an event loop can turn in between.

Holds: a step is at most one expression; what the steps yield says nothing, and what they return is the whole.
"""

from collections.abc import Generator
from typing import TypeVar

_Result = TypeVar("_Result")

Steps = Generator[None, None, _Result]


def whole(steps: Steps[_Result]) -> _Result:
    """Take all the steps at once, and return what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: _Result = end.value
            return result
