"""Display: what an approver is shown of a call, rendered from the values that are digested (DESIGN, "Binding").

Holds: a call is shown whole or not at all, nothing is cut; the requester's own prose is never part of it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from bailiwick_engine.binding import ARGS, ARGS_DIGEST, NotCanonicalError, bound_properties, canonical
from bailiwick_engine.call import Call, Json, Subject

MAX_ARGS: Final = 32
MAX_ITEMS: Final = 64
MAX_NAME: Final = 253
MAX_VALUE: Final = 1024


# What prints as nothing though its category says that it prints: fillers, joiners, variation selectors.
_UNSEEN: Final = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x2800, 0x2800),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFFA0, 0xFFA0),
        (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)


def inspectable(call: Call) -> bool:
    """Tell whether an approver can be shown the whole call."""
    if ARGS_DIGEST in call.context:
        # A bare digest would have people approve what they cannot see; beside `args` it would not even be digested.
        return False
    if ARGS in call.context:
        args = call.context[ARGS]
        if not isinstance(args, Mapping) or len(args) > MAX_ARGS:
            return False
    try:
        items = list(items_of(call))
    except NotCanonicalError:
        return False
    return len(items) <= MAX_ITEMS and all(
        0 < len(item["name"]) <= MAX_NAME and len(item["value"]) <= MAX_VALUE for item in items
    )


def items_of(call: Call) -> Iterator[dict[str, str]]:
    """Yield name and value of all that the digest covers, arguments first, as `spec.request.display` holds them.

    What the request names in fields of its own, `intent` too, is not repeated. Raises `NotCanonicalError`.
    """
    told = {ARGS} if call.intent is None else {ARGS, "intent"}
    subject = call.subject.properties if isinstance(call.subject, Subject) else None
    sources: tuple[tuple[str, Json], ...] = (
        ("args", call.context.get(ARGS)),
        ("subject.properties", bound_properties(subject)),
        ("action.properties", call.action.properties),
        ("resource.properties", call.resource.properties),
        ("context", {name: value for name, value in call.context.items() if name not in told} or None),
    )
    for prefix, members in sources:
        if isinstance(members, Mapping):
            if not members:
                # Empty is not absent: their digests differ.
                yield {"name": prefix, "value": "{}"}
            for name in sorted(members):
                yield {"name": f"{prefix}.{visible(name)}", "value": _rendered(members[name])}


def _rendered(value: Json) -> str:
    """Strings as they are, but quoted where they would read as another value; anything else as it is digested."""
    if isinstance(value, str) and not _reads_as_json(value):
        return visible(value)
    return visible(canonical(value).decode())


def _reads_as_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def visible(text: str) -> str:
    r"""Escape control, bidi and other invisible characters as \uXXXX, so that what is read is what is there."""
    return "".join(
        character
        if character.isprintable() and character != "\\" and character not in _UNSEEN
        else json.dumps(character)[1:-1]
        for character in text
    )
