"""Inputs: what conditions see of a call, once for all that are asked of it.

Holds: parts of a call are shared, not copied, and nobody writes to them; what the CEL library would take over otherwise
than it is said is known before anything is evaluated.
"""

from collections.abc import Mapping
from typing import Any, Final, Self

import orjson

from bailiwick_engine.call import Call, Subject

NUL: Final = "\0"
_NUL_ESCAPED: Final = rb"\u0000"
_STRICT: Final = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


class Inputs(dict[str, Any]):
    """What conditions see of a call, by name, but for `now`, which takes time to make and which few of them read.

    `whole`: the library takes all of it as it is. It cuts a text at a NUL character, so that "admin" with anything at
    all behind a NUL would equal "admin"; where there is one, every condition is UNKNOWN.

    `plain`: all of it is JSON that the library takes over. It takes over everything before it evaluates anything, and
    what it cannot take over (half a character, a number too large) makes the whole expression fail. Closures look only
    at what they read, so they are not asked then.
    """

    __slots__ = ("moment", "plain", "whole")
    moment: float
    plain: bool
    whole: bool

    @classmethod
    def of(cls, values: Mapping[str, Any], moment: float) -> Self:
        """Hold these values, named as `_DECLARED` says, at this moment in seconds since the epoch."""
        made = cls(values)
        made.moment = moment
        made.plain, made.whole = _taken(list(values.values()))
        return made


def _taken(seen: list[Any]) -> tuple[bool, bool]:
    """Return `plain` and `whole` of what is seen."""
    try:
        encoded = orjson.dumps(seen, option=_STRICT)
    except TypeError:
        return False, not _holds_nul(seen)
    # The escape itself may stand in a text, so that only a look at all of it can tell.
    return True, _NUL_ESCAPED not in encoded or not _holds_nul(seen)


def _holds_nul(value: object) -> bool:
    """Tell whether a text or a name anywhere in a value holds a NUL character."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                if NUL in text:
                    return True
            case Mapping() as members:
                waiting += [*members.keys(), *members.values()]
            case list() | tuple() | set() | frozenset() as items:
                waiting += items
            case _:
                pass
    return False


def inputs(call: Call, subject: Subject, now: float, actor: Subject | None = None) -> Inputs:
    """Return what conditions see of a call. `now` is seconds since the epoch; `actor` is the hop that is judged.

    For a call of the subject's own `actor` is empty.
    """
    action, resource = call.action, call.resource
    return Inputs.of(
        {
            "subject": _party(subject),
            "actor": {} if actor is None else _party(actor),
            "action": {"name": action.name, "properties": _members(action.properties)},
            "resource": {"type": resource.type, "id": resource.id, "properties": _members(resource.properties)},
            "context": _members(call.context),
        },
        now,
    )


def _members(mapping: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the mapping itself where it is a dict already: nobody here writes to it."""
    return mapping if type(mapping) is dict else dict(mapping or {})


def _party(party: Subject) -> dict[str, Any]:
    """Without `claims` where they are unknown: what reads them then yields UNKNOWN (see `Scope.evaluate`)."""
    seen = {"type": party.type, "id": party.id, "properties": _members(party.properties)}
    if not party.hypothetical:
        seen["claims"] = _members(party.claims)
    return seen
