"""Steps: an answer that is available at once, or a need: what must be awaited before there is one.

Standing: under identity, the request authenticator and the pipeline, so that each decides in one synchronous function
for every driver. Holds: a need is met once, by the caller that gets it; a need that is not met has used, recorded and
answered nothing.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeAlias, TypeVar

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_U = TypeVar("_U")


class Need(Generic[_T_co]):
    """`meet` awaits what is needed, and returns the next step. It raises what the step itself would raise."""

    __slots__ = ("meet",)

    def __init__(self, meet: "Callable[[], Awaitable[_T_co | Need[_T_co]]]") -> None:
        self.meet = meet


Step: TypeAlias = _T | Need[_T]


async def resolve(step: Step[_T]) -> _T:
    """Return the answer, after awaiting everything that it needs."""
    while isinstance(step, Need):
        step = await step.meet()
    return step


def then(need: Need[_T], follow: Callable[[_T], Step[_U]]) -> Need[_U]:
    """Return a need for the step that follows from the answer to this one."""
    return Need(partial(_follow, need, follow))


async def _follow(need: Need[_T], follow: Callable[[_T], Step[_U]]) -> Step[_U]:
    return follow(await resolve(need))
