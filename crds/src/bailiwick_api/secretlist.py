"""One JSON list in one entry of a Secret, so that it is replaced whole or not at all: signing keys, authorities.

Holds: content of which any part cannot be read is unreadable as a whole; what is wrong is said without a byte of it.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bailiwick_api import times

MOST: Final = 16
"""How many a list may hold, and at least one."""


class UnreadableListError(ValueError):
    """The content is not what the operator writes; the message says where, and repeats nothing of it."""


def read(data: Mapping[str, Any] | None, entry: str, what: str) -> Sequence[dict[str, Any]]:
    """Return the objects in a Secret's base64 `data`; `what` is their name, plural. Raises `UnreadableListError`."""
    found = (data or {}).get(entry)
    if not isinstance(found, str):
        raise UnreadableListError(f"entry {entry} is missing")
    try:
        listed = json.loads(base64.b64decode(found, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        # Without its cause, which would quote the content.
        raise UnreadableListError(f"{entry} is not valid JSON") from None
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST:
        raise UnreadableListError(f"{entry} is not a list of 1 to {MOST} {what}")
    for index, each in enumerate(listed):
        if not isinstance(each, dict):
            raise UnreadableListError(f"{place(entry, index)} is not an object")
    return listed


def written(entry: str, listed: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the entry of a Secret's `data` that holds these objects."""
    return {entry: base64.b64encode(json.dumps(list(listed), indent=1).encode()).decode()}


def place(entry: str, index: int) -> str:
    """Return how one object of a list is called in messages."""
    return f"{entry}[{index}]"


def time(entry: str, index: int, value: object) -> datetime:
    """Return a time of one object. Raises `UnreadableListError`."""
    if (found := times.read(value)) is None:
        raise UnreadableListError(f"{place(entry, index)} has an invalid time")
    return found
