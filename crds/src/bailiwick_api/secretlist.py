"""One JSON list in one entry of a Secret, so that it is replaced whole or not at all: signing keys, authorities.

Holds: if any part of the content cannot be read, all of it is unreadable. No message repeats a byte of the content.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bailiwick_api import times

MOST: Final = 16
"""The maximum length of a list; the minimum is one."""


class UnreadableListError(ValueError):
    """The content is not what the operator writes; the message says where, and does not repeat it."""


def read_list(data: Mapping[str, Any] | None, entry: str, what: str) -> Sequence[dict[str, Any]]:
    """Return the objects in a Secret's base64 `data`; `what` is their name, plural. Raises `UnreadableListError`."""
    encoded = (data or {}).get(entry)
    if not isinstance(encoded, str):
        raise UnreadableListError(f"entry {entry} is missing")
    try:
        objects = json.loads(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        # Without the cause, which would quote the content.
        raise UnreadableListError(f"{entry} is not valid JSON") from None
    if not isinstance(objects, list) or not 0 < len(objects) <= MOST:
        raise UnreadableListError(f"{entry} is not a list of 1 to {MOST} {what}")
    for index, member in enumerate(objects):
        if not isinstance(member, dict):
            raise UnreadableListError(f"{place(entry, index)} is not an object")
    return objects


def secret_entry(entry: str, objects: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the entry of a Secret's `data` that holds these objects."""
    return {entry: base64.b64encode(json.dumps(list(objects), indent=1).encode()).decode()}


def place(entry: str, index: int) -> str:
    """Return the name of one object of a list for messages."""
    return f"{entry}[{index}]"


def time(entry: str, index: int, value: object) -> datetime:
    """Return a time of one object. Raises `UnreadableListError`."""
    if (found := times.parse_time(value)) is None:
        raise UnreadableListError(f"{place(entry, index)} has an invalid time")
    return found
