"""Names of members and parameters that some readers take for one another.

Go, .NET and others know no case of members. Readers of protobuf's JSON, and models with aliases, take `order_amount`
for `orderAmount`. Standing: below `routes`, `paths` and `mcpmessages`, above `segments`; needs nothing but the standard
library, since the SDK has a copy that `make generate` writes. Holds: nothing is put right, since which of two members a
reader takes is its own affair: encoding/json of Go takes the last one.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from bailiwick_engine.policy.segments import caseless_text

_SHOWN: Final = 64
# Not those at the beginning: some databases have `_id` beside `id`.
_BETWEEN_WORDS: Final = re.compile(r"(?<=[^_])_+")


def joined_words(name: str) -> str:
    """Return a name of which the case is gone without the underscores that some writers replace by capitals."""
    return _BETWEEN_WORDS.sub("", name) if "_" in name else name


def other_spelling(members: Mapping[str, Any], name: str) -> str | None:
    """Return a member of another name that some readers take for this one; None where there is none."""
    meant = _reading(name)
    return next((other[:_SHOWN] for other in members if other != name and _reading(other) == meant), None)


def twin_members(value: object) -> str | None:
    """Return a member, in the value or anywhere in it, that some readers take for another one of its object."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            names: dict[str, str] = {}
            for name in one:
                if (first := names.setdefault(_reading(name), name)) is not name:
                    return first[:_SHOWN]
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
    return None


def _reading(name: str) -> str:
    return joined_words(caseless_text(name))
