"""Inputs: the parts of a call that conditions see, made once for all conditions of the call.

Holds: parts of a call are shared, not copied, and no code writes to them. Values that the CEL library would convert to
something else, and the size of each member, are known before anything is evaluated.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

import orjson

from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.cost.estimate import LIMIT, Cost, Extent, Path

NUL: Final = "\0"
_NUL_ESCAPED: Final = rb"\u0000"
_BACKSLASH: Final = ord("\\")
_STRICT: Final = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_SMALL_BYTES: Final = 2_048
ABSENT: Final = Extent(0, 1, 0)
"""Of what is not there, and of a number or a truth."""
_VAST: Final = Extent(10**7, 10**7, 10**9)
"""Of what cannot be measured: no condition that looks at it is evaluated."""
_MOST_WALKED: Final = 10_000


class Inputs(dict[str, Any]):
    """What conditions see of a call, by name, but for `now`, which takes time to make and which few of them read.

    `whole`: the library takes all of it as it is. It cuts a text at a NUL character, so that "admin" with anything at
    all behind a NUL would equal "admin"; where there is one, every condition is UNKNOWN.

    `plain`: all of it is JSON that the library takes over. It takes over everything that an expression reads before it
    evaluates anything, and what it cannot take over (half a character, a number too large) makes the whole expression
    fail. Closures look only at what they come to, so they are not asked then.

    `certain`: it is whole, and the claims of the subject are known, so that no condition is UNKNOWN whatever it says.

    `small`: it takes up 2 KiB at most. `allowance`: what one condition may take, in picoseconds; a condition that would
    take more is not evaluated. `left`: what all further conditions may take together, where that is counted.
    """

    __slots__ = ("_extents", "allowance", "certain", "left", "moment", "plain", "small", "whole")
    moment: float
    plain: bool
    whole: bool
    certain: bool
    small: bool
    allowance: int
    left: int | None
    _extents: dict[Path, Extent]

    @classmethod
    def from_values(cls, values: Mapping[str, Any], moment: float) -> Self:
        """Hold these values, named as `_DECLARED` says, at this moment in seconds since the epoch."""
        made = cls(values)
        made.moment = moment
        made.plain, made.whole, made.small = _taken([*values.values()])
        made.certain = made.whole and "claims" in values["subject"]
        made.allowance = LIMIT
        made.left = None
        made._extents = {}
        return made

    def cost(self, cost: Cost) -> int:
        """Return what an expression of this cost takes for this call, in picoseconds."""
        return cost.value_at([self._extent(path) for path in cost.reads])

    def affords(self, cost: Cost) -> bool:
        """Tell whether an expression of this cost may be evaluated, and count it where that is counted."""
        taken = self.cost(cost)
        if taken > self.allowance:
            return False
        if self.left is not None:
            if taken > self.left:
                return False
            self.left -= taken
        return True

    def read(self, paths: Iterable[Path]) -> dict[str, Any]:
        """Return these members alone, each in its place, so that the library takes over no others.

        None of the paths is the beginning of another one.
        """
        return members(self, paths)

    def _extent(self, path: Path) -> Extent:
        """Return how large a member is."""
        found = self._extents.get(path)
        if found is None:
            found = self._extents[path] = self._measured(path)
        return found

    def _measured(self, path: Path) -> Extent:
        return extent_at(self, path, encoded_extent if self.plain else _walk_extent)


HistoryMembers = Mapping[str, Mapping[str, int | float]]
"""The numbers of histories, by name: `count`, `sum` where there is an amount, `age` where there was a call before."""
NO_NUMBERS: Final[HistoryMembers] = {}


class HistoryInputs(Inputs):
    """What conditions see of a call and of the endpoint's histories. One that is not in `history` is unknown."""

    __slots__ = ("history",)
    history: HistoryMembers

    @classmethod
    def from_values(cls, values: Mapping[str, Any], moment: float) -> Self:
        """Hold these values, as `Inputs.from_values` does; all histories are unknown at first."""
        made = super().from_values(values, moment)
        made.history = NO_NUMBERS
        return made


def extent_at(values: Mapping[str, Any], path: Path, measure: Callable[[Any], Extent]) -> Extent:
    """Return how large a member is; `measure` says it of an object or a list."""
    value: Any = values
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return ABSENT
        value = value[name]
    match value:
        case str():
            return Extent(0, 1, len(value))
        case None | bool() | int() | float():
            return ABSENT
    return measure(value)


def members(values: Mapping[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
    """Return these members of some values, see `Inputs.read`."""
    found: dict[str, Any] = {}
    for root, *fields in paths:
        if root not in values:
            continue
        value, into, name = values[root], found, root
        for field in fields:
            if not isinstance(value, Mapping):
                break
            into = into.setdefault(name, {})
            if field not in value:
                break
            value, name = value[field], field
        else:
            into[name] = value
            continue
        if not isinstance(value, Mapping):
            # Whatever is asked of it fails, as it would where it stands.
            into[name] = value
    return found


def encoded_extent(value: Any) -> Extent:  # noqa: ANN401 - any JSON value
    """Measure by what is written: as many values as there are signs that part them, at most. It takes no loop here."""
    raw = orjson.dumps(value, option=_STRICT)
    nodes = 1 + sum(map(raw.count, (b",", b":", b"[", b"{")))
    return Extent(len(value), nodes, len(raw))


def _walk_extent(value: object) -> Extent:
    """Measure what is not plain JSON."""
    length = len(value) if isinstance(value, Mapping | list | tuple | set | frozenset) else 0
    nodes = characters = 0
    waiting = [value]
    while waiting:
        one = waiting.pop()
        nodes += 1
        if nodes + len(waiting) > _MOST_WALKED:
            return _VAST
        match one:
            case str() | bytes():
                characters += len(one)
            case Mapping():
                waiting += [*one.keys(), *one.values()]
            case list() | tuple() | set() | frozenset():
                waiting += one
            case _:
                characters += 64
    return Extent(length, nodes, characters)


def _taken(seen: list[Any]) -> tuple[bool, bool, bool]:
    """Return `plain`, `whole` and `small` of what is seen."""
    try:
        encoded = orjson.dumps(seen, option=_STRICT)
    except TypeError:
        return False, not _holds_nul(seen), False
    # Hardly any call holds a backslash, and one character is found ten times faster than six. The escape itself may
    # stand in a text, so that only a look at all of it can tell.
    whole = _BACKSLASH not in encoded or _NUL_ESCAPED not in encoded or not _holds_nul(seen)
    return True, whole, len(encoded) <= _SMALL_BYTES


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


def inputs(call: Call, subject: Party, now: float, actor: Party | None = None, kind: type[Inputs] = Inputs) -> Inputs:
    """Return what conditions see of a call. `now` is seconds since the epoch; `actor` is the hop that is judged.

    For a call of the subject's own `actor` is empty. `kind`: what is made, see `datascope`.
    """
    action, resource, context = call.action, call.resource, call.context
    doing, properties = action.properties, resource.properties
    # Each is passed on if it is a dict already, as almost all are: no code here writes to it.
    return kind.from_values(
        {
            "subject": _party(subject),
            "actor": {} if actor is None else _party(actor),
            "action": {"name": action.name, "properties": doing if type(doing) is dict else _members(doing)},
            "resource": {
                "type": resource.type,
                "id": resource.id,
                "properties": properties if type(properties) is dict else _members(properties),
            },
            "context": context if type(context) is dict else _members(context),
        },
        now,
    )


def _members(mapping: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(mapping or {})


def _party(party: Party) -> dict[str, Any]:
    """Without `claims` where they are unknown: what reads them then yields UNKNOWN (see `Scope.evaluate`)."""
    properties, claims = party.properties, party.claims
    seen = {
        "type": party.type,
        "id": party.id,
        "properties": properties if type(properties) is dict else _members(properties),
    }
    if not party.hypothetical:
        seen["claims"] = claims if type(claims) is dict else _members(claims)
    return seen
