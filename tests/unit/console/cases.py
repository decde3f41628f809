"""Grants of the present, for tests of the console, whose pages look at the clock."""

import time
from datetime import UTC, datetime
from typing import Any

from support.objects import Object, stamp
from unit.governance.cases import stored


def from_now(seconds: float) -> str:
    """Return the moment so many seconds from now."""
    return stamp(datetime.fromtimestamp(time.time() + seconds, UTC))


def waiting(*reviews: Object, **fields: Any) -> Object:  # noqa: ANN401 - as `stored`
    """Return a grant that waits for an hour."""
    raw = stored(*reviews, **{"pendingUntilTime": from_now(3600), **fields})
    raw["metadata"]["creationTimestamp"] = from_now(-60)
    return raw


def named(name: str, raw: Object, **metadata: object) -> Object:
    """Return a stored grant under another name, and with a uid of its own."""
    raw["metadata"] |= {"name": name, "uid": f"uid-{name}", **metadata}
    return raw
