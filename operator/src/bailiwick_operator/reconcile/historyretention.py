"""Until when a history counts anything, as the decision point says by a label. Pure.

Holds: only a label of the one form that the decision point writes is a time; anything else is unknown, so that the
history is kept.
"""

from collections.abc import Mapping
from typing import Any

from bailiwick_api.kinds.meta import KEEP_UNTIL_LABEL
from bailiwick_api.times import parse_hour


def keep_until(history: Mapping[str, Any]) -> float | None:
    """Return from when on a history counts nothing any more, in seconds since the epoch; None where it is unknown."""
    hour = parse_hour((history["metadata"].get("labels") or {}).get(KEEP_UNTIL_LABEL))
    return None if hour is None else hour.timestamp()
