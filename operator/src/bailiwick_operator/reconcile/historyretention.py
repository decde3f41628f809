"""Until when a history counts anything, as the decision point says by a label. Pure.

Holds: only a label of the one form that the decision point writes is a time; anything else is unknown, so that the
history is kept.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bailiwick_api.kinds.meta import KEEP_UNTIL_LABEL

_HOUR: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}")


def keep_until(history: Mapping[str, Any]) -> float | None:
    """Return from when on a history counts nothing any more, in seconds since the epoch; None where it is unknown."""
    label = (history["metadata"].get("labels") or {}).get(KEEP_UNTIL_LABEL)
    if not isinstance(label, str) or _HOUR.fullmatch(label) is None:
        return None
    try:
        return datetime.strptime(label, "%Y-%m-%dT%H").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
