"""Attributes: which members of a call a record tells, under which names, and where each is found.

Standing: under `evidence`, which keeps a plan for each set of candidate rules. Holds: nothing here looks at a value; a
plan looks once at what holds several attributes.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.cel.members import Path

ABSENT: Final = object()
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INTENT: Final[Path] = ("context", "intent")
# These are objects in every call, whatever is in them.
_OBJECTS: Final = frozenset({"properties", "claims"})


class Above(NamedTuple):
    """What an attribute would be a member of."""

    name: str
    sealed: bool


class Attribute(NamedTuple):
    """One thing to record of a call: its name, what holds it, and the way from there.

    `above`: what is recorded where it is absent, by how much of the way there is; None where that goes without saying,
    and
    empty where it always does.
    """

    name: str
    base: Callable[[Call], object]
    rest: Path
    sealed: bool
    above: tuple[Above | None, ...]


# What holds attributes, and each of them: its name, the member of the holder that it is where that is all there is to
# it, and the whole of it.
AttributePlan = tuple[tuple[Callable[[Call], object], tuple[tuple[str, str | None, Attribute], ...]], ...]


def by_base(attributes: Iterable[Attribute]) -> AttributePlan:
    """Return them by what holds them, in their order: that is looked at once for all that stand next to each other."""
    return tuple(
        (
            base,
            tuple((one.name, one.rest[0] if len(one.rest) == 1 and not one.sealed else None, one) for one in held),
        )
        for base, held in groupby(attributes, key=attrgetter("base"))
    )


def attributes_of(path: Path, seals: Callable[[Path], bool], actors: int) -> Iterator[Attribute]:
    """Yield what is recorded of what a condition reads: of an actor, for each of so many."""
    if path[0] == "actor":
        for index in range(actors):
            yield _attribute(path, (f"actors[{index}]", *path[1:]), _actor(index), path[1:], seals)
    elif path == _INTENT:
        yield _attribute(path, path, _other_intent, (), seals)
    elif (base := _BASES.get(path[:2])) is not None and len(path) > len(path[:2]):
        yield _attribute(path, path, base, path[2:], seals)
    elif path[0] == "context":
        yield _attribute(path, path, attrgetter("context"), path[1:], seals)
    else:
        yield _attribute(path, path, _seen, path, seals)


def _attribute(
    path: Path, named: Path, base: Callable[[Call], object], rest: Path, seals: Callable[[Path], bool]
) -> Attribute:
    start = len(path) - len(rest)
    above = tuple(
        None
        if end < 2 or (end == 2 and path[1] in _OBJECTS)  # noqa: PLR2004 - what and its first member
        else Above(spelled(named[:end]), seals(path[:end]))
        for end in range(start, len(path))
    )
    return Attribute(spelled(named), base, rest, seals(path), above if any(above) else ())


def _other_intent(call: Call) -> object:
    """Return what stands as the intent and is none: of an intent the record has a member of its own."""
    held = call.context.get("intent", ABSENT)
    return ABSENT if held is not None and held == call.intent else held


# Nothing is read of a call whose subject is not proven.
_BASES: Final[Mapping[Path, Callable[[Call], object]]] = {
    base: attrgetter(".".join(base))
    for base in (("resource", "properties"), ("action", "properties"), ("subject", "properties"), ("subject", "claims"))
}


def _seen(call: Call) -> object:
    return inputs(call, call.subject, 0.0) if isinstance(call.subject, Party) else None


def _actor(index: int) -> Callable[[Call], object]:
    def found(call: Call) -> object:
        subject = call.subject
        return inputs(call, subject, 0.0, call.actors[index])["actor"] if isinstance(subject, Party) else None

    return found


def spelled(path: Path) -> str:
    """Spell a path as an expression would."""
    return path[0] + "".join(f".{part}" if _NAME.fullmatch(part) else f"[{part!r}]" for part in path[1:])
