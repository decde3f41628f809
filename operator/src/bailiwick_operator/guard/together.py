"""Several calls of the API server at once, of which none goes on behind the one that failed.

Standing: under `prover` and `keeper`. Holds: all have ended when this returns or raises, and what is raised is what the
first of them raised, in the order in which they were given. So what is wrong is said in one order, whichever answer
comes first.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

_One = TypeVar("_One")
_First = TypeVar("_First")
_Second = TypeVar("_Second")


async def both(first: Awaitable[_First], second: Awaitable[_Second]) -> tuple[_First, _Second]:
    """Return what both return. Raises what the first one raised, or else the second one."""
    one, other = await asyncio.gather(first, second, return_exceptions=True)
    return value(one), value(other)


async def every(awaitables: Iterable[Awaitable[_One]]) -> list[_One]:
    """Return what each returns. Raises what the first of them that failed raised."""
    return [value(one) for one in await asyncio.gather(*awaitables, return_exceptions=True)]


def value(outcome: _One | BaseException) -> _One:
    """Return an outcome, as `asyncio.gather` returns it with `return_exceptions`, or raise it where it is an error."""
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome
