"""How much work a call is: counted by the lines of Python that run, which a slow machine does not change."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines_run(work: Callable[[], object]) -> int:
    """Return how many lines run in a call, in everything that it calls."""
    count = 0

    def trace(_frame: FrameType, event: str, _held: object) -> Any:  # noqa: ANN401 - as the interpreter calls it
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
