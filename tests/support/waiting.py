"""Waiting for what the API server takes up a moment later (definitions, policies, roles)."""

import time
from collections.abc import Callable
from typing import Final

POLL_SECONDS: Final = 0.05


def until(holds: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Ask until `holds` is true. Raises `TimeoutError` that says what never came, and the last answer."""
    deadline = time.monotonic() + seconds
    while not (last := holds()):
        if time.monotonic() > deadline:
            message = f"not within {seconds:g} s: {what}; last seen: {last!r}"
            raise TimeoutError(message)
        time.sleep(POLL_SECONDS)
