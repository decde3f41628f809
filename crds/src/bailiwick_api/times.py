"""Times as Kubernetes writes them: RFC 3339 in UTC, to the second; and hours, as labels have them. Pure.

Standing: below everything that stores a time. Holds: text that is not a time, or not one of UTC's calendar, is None and
never an exception.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeGuard

END: Final = 253_402_300_800
"""When the year 10000 begins, which no calendar has, in seconds since the epoch."""
_HOUR: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}")


def stamp(moment: datetime) -> str:
    """Write a time that has a time zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch_stamp(seconds: float) -> str:
    """Write a time given in seconds since the epoch."""
    return _epoch_stamp(int(seconds))


@lru_cache(64)
def _epoch_stamp(seconds: int) -> str:
    # Cached, since the answers of one second write the same few times.
    return stamp(datetime.fromtimestamp(seconds, UTC))


def is_moment(value: object) -> TypeGuard[float]:
    """Tell whether a value is a moment from 1970 to the end of 9999, in seconds since the epoch."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < END


def parse_time(text: object) -> datetime | None:
    """Return a time in UTC; None if the text is not a time, or has no time zone."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def parse_hour(text: object) -> datetime | None:
    """Return an hour in UTC, such as `2026-11-30T16`; None if the text is not exactly one."""
    if not isinstance(text, str) or _HOUR.fullmatch(text) is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC)
    except ValueError:
        return None
