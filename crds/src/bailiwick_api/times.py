"""Moments as Kubernetes writes them: RFC 3339 in UTC, to the second. Pure; below everything that stores one.

Holds: what is no time, or one that UTC's calendar does not have, is None and never an exception.
"""

from datetime import UTC, datetime
from functools import lru_cache


def stamp(moment: datetime) -> str:
    """Write a moment, which knows its time zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch_stamp(seconds: float) -> str:
    """Write a moment of which the seconds since the epoch are known."""
    return _epoch_stamp(int(seconds))


@lru_cache(64)
def _epoch_stamp(seconds: int) -> str:
    # Kept, since answers of one second write the same few moments.
    return stamp(datetime.fromtimestamp(seconds, UTC))


def read(text: object) -> datetime | None:
    """Return a moment in UTC; None where it is none, or does not say its time zone."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
