"""One reading of what a request names, or none: its target, the parts of its path and the names of its query.

Standing: pure, below everything that knows HTTP or a framework; `web` turns an error of this module into an answer.
Holds: what servers, frameworks and file systems read in different ways is refused and never normalised: to normalise
would be to guess how something behind the guard does it.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_HOLE: Final = re.compile(r"\{([^{}]+)\}")
_DOTS: Final = frozenset({".", ".."})
_SEPARATOR: Final = re.compile(rb"%(?:2f|5c)|\\", re.IGNORECASE)
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
# What a target may be written with (RFC 9112, 3.2): servers differ in what they make of anything else.
_WRITTEN: Final = re.compile(rb"[\x21-\x7e]*")
# Line ends of Unicode, which are no control characters there.
_LINE_ENDS: Final = "\u2028\u2029"


class OddTargetError(ValueError):
    """A target, a part of a path or a query that can be read in two ways."""


def check_target(path: str, raw_path: bytes | None, query: bytes) -> None:
    """Refuse a target of more than one reading. Raises `OddTargetError`.

    `path` is decoded; `raw_path` is as it was sent, None where the server does not say; `query` is without its `?`.
    """
    _check_path(path)
    if raw_path is None:
        # A server that does not say how the path was sent cannot say either whether # was encoded there.
        if "#" in path:
            raise OddTargetError("its path holds #")
    elif _SEPARATOR.search(raw_path):
        raise OddTargetError("its path holds an encoded / or \\")
    for name, sent in (("path", raw_path or b""), ("query", query)):
        if b"#" in sent:
            raise OddTargetError(f"its {name} holds #: send it as %23")
        if not _WRITTEN.fullmatch(sent):
            raise OddTargetError(f"its {name} holds a character that must be percent-encoded")


def _check_path(path: str) -> None:
    if not path.startswith("/"):
        raise OddTargetError("its target is not a path that begins with /")
    if _controls(path):
        raise OddTargetError("its path holds a control character")
    if "\\" in path:
        raise OddTargetError("its path holds a backslash")
    if not _DOTS.isdisjoint(path.split("/")):
        raise OddTargetError("its path holds a segment that is . or ..")


def parts_of(template: str) -> tuple[str, ...]:
    """Return the parts of the path that the id of a resource is made of. Raises `ValueError` where two touch."""
    if "}{" in template:
        raise ValueError(f"{template!r} has two parts side by side: put a text between them that neither can hold")
    return tuple(_HOLE.findall(template))


def resource_id(template: str, parts: Mapping[str, str]) -> str:
    """Return the id that a template and the parts of a path make. Raises `OddTargetError`."""
    pieces = _HOLE.split(template)
    for at in range(1, len(pieces), 2):
        _check_part(pieces[at], parts[pieces[at]], pieces[at + 1] if at + 2 < len(pieces) else "")
    return "".join(parts[piece] if at % 2 else piece for at, piece in enumerate(pieces))


def argument_id(template: str, arguments: Mapping[str, str]) -> str:
    """Return the same of arguments that no path holds, so that the first can be an absolute path itself.

    Raises `OddTargetError`.
    """
    first = next(iter(parts_of(template)), "")
    if not template.startswith("{") or not arguments.get(first, "").startswith("/"):
        return resource_id(template, arguments)
    return "/" + resource_id(template, {**arguments, first: arguments[first].removeprefix("/")})


def _check_part(name: str, value: str, after: str) -> None:
    segments = value.split("/")
    if "" in segments:
        raise OddTargetError(f"{name} is empty, or holds an empty segment")
    if not _DOTS.isdisjoint(segments):
        raise OddTargetError(f"{name} holds a segment that is . or ..")
    if _controls(value) or "\\" in value:
        raise OddTargetError(f"{name} holds a control character or a backslash")
    if _ENCODED.search(value):
        raise OddTargetError(f"{name} is percent-encoded twice")
    # Else "x-y" and "z" would be the same id as "x" and "y-z".
    if after and (value + after).index(after) != len(value):
        raise OddTargetError(f"{name} holds {after!r}, which ends it in the id of the resource")


def query_texts(pairs: Iterable[tuple[str, str]], repeated: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of a query by name. Raises `OddTargetError` for a name that occurs twice and must not."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
        if len(found[name]) > 1 and name not in repeated:
            raise OddTargetError(f"{name} occurs twice in its query")
    return found


def _controls(value: str) -> bool:
    return any(unicodedata.category(char) == "Cc" or char in _LINE_ENDS for char in value)
