"""Counts what each callback of the event loop does, in calls: the same on whatever machine, however busy it is.

Holds: a call of Python or C and its return count one each; how long one call of C takes is not in it, which
`benchmarks/holding.py` measures. The loop rests after each step while it counts, not by the clock.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from bailiwick_webhook.store import slices


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count calls and returns in every callback of the loop that begins within. The list grows as they end."""
    found: list[int] = []
    run = asyncio.events.Handle._run
    count = 0

    def profile(_frame: FrameType, _event: str, _arg: object) -> None:
        nonlocal count
        count += 1

    def counting(handle: asyncio.Handle) -> None:
        nonlocal count
        count = 0
        run(handle)
        found.append(count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.events.Handle, "_run", counting)
        # Every step is over its time, and nobody else is waited for.
        patch.setattr(slices, "SECONDS", 0.0)
        patch.setattr(slices, "_OTHERS", 0)
        before = sys.getprofile()
        sys.setprofile(profile)
        try:
            yield found
        finally:
            sys.setprofile(before)
