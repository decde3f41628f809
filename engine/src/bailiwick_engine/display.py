"""Display: what an approver is shown of a call, rendered from the values that are digested (DESIGN, "Binding").

Holds: a call is shown whole or not at all, nothing is cut; the requester's own prose is never part of it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from bailiwick_engine.binding import ARGS, ARGS_DIGEST
from bailiwick_engine.call import Call, Json

MAX_ARGS: Final = 32
MAX_ITEMS: Final = 64
MAX_NAME: Final = 253
MAX_VALUE: Final = 1024


def inspectable(call: Call) -> bool:
    """Tell whether an approver can be shown the whole call."""
    args = call.context.get(ARGS)
    if args is None:
        # A bare digest of arguments would have people approve what they cannot see.
        if ARGS_DIGEST in call.context:
            return False
    elif not isinstance(args, Mapping) or len(args) > MAX_ARGS:
        return False
    items = list(items_of(call))
    return len(items) <= MAX_ITEMS and all(
        0 < len(item["name"]) <= MAX_NAME and len(item["value"]) <= MAX_VALUE for item in items
    )


def items_of(call: Call) -> Iterator[dict[str, str]]:
    """Yield name and value of all that the digest covers, arguments first, as `spec.request.display` holds them."""
    args = call.context.get(ARGS)
    sources: tuple[tuple[str, Mapping[str, Json]], ...] = (
        ("args", args if isinstance(args, Mapping) else {}),
        ("action.properties", call.action.properties or {}),
        ("resource.properties", call.resource.properties or {}),
        ("context", {name: value for name, value in call.context.items() if name not in {ARGS, ARGS_DIGEST, "intent"}}),
    )
    for prefix, members in sources:
        for name in sorted(members):
            yield {"name": f"{prefix}.{_visible(name)}", "value": _rendered(members[name])}


def _rendered(value: Json) -> str:
    """Strings as they are, but with everything invisible escaped; anything else as JSON."""
    return (
        _visible(value) if isinstance(value, str) else _visible(json.dumps(value, sort_keys=True, ensure_ascii=False))
    )


def _visible(text: str) -> str:
    r"""Escape control, bidi and other invisible characters as \uXXXX, so that what is read is what is there."""
    return "".join(
        character if character.isprintable() and character != "\\" else json.dumps(character)[1:-1]
        for character in text
    )
