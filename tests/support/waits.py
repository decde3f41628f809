"""Waiting for what the API server takes up a moment later (definitions, policies, roles)."""

import time
from collections.abc import Callable
from typing import Final

from localcluster.machineload import stretch
from localcluster.rest import Answer

POLL_SECONDS: Final = 0.05


def until(holds: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Ask until `holds` is true. Raises `TimeoutError` that says what never came, and the last answer.

    The seconds are those of a machine that has nothing else to do; where it has, they are longer.
    """
    began = time.monotonic()
    while not (last := holds()):
        if time.monotonic() - began > seconds * stretch():
            message = f"not within {seconds:g} s, each {stretch():.1f} long: {what}; last seen: {last!r}"
            raise TimeoutError(message)
        time.sleep(POLL_SECONDS)


def until_ok(ask: Callable[[], Answer], what: str, seconds: float = 30.0) -> None:
    """Ask until an answer is a success; the `TimeoutError` has the server's last words."""
    answers: list[Answer] = []

    def is_success() -> object:
        answers[:] = [ask()]
        return answers[0].ok

    try:
        until(is_success, what, seconds)
    except TimeoutError as error:
        message = f"{error}; {answers[0].status} {answers[0].message}"
        raise TimeoutError(message) from None
