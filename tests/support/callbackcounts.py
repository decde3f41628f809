"""Counts what each callback of the event loop does, in calls: the same on whatever machine, however busy it is.

Holds: a call of Python or C and its return count one each; how long one call of C takes is not in it, which
`benchmarks/inside/pauses.py` measures. While it counts, a turn is one step, not what a machine can do in two
milliseconds.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from bailiwick_policystore import slices
from bailiwick_policystore.controller import PolicyController
from bailiwick_policystore.rotation import TURN_SECONDS


@contextmanager
def counted(policies: PolicyController) -> Iterator[list[int]]:
    """Count calls and returns in every callback of the loop that begins within. The list grows as they end.

    `policies` take one step a turn meanwhile.
    """
    found: list[int] = []
    run = asyncio.events.Handle._run
    count = 0
    began, steps = time.monotonic(), itertools.count()

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
        patch.setattr(slices, "SLICE_SECONDS", 0.0)
        patch.setattr(slices, "_OTHERS", 0)
        patch.setattr(policies._queue._rotation, "_clock", lambda: began + 2 * TURN_SECONDS * next(steps))
        before = sys.getprofile()
        sys.setprofile(profile)
        try:
            yield found
        finally:
            sys.setprofile(before)
