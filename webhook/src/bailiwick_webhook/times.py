"""Times as they are written in answers and tokens."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache


def stamp(seconds: float) -> str:
    """Return a time, in seconds since the epoch, as RFC 3339 in UTC."""
    return _stamp(int(seconds))


@lru_cache(64)
def _stamp(seconds: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
