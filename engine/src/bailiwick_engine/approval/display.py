"""Display: the parts of a call that reviewers see, rendered from the values that are digested.

Holds: a value is shown whole or not at all, never cut; the requester's own prose is never part of it. Less than the
whole call is shown only if the policy says what to show.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from bailiwick_api.kinds.approvalgrant import DisplayItem
from bailiwick_engine.approval.binding import ARGS, ARGS_DIGEST, bound_properties
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.call import Call, Json, Party
from bailiwick_engine.canonicaljson import NotCanonicalError, canonical

MAX_ARGS: Final = 32
MAX_ITEMS: Final = 64
MAX_NAME: Final = 253
MAX_VALUE: Final = 1024
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")

# Marks that take no room of their own, and how many of them writing needs on one letter.
_STACKING: Final = frozenset({"Mn", "Me"})
_MARKS: Final = 2
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
        (0x16FE4, 0x16FE4),
        (0x1D159, 0x1D159),
        (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)


def lacking(call: Call, gate: Gate) -> bool:
    """Tell whether the call lacks a member of the context that an approval of it needs. Null is nothing."""
    present = {name for name, value in call.context.items() if value is not None}
    if gate.unseen and ARGS_DIGEST in present:
        # The digest replaces the arguments, if the policy says that reviewers do not need to see them.
        present.add(ARGS)
    return not gate.required_context <= present


def inspectable(call: Call, gate: Gate) -> bool:
    """Tell whether an approver can be shown what the gate says that they are shown of the call."""
    if not gate.scope and not _arguments_told(call, gate):
        return False
    try:
        # Until one does not fit: a call may hold thousands, and what is long takes long to write out.
        for place, item in enumerate(items_of(call, gate)):
            if place == MAX_ITEMS or not (0 < len(item["name"]) <= MAX_NAME and len(item["value"]) <= MAX_VALUE):
                return False
    except NotCanonicalError:
        return False
    return True


def _arguments_told(call: Call, gate: Gate) -> bool:
    if ARGS_DIGEST in call.context:
        # A bare digest would have people approve what they cannot see; beside `args` it would not even be digested.
        spelled = call.context[ARGS_DIGEST]
        return (
            gate.unseen and ARGS not in call.context and isinstance(spelled, str) and bool(_DIGEST.fullmatch(spelled))
        )
    if ARGS in call.context:
        args = call.context[ARGS]
        return isinstance(args, Mapping) and (gate.show is not None or len(args) <= MAX_ARGS)
    return True


def items_of(call: Call, gate: Gate) -> Iterator[dict[str, str]]:
    """Yield name and value of what the approver is shown, as `spec.request.display` holds them.

    That is all that the digest covers, arguments first, or what the policy's pointers point at; of a scope nothing, as
    the request names it in fields of its own. Raises `NotCanonicalError`.
    """
    if gate.scope:
        return
    if ARGS_DIGEST in call.context:
        yield {"name": "args", "value": "not shown"}
    if gate.show is None:
        yield from _everything(call)
        return
    absent = []
    for pointer in gate.show:
        found, value = _resolve(call, pointer)
        if found:
            yield {"name": visible(pointer), "value": _render(value)}
        else:
            absent.append(visible(pointer))
    if absent:
        # No name of a thing that is there begins so: pointers begin with a slash.
        yield {"name": "absent", "value": ", ".join(absent)}


def is_shown(stored: Iterable[DisplayItem] | None, call: Call, gate: Gate) -> bool:
    """Tell whether what a grant shows its reviewers is what is shown of this call. Raises `NotCanonicalError`."""
    return [{"name": item.name, "value": item.value} for item in stored or ()] == list(items_of(call, gate))


def _everything(call: Call) -> Iterator[dict[str, str]]:
    """Yield all that the digest covers. What the request names in fields of its own, `intent` too, is not repeated."""
    told = {ARGS} if call.intent is None else {ARGS, "intent"}
    subject = call.subject.properties if isinstance(call.subject, Party) else None
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
                yield {"name": f"{prefix}.{_name_members(name)}", "value": _render(members[name])}


def _resolve(call: Call, pointer: str) -> tuple[bool, Json]:
    """Return whether the call has what a pointer points at, and what it is (RFC 6901)."""
    subject = call.subject.properties if isinstance(call.subject, Party) else None
    value: Json = {
        "subject": {"properties": bound_properties(subject)},
        "action": {"properties": call.action.properties},
        "resource": {"properties": call.resource.properties},
        "context": call.context,
    }
    for part in pointer.removeprefix("/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and name.isascii() and int(name) < len(value):
            value = value[int(name)]
        else:
            return False, None
    return True, value


def _render(value: Json) -> str:
    """Strings as they are, but quoted where they would read as another value; anything else as it is digested.

    What is too long is not escaped: no text gets shorter by that, and a megabyte of it would hold up everybody.
    """
    if isinstance(value, str) and (len(value) > MAX_VALUE or not _reads_as_json(value)):
        text = value
    else:
        text = canonical(value).decode()
    return text if len(text) > MAX_VALUE else visible(text)


def _name_members(name: str) -> str:
    return name if len(name) > MAX_NAME else visible(name)


def _reads_as_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def visible(text: str) -> str:
    r"""Escape control, bidi and other invisible characters as \uXXXX, so that what is read is what is there.

    So are marks beyond the second on one letter: they pile up until they paint over the lines around them.
    """
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return "".join(_visible(text))


def _visible(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in _STACKING else 0
        if marks > _MARKS or not character.isprintable() or character == "\\" or character in _UNSEEN:
            yield json.dumps(character)[1:-1]
        else:
            yield character
