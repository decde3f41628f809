"""Compiled histories, needs and states for tests."""

import hashlib
from typing import Final

from bailiwick_engine.history.needs import Addition, ObjectNeed
from bailiwick_engine.history.state import KeyState
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.histories import (
    Amount,
    CalendarWindow,
    CompiledHistory,
    CountedCalls,
    KeyPart,
    SlidingWindow,
)

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
_HOUR_LONG: Final = SlidingWindow(HOUR)
KEY: Final = "sha256:" + "0" * 64


def history(
    name: str = "exports",
    window: SlidingWindow | CalendarWindow = _HOUR_LONG,
    *,
    amount: Amount | None = None,
    key: tuple[KeyPart, ...] = (),
    what: CountedCalls = "Allowed",
    outcome_within: int = 10 * MINUTE,
    ignores_approved: bool = False,
) -> CompiledHistory:
    """Return a history that counts every call; its digest is of its name."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return CompiledHistory(
        name,
        digest,
        key,
        window,
        NameSet.of(["*"]),
        amount=amount,
        what=what,
        ignores_approved=ignores_approved,
        outcome_within=outcome_within,
    )


def need(*counting: CompiledHistory, reads: tuple[CompiledHistory, ...] = (), total: int = 0) -> ObjectNeed:
    """Return what a call needs that these histories of one key count."""
    return ObjectNeed(
        "h-" + "0" * 40,
        KEY,
        (*counting, *reads),
        tuple(Addition(one, total) for one in counting),
        min((one.outcome_within for one in counting if one.awaits_outcome), default=None),
    )


def empty_state() -> KeyState:
    """Return the state of a key that was never used."""
    return KeyState("crm-api", KEY)


def entry_id(number: int, attempt: int = 0) -> str:
    """Return the id of an entry of a call by its number."""
    return f"{number:024x}{attempt:08x}"
