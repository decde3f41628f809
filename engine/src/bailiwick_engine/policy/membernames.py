"""Members of JSON objects that some readers take for one another, since Go, .NET and others know no case of names.

Standing: below `routes` and `mcpmessages`, above `segments`; needs nothing but the standard library, since the SDK has
a copy that `make generate` writes. Holds: nothing is put right, since which of two members a reader takes is its own
affair: encoding/json of Go takes the last one.
"""

from collections.abc import Mapping
from typing import Any, Final

from bailiwick_engine.policy.segments import caseless_text

_SHOWN: Final = 64


def other_spelling(members: Mapping[str, Any], name: str) -> str | None:
    """Return a member of another name that some readers take for this one; None where there is none."""
    meant = caseless_text(name)
    return next((other[:_SHOWN] for other in members if other != name and caseless_text(other) == meant), None)


def twin_members(value: object) -> str | None:
    """Return a member, in the value or anywhere in it, that some readers take for another one of its object."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            names: dict[str, str] = {}
            for name in one:
                if (first := names.setdefault(caseless_text(name), name)) is not name:
                    return first[:_SHOWN]
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
    return None
