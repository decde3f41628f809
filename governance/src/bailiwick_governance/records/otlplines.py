"""Lines out of OTLP JSON: what an OpenTelemetry Collector wrote of a log, taken apart into the lines that it read.

Standing: under `logfiles`, before any line is judged. Holds: a body is a line to the byte, or is none; a document that
two readers could read differently is not taken apart, but stays a line that is in no chain; nothing is unwrapped twice.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NoReturn

_BEGINS: Final = b'{"resourceLogs":'
_MOST: Final = 32 << 20
"""The longest document that is taken apart; a batch of a Collector has some megabytes."""
_MOST_OBJECTS: Final = 2_000_000
"""So many objects it may have: each takes far more memory than its text, and a store packs millions into a few KiB."""
_REFUSED: Final = b'{"refused":"otlp"}\n'
"""Stands for a record of a document that is no line, so that it is counted as one that is in no chain."""
_OF_DOCUMENTS: Final = frozenset({"resourceLogs"})
_OF_RESOURCES: Final = frozenset({"resource", "scopeLogs", "schemaUrl"})
_OF_SCOPES: Final = frozenset({"scope", "logRecords", "schemaUrl"})
_OF_RECORDS: Final = frozenset(
    {
        *("timeUnixNano", "observedTimeUnixNano", "severityNumber", "severityText", "body", "attributes"),
        *("droppedAttributesCount", "flags", "traceId", "spanId", "eventName"),
    }
)
_OF_BODIES: Final = frozenset({"stringValue"})


class _NotLinesError(ValueError):
    """A document, or a record of one, is not taken apart. The message says why."""


def unwrap_lines(pieces: Iterable[bytes], warn: Callable[[str], None]) -> Iterator[bytes]:
    """Yield what is in pieces of a file, with the lines of each document of OTLP in its place.

    `warn` gets a sentence for each thing that is refused.
    """
    # Of a document, its beginning; else what may become the beginning of one. `fresh`: it is where a line begins.
    document: list[bytes] = []
    held, fresh, size = b"", True, 0
    for piece in pieces:
        rest = piece
        while rest:
            if not document:
                before, rest, held, fresh = _split_at_document(held + rest, fresh=fresh)
                if before:
                    yield before
                size = 0
                if not rest:
                    break
            end = rest.find(b"\n") + 1 or len(rest)
            document.append(rest[:end])
            size += end
            rest = rest[end:]
            if document[-1].endswith(b"\n"):
                yield from _lines_of(b"".join(document), warn)
                document, fresh = [], True
            elif size > _MOST:
                warn(f"a line of OTLP JSON is longer than {_MOST >> 20} MiB: have the Collector write smaller batches")
                yield b"".join(document)
                document, fresh = [], False
    if document:
        yield from _lines_of(b"".join(document), warn)
    elif held:
        yield held


def _split_at_document(text: bytes, *, fresh: bool) -> tuple[bytes, bytes, bytes, bool]:
    """Return what stands before a document, the document on, what may become one, and whether a line begins there.

    `fresh`: the text begins where a line does.
    """
    if fresh and text.startswith(_BEGINS):
        return b"", text, b"", True
    at = text.find(b"\n" + _BEGINS) + 1
    if at:
        return text[:at], text[at:], b"", True
    last = text.rfind(b"\n") + 1
    if (last or fresh) and _BEGINS.startswith(text[last:]):
        return text[:last], b"", text[last:], True
    return text, b"", b"", False


def _lines_of(text: bytes, warn: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the lines of a document; the document itself if it is not taken apart."""
    try:
        records = _records(text)
    except (ValueError, RecursionError) as error:
        why = error if isinstance(error, _NotLinesError) else "it is not JSON, or is cut off"
        warn(f"a line of OTLP JSON is not taken apart: {why}")
        yield text
        return
    for record in records:
        try:
            yield _line(record)
        except _NotLinesError as error:
            warn(f"a record of OTLP JSON is no line: {error}")
            yield _REFUSED


def _records(text: bytes) -> Sequence[Any]:
    """Return the records of a document. Raises `ValueError`."""
    left = itertools.count(_MOST_OBJECTS, -1)

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if next(left) <= 0:
            raise _NotLinesError(f"it has more than {_MOST_OBJECTS:,} objects")
        return _members(pairs)

    document = json.loads(text, object_pairs_hook=members, parse_constant=_refuse_constant)
    found: list[Any] = []
    for resource in _listed(_object(document, _OF_DOCUMENTS), "resourceLogs"):
        for scope in _listed(_object(resource, _OF_RESOURCES), "scopeLogs"):
            found += _listed(_object(scope, _OF_SCOPES), "logRecords")
    return found


def _line(record: object) -> bytes:
    """Return the line of a record, with its newline. Raises `_NotLinesError`."""
    body = _object(record, _OF_RECORDS).get("body")
    text = _object(body, _OF_BODIES).get("stringValue")
    if not isinstance(text, str):
        raise _NotLinesError("its body is not a string")
    if "\n" in text:
        raise _NotLinesError("its body has more than one line")
    try:
        line = text.encode()
    except UnicodeEncodeError as error:
        raise _NotLinesError("its body is not Unicode") from error
    if line.startswith(_BEGINS):
        raise _NotLinesError("its body is OTLP JSON again")
    return line + b"\n"


def _object(value: object, known: frozenset[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _NotLinesError(f"where {_some(known)} should be, there is no object")
    if not known.issuperset(value):
        raise _NotLinesError(f"beside {_some(known)}, an object has other members, so readers may take it otherwise")
    return value


def _listed(held: dict[str, Any], name: str) -> list[Any]:
    value = held.get(name, [])
    if not isinstance(value, list):
        raise _NotLinesError(f"{name} is not a list")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _NotLinesError("an object has a member twice, so readers may take it otherwise")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise _NotLinesError(f"{name} is not JSON")


def _some(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
